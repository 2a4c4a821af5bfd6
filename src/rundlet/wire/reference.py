"""Image references: reading them as Docker does, and writing them as people do.

    reference  = name [ ":" tag ] [ "@" digest ]          https://pkg.go.dev/github.com/distribution/reference
    name       = [ domain [ ":" port ] "/" ] path

``busybox`` means ``docker.io/library/busybox:latest`` (the *canonical* form, which stores and registries
use); the short way of saying that is its *familiar* form, which lists and messages use. What may also be an
image ID is told apart by :func:`hex_id_prefix`: whether such an image exists is the store's business.

Nothing here asks a registry or a store, and a valid reference says nothing about what exists.
"""

from __future__ import annotations

import re

from rundlet.errors import InvalidReference

TYPE_CHECKING = False  # typing is slow to import; type checkers take the name as they take typing's
if TYPE_CHECKING:
    from typing import Final

__all__ = [
    "DEFAULT_DOMAIN",
    "DEFAULT_TAG",
    "Reference",
    "hex_id_prefix",
    "is_digest",
    "is_tag",
    "parse",
    "parse_any",
]

DEFAULT_DOMAIN: Final = "docker.io"
DEFAULT_TAG: Final = "latest"
MAX_PATH_LENGTH: Final = 255
"""Characters of a path, as distribution limits it; the domain does not count."""

_LEGACY_DOMAIN = "index.docker.io"
_OFFICIAL = "library/"

# Compiled (and kept by re) at their first use: many a command never sees a reference.
_PATH = r"[a-z0-9]+(?:(?:[._/]|__|-+)[a-z0-9]+)*"
_DOMAIN_PART = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}"
_HEX_ID = r"(?:sha256:)?([a-f0-9]{1,64})"


class Reference:
    """A normalised reference. Immutable; equal when all four parts are.

    ``tag`` and ``digest`` (``"sha256:…"``) are None where there is none. A reference with both names what the
    digest says; the tag is for people (as in Docker, which looks only at the digest).
    """

    __slots__ = ("digest", "domain", "path", "tag")

    domain: Final[str]
    path: Final[str]
    tag: Final[str | None]
    digest: Final[str | None]

    def __init__(self, domain: str, path: str, tag: str | None = None, digest: str | None = None) -> None:
        self.domain = domain
        self.path = path
        self.tag = tag
        self.digest = digest

    @property
    def name(self) -> str:
        """The repository, canonical: ``docker.io/library/busybox``."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as people say it: ``busybox``, ``user/app``, ``localhost:5000/app``."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        short = self.path.removeprefix(_OFFICIAL)
        return self.path if "/" in short else short

    @property
    def familiar(self) -> str:
        """The whole reference as people say it: ``busybox:latest``. Parses back to an equal reference."""
        return self.familiar_name + self._suffix()

    def with_tag(self, tag: str) -> Reference:
        """The same repository with another tag and no digest. Raises InvalidReference for a bad tag."""
        if not is_tag(tag):
            raise InvalidReference(f"{self.familiar_name}:{tag}", "bad tag")
        return Reference(self.domain, self.path, tag)

    def with_digest(self, digest: str) -> Reference:
        """The same repository by digest, without a tag. Raises InvalidReference for a bad digest."""
        if not is_digest(digest):
            raise InvalidReference(f"{self.familiar_name}@{digest}", "bad digest")
        return Reference(self.domain, self.path, None, digest)

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def _parts(self) -> tuple[str, str, str | None, str | None]:
        return (self.domain, self.path, self.tag, self.digest)

    def __str__(self) -> str:
        """The canonical form: ``docker.io/library/busybox:latest``."""
        return self.name + self._suffix()

    def __repr__(self) -> str:
        return f"Reference({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return self._parts() == other._parts() if isinstance(other, Reference) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._parts())


def parse(text: str, *, default_tag: str | None = DEFAULT_TAG) -> Reference:
    """Read a reference, in familiar or canonical form, and normalise it.

    Where ``text`` has neither tag nor digest, the tag becomes ``default_tag``; None leaves it without one
    ("all tags of the repository", or a repository name alone).

    Raises InvalidReference; 64 hexadecimal digits are refused, since they are an image ID and never a name.
    """
    if len(text) == 64 and re.fullmatch(_HEX_ID, text):
        raise InvalidReference(text, "64 hexadecimal digits are an image ID, not a name")
    name, _, digest = text.partition("@")
    if "@" in text and not is_digest(digest):
        raise InvalidReference(text, "bad digest")
    domain, rest = _split_domain(name)
    path, colon, tag = rest.partition(":")
    if path != path.lower():
        raise InvalidReference(text, "repository name must be lowercase")
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = _OFFICIAL + path
    if len(path) > MAX_PATH_LENGTH:
        raise InvalidReference(text, f"repository name must not be more than {MAX_PATH_LENGTH} characters")
    if not re.fullmatch(_DOMAIN, domain) or not re.fullmatch(_PATH, path):
        raise InvalidReference(text)
    if colon and not is_tag(tag):
        raise InvalidReference(text, "bad tag")
    return Reference(domain, path, tag or (None if digest else default_tag), digest or None)


def parse_any(text: str) -> Reference | str:
    """Read what names an image: a full ID gives ``"sha256:<64 digits>"``, everything else a Reference.

    A *short* ID also reads as a name (``cafe`` may be either): ask the store for the name first, and then for
    :func:`hex_id_prefix`. Raises InvalidReference.
    """
    if is_digest(text):
        return text
    if len(text) == 64 and re.fullmatch(_HEX_ID, text):
        return f"sha256:{text}"
    return parse(text)


def hex_id_prefix(text: str) -> str | None:
    """The hexadecimal digits (1 to 64) of what may be a full or short image ID, else None."""
    match = re.fullmatch(_HEX_ID, text)
    return match[1] if match else None


def is_tag(text: str) -> bool:
    return re.fullmatch(_TAG, text) is not None


def is_digest(text: str) -> bool:
    """Whether ``text`` is a complete digest of an algorithm that the OCI specification registers."""
    return re.fullmatch(_DIGEST, text) is not None


def _split_domain(name: str) -> tuple[str, str]:
    """Docker's rule: what stands before the first slash is a domain if it could not be part of a path."""
    first, slash, rest = name.partition("/")
    if not slash:
        return DEFAULT_DOMAIN, name
    if first == _LEGACY_DOMAIN:
        return DEFAULT_DOMAIN, rest
    if first == "localhost" or "." in first or ":" in first or first != first.lower():
        return first, rest
    return DEFAULT_DOMAIN, name

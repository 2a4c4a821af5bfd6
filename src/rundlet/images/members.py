"""The files of an image archive, found by name or by digest.

An archive is read once, forward, whatever its order: every member goes to a numbered file and is hashed on the
way. Names in the archive and in its documents are looked up in a table and never become a path on this
machine; content is found by the digest that was *computed*, so that a false name finds nothing. What the
members mean is for :mod:`rundlet.images.archives` to say.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rundlet.errors import CorruptArchive
from rundlet.images.compression import Readable
from rundlet.images.digests import hex_of
from rundlet.images.image import MAX_DOCUMENT, parse_document
from rundlet.images.progress import OnProgress, Progress
from rundlet.images.tar import Kind, TarLimits, TarReader
from rundlet.images.unpack import components

_MAX_MEMBERS = 100_000
_MAX_LINKS = 40
"""Links in a row, as the kernel follows them."""


@dataclass(frozen=True)
class Member:
    """One file of an archive, unpacked under a name of our own."""

    path: Path
    digest: str
    size: int

    def document(self, what: str) -> Any:
        return parse_document(self.content(what), what)

    def content(self, what: str) -> bytes:
        if self.size > MAX_DOCUMENT:
            raise CorruptArchive(what, f"it has {self.size} bytes")
        return self.path.read_bytes()


@dataclass(frozen=True)
class ArchivedImage:
    config: bytes
    """The configuration document, not yet checked."""
    layers: list[Member]
    """Lowest first."""
    references: list[str]
    """Canonical."""


class Members:
    """The files of an archive, by name and by digest."""

    def __init__(self) -> None:
        self.by_digest: dict[str, Member] = {}
        self._by_name: dict[str, Member] = {}
        self._links: dict[str, str] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def find(self, name: object) -> Member | None:
        """The member of that name, through the archive's links. ``name`` may be anything a document holds."""
        if not isinstance(name, str):
            return None
        try:
            key = _key(name.encode())
        except CorruptArchive:
            return None
        for _ in range(_MAX_LINKS):
            if key not in self._links:
                break
            key = self._links[key]
        return self._by_name.get(key)

    def get(self, name: object, what: str) -> Member:
        member = self.find(name)
        if member is None:
            raise CorruptArchive(what, f"the archive has no file {str(name)[:200]!r}")
        return member

    def blob(self, descriptor: object, what: str) -> Member:
        """The member that an OCI descriptor stands for."""
        digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
        member = self.by_digest.get(f"sha256:{hex_of(digest, what)}")
        if member is None:
            raise CorruptArchive(what, f"the archive has no content with digest {digest}")
        return member

    def read(self, archive: Readable, directory: Path, limits: TarLimits, progress: OnProgress) -> None:
        """Unpack the whole archive into ``directory``."""
        reader = TarReader(archive, limits)
        done = 0
        for number, entry in enumerate(reader):
            if number >= _MAX_MEMBERS:
                raise CorruptArchive("image archive", f"it has more than {_MAX_MEMBERS} files")
            key = _key(entry.name)
            if entry.extents is not None:
                raise CorruptArchive("image archive", f"file {key[:200]!r} is stored as a sparse one")
            if entry.kind is Kind.FILE:
                self._add(key, _spool(reader, directory / str(number)))
                done += entry.stored_size
                progress(Progress("Reading archive", current=done))
            elif entry.kind is Kind.SYMLINK:
                self._links[key] = _key(b"/".join((os.path.dirname(os.fsencode(key)), entry.link)))
            elif entry.kind is Kind.HARD_LINK:
                self._links[key] = _key(entry.link)

    def _add(self, key: str, member: Member) -> None:
        known = self.by_digest.setdefault(member.digest, member)
        if known is not member:
            member.path.unlink()
        self._by_name[key] = known
        self._links.pop(key, None)


def _spool(reader: TarReader, path: Path) -> Member:
    content = hashlib.sha256()
    size = 0
    with path.open("xb", buffering=0) as file:
        for piece in reader.data():
            content.update(piece)
            file.write(piece)
            size += len(piece)
    return Member(path, f"sha256:{content.hexdigest()}", size)


def _key(name: bytes) -> str:
    """One spelling for every way to write a member's name. Raises CorruptArchive when it leads out."""
    return os.fsdecode(b"/".join(components(name)))

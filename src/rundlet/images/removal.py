"""Docker's rules for ``docker rmi``, as a decision: what loses its name, and whether the image goes.

By *reference*: the name goes. If it was the image's last one, so does the image. A last name is not taken from
an image that containers use, unless forced.
By *ID*: all names go if they are of one repository with one tag; otherwise force is needed. No force takes an
image away from a container that runs.

Source: moby, ``daemon/images/image_delete.go``. There, force also deletes an image that stopped containers
use; here its data outlives its names until those containers are gone (see :meth:`ImageStore.remove`).

Pure: nothing is read or changed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rundlet.errors import ImageInUse
from rundlet.wire import reference
from rundlet.wire.reference import Reference


@dataclass(frozen=True)
class Removal:
    untag: list[str]
    """Canonical references."""
    delete: bool


@dataclass(frozen=True)
class Users:
    """The containers of an image, by ID."""

    running: Sequence[str] = ()
    stopped: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.running or self.stopped)

    @property
    def first(self) -> str:
        """Short."""
        return (*self.running, *self.stopped)[0][:12]


def plan(name: str, image_id: str, references: Sequence[str], users: Users, *, force: bool) -> Removal:
    """What ``rmi name`` does to the image ``image_id``, which ``references`` (canonical) name.

    Raises ImageInUse.
    """
    parsed = [reference.parse(item) for item in references]
    if _is_id(name, image_id):
        return _by_id(image_id, parsed, users, force=force)
    return _by_reference(name, image_id, parsed, users, force=force)


def _by_reference(name: str, image_id: str, references: list[Reference], users: Users, *, force: bool) -> Removal:
    if users and not force and _single(references):
        why = f"container {users.first} is using its referenced image {_short(image_id)}"
        raise ImageInUse(f'"{name}"', "must force", why)
    wanted = reference.parse(name)
    if wanted.digest:
        wanted = wanted.with_digest(wanted.digest)
    gone = [wanted]
    if not wanted.digest and not any(
        item.tag and item != wanted and item.name == wanted.name for item in references
    ):
        # The last tag of a repository takes along the digests that it was pulled by.
        gone += [item for item in references if item.digest and item.name == wanted.name]
    left = [item for item in references if item not in gone]
    return Removal([str(item) for item in gone], delete=not left and not users)


def _by_id(image_id: str, references: list[Reference], users: Users, *, force: bool) -> Removal:
    short = _short(image_id)
    if users.running:
        why = f"image is being used by running container {users.first}"
        raise ImageInUse(short, "cannot be forced", why)
    if users and not force:
        raise ImageInUse(short, "must be forced", f"image is being used by stopped container {users.first}")
    if len(references) > 1 and not _single(references) and not force:
        raise ImageInUse(short, "must be forced", "image is referenced in multiple repositories")
    return Removal([str(item) for item in references], delete=not users)


def _single(references: list[Reference]) -> bool:
    """At most one tag, and everything in one repository."""
    tags = [item for item in references if not item.digest]
    return bool(references) and len(tags) <= 1 and len({item.name for item in references}) == 1


def _is_id(name: str, image_id: str) -> bool:
    """A prefix of the ID, with or without its algorithm, is an ID even where it reads as a name."""
    return image_id.startswith(name) or image_id.removeprefix("sha256:").startswith(name)


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]

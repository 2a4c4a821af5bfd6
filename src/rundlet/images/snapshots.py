"""The writable side of a container: an upper and a work directory for its overlay mount.

    DATA/containers/<id>/           0700, shared with the engine, which keeps the container's logs here
      upper/                        0755: becomes the container's root directory
      work/                         overlayfs's own; holds directories of mode 000

Nothing is mounted here; the runtime does that inside the container's mount namespace.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from rundlet.images import space
from rundlet.images.trees import Workspace

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_COUNTED_DEPTH = 256
"""Levels of directories that :meth:`Snapshots.size` looks at, each of which costs an open descriptor."""


@dataclass(frozen=True)
class Upper:
    upper: Path
    work: Path


class Snapshots:
    """Safe to use from several threads for different containers."""

    def __init__(self, root: Path) -> None:
        """``root`` is the data root."""
        self._containers = root / "containers"
        self._workspace = Workspace(root / "tmp")
        self._containers.mkdir(mode=0o700, parents=True, exist_ok=True)

    def get(self, container_id: str) -> Upper:
        """Where the directories are, whether they exist or not."""
        directory = self._containers / container_id
        return Upper(directory / "upper", directory / "work")

    def create(self, container_id: str) -> Upper:
        """Make empty ones. Raises StorageFull, leaving nothing; FileExistsError when they exist."""
        directory = self._containers / container_id
        directory.mkdir(mode=0o700, exist_ok=True)
        snapshot = self.get(container_id)
        try:
            with space.needed(directory, "creating the container's filesystem"):
                snapshot.upper.mkdir()
                snapshot.upper.chmod(0o755)  # whatever the umask: it is the container's /
                snapshot.work.mkdir(mode=0o700)
        except FileExistsError:
            raise
        except BaseException:
            self.remove(container_id)
            raise
        return snapshot

    def remove(self, container_id: str) -> None:
        """Delete both directories, however deep the container made them. The container's own directory stays
        when the engine has something in it. Nothing happens when they do not exist.
        """
        snapshot = self.get(container_id)
        self._workspace.discard(snapshot.upper)
        self._workspace.discard(snapshot.work)
        with contextlib.suppress(OSError):
            snapshot.upper.parent.rmdir()

    def size(self, container_id: str) -> int:
        """Bytes of file data that the container has written; 0 when there is no such snapshot.

        The container may be changing the tree: what disappears meanwhile does not count. Neither does what
        lies more than 256 directories deep.
        """
        try:
            return _size(os.open(self.get(container_id).upper, _OPEN_DIRECTORY), _COUNTED_DEPTH)
        except FileNotFoundError:
            return 0


def _size(directory: int, depth: int) -> int:
    """``directory`` is closed."""
    total = 0
    try:
        for name in os.listdir(directory):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                if depth and (subdirectory := _open_directory(directory, name)) is not None:
                    total += _size(subdirectory, depth - 1)
                elif stat.S_ISREG((status := os.lstat(name, dir_fd=directory)).st_mode):
                    total += status.st_size
    finally:
        os.close(directory)
    return total


def _open_directory(parent: int, name: str) -> int | None:
    try:
        return os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
    except NotADirectoryError:
        return None

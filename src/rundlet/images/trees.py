"""The working directory of the store: where things are made before they are shown, and taken apart after.

    DATA/tmp/<purpose>-<random>/      everything is made here, then renamed into place
    DATA/tmp/gone/<random>            what is to be deleted is renamed here first, so that it goes at once

Deleting must also work on a full disk, so it makes nothing new. Whatever a crash leaves here belongs to nobody:
:meth:`Workspace.sweep` removes it at the next start. This module does not know what the files mean.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rundlet.images import space

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Workspace:
    """DATA/tmp. Safe to use from several threads, and by several objects of one process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._gone = path / "gone"
        self._gone.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)

    @contextlib.contextmanager
    def directory(self, purpose: str) -> Iterator[Path]:
        """A new private directory that is gone when the block ends, with what is still in it.

        Raises StorageFull when it cannot be made; what the block raises is not touched.
        """
        with space.needed(self.path, "making a working directory"):
            path = Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=self.path))
        try:
            yield path
        finally:
            self.discard(path)

    def discard(self, path: Path | str, *, dir_fd: int | None = None) -> None:
        """Delete the tree at ``path`` (same filesystem), which disappears from its place at once.

        ``dir_fd``: the open directory that ``path`` is relative to. Nothing happens when it does not exist.
        """
        self._delete(self.bury(path, dir_fd=dir_fd).name)

    def bury(self, path: Path | str, *, dir_fd: int | None = None) -> Path:
        """The first, quick half of :meth:`discard`, for callers that hold a lock: discard the result later."""
        grave = self._gone / secrets.token_hex(8)
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, grave, src_dir_fd=dir_fd)
        return grave

    def sweep(self) -> None:
        """Delete everything here: at start-up, before anybody works."""
        for path in self.path.iterdir():
            if path != self._gone:
                self.discard(path)
        for grave in self._gone.iterdir():
            self._delete(grave.name)

    def _delete(self, grave: str) -> None:
        """Delete what is buried as ``grave``, however deep: a container may nest directories without end, so
        neither recursion nor one descriptor per level will do. Subdirectories are renamed up to become graves
        themselves, which keeps every one of them one level deep.
        """
        top = os.open(self._gone, _OPEN_DIRECTORY)
        try:
            doomed = [grave]
            while doomed:
                doomed += _delete_one(top, doomed.pop())
        finally:
            os.close(top)


def _delete_one(top: int, name: str) -> list[str]:
    """Delete ``name`` in ``top`` after moving its subdirectories up there; return their new names."""
    try:
        directory = os.open(name, _OPEN_DIRECTORY, dir_fd=top)
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        os.unlink(name, dir_fd=top)
        return []
    try:
        moved = []
        for subdirectory in _unlink_files(directory):
            moved.append(secrets.token_hex(8))
            os.rename(subdirectory, moved[-1], src_dir_fd=directory, dst_dir_fd=top)
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=top)
    return moved


def _unlink_files(directory: int) -> list[str]:
    """Unlink all that is not a directory and return the names of the directories."""
    with os.scandir(directory) as entries:
        # Read to the end first: unlinking while reading may skip entries on some filesystems.
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if not is_directory:
            os.unlink(name, dir_fd=directory)
    return [name for name, is_directory in found if is_directory]

"""The working directory of the store: where things are made before they are shown, and taken apart after.

    DATA/tmp/<purpose>-<random>/      everything is made here, then renamed into place
    DATA/tmp/gone-<random>/0          what is to be deleted is renamed here first, so that it goes at once

Whatever a crash leaves here belongs to nobody: :meth:`Workspace.sweep` removes it at the next start. This
module does not know what the files mean.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Workspace:
    """DATA/tmp. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextlib.contextmanager
    def directory(self, purpose: str) -> Iterator[Path]:
        """A new private directory that is gone when the block ends, with what is still in it."""
        path = Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=self.path))
        try:
            yield path
        finally:
            self.discard(path)

    def discard(self, path: Path | str, *, dir_fd: int | None = None) -> None:
        """Delete the tree at ``path`` (same filesystem), which disappears from its place at once.

        ``dir_fd``: the open directory that ``path`` is relative to. Nothing happens when it does not exist.
        """
        grave = self.bury(path, dir_fd=dir_fd)
        _empty(grave)
        grave.rmdir()

    def bury(self, path: Path | str, *, dir_fd: int | None = None) -> Path:
        """The first, quick half of :meth:`discard`, for callers that hold a lock: discard the result later."""
        grave = Path(tempfile.mkdtemp(prefix="gone-", dir=self.path))
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, grave / "0", src_dir_fd=dir_fd)
        return grave

    def sweep(self) -> None:
        """Delete everything here: at start-up, before anybody works."""
        for path in self.path.iterdir():
            self.discard(path)


def _empty(grave: Path) -> None:
    """Delete all that is in ``grave``, however deep: a container may nest directories without end, so
    neither recursion nor one descriptor per level will do. Subdirectories are renamed up into ``grave``,
    which keeps every directory one level deep.
    """
    top = os.open(grave, _OPEN_DIRECTORY)
    try:
        names = 1
        doomed = os.listdir(top)
        while doomed:
            name = doomed.pop()
            try:
                directory = os.open(name, _OPEN_DIRECTORY, dir_fd=top)
            except NotADirectoryError:
                os.unlink(name, dir_fd=top)
                continue
            try:
                subdirectories = _unlink_files(directory)
                for subdirectory in subdirectories:
                    os.rename(subdirectory, str(names), src_dir_fd=directory, dst_dir_fd=top)
                    doomed.append(str(names))
                    names += 1
            finally:
                os.close(directory)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)


def _unlink_files(directory: int) -> list[str]:
    """Unlink all that is not a directory and return the names of the directories."""
    with os.scandir(directory) as entries:
        # Read to the end first: unlinking while reading may skip entries on some filesystems.
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if not is_directory:
            os.unlink(name, dir_fd=directory)
    return [name for name, is_directory in found if is_directory]

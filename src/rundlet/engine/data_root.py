"""The data root as a whole: made, versioned, and held by one daemon at a time.

DATA/               0700: a setuid file in a container's layer is nobody else's to run (CVE-2021-41091)
  format            the layout's version: a number and a newline
  lock              flock'd by the daemon, holds its pid
  engine-id         a UUID, made once
"""

from __future__ import annotations

import errno
import fcntl
import os
import uuid
from pathlib import Path
from typing import Self

from rundlet.errors import DataRootLocked, EngineError, StorageFull

__all__ = ["FORMAT", "DataRoot"]

FORMAT = 1


class DataRoot:
    """Held from :meth:`take` to :meth:`release`, or to the end of the process, whatever ends it."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def take(cls, path: Path) -> Self:
        """Blocking. DataRootLocked; EngineError for a format that this version does not know; StorageFull."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.chmod(path, 0o700)
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                _hold(path, lock)
                _check_format(path)
                _make_id(path)
            except BaseException:
                os.close(lock)
                raise
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull(str(path), "taking the data root") from error
            raise EngineError(f"data root {path}: {error.strerror}") from error
        return cls(path, lock)

    def release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _hold(path: Path, lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).strip()
        raise DataRootLocked(str(path), int(holder) if holder.isdigit() else None) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _check_format(path: Path) -> None:
    file = path / "format"
    if not file.exists():
        _write_once(file, f"{FORMAT}\n")
    text = file.read_text(errors="replace").strip()
    if text != str(FORMAT):
        raise EngineError(f"data root {path} has format {text!r}; this version knows format {FORMAT}")


def _make_id(path: Path) -> None:
    file = path / "engine-id"
    if not file.exists():
        _write_once(file, f"{uuid.uuid4()}\n")


def _write_once(file: Path, text: str) -> None:
    """All of it or nothing, whenever the daemon is killed."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(file)

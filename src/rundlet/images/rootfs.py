"""A root filesystem as a plan: what is to be where, and the tar stream that it gives.

A plan is data: it can be looked at without writing a file. Its tar is reproducible: entries are sorted and belong
to root, and times are those of the files it was made from. Nothing is unpacked here.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rundlet.images.compression import CHUNK

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MAX_LINKS = 40


@dataclass(frozen=True)
class Directory:
    mode: int = 0o755


@dataclass(frozen=True)
class Symlink:
    target: str


@dataclass(frozen=True)
class Copied:
    """A file of this machine."""

    source: str
    size: int
    mode: int
    mtime: int
    """Whole seconds, which is what compiled Python modules remember of their source."""


@dataclass(frozen=True)
class Written:
    """A file with content of our own."""

    content: bytes
    mode: int = 0o644


Node = Directory | Symlink | Copied | Written


class Rootfs:
    """The plan. Paths are absolute, in the new root as on this machine."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        """Path -> what is there. No path leads through a symlink."""

    def directory(self, path: str, mode: int = 0o755) -> None:
        """A directory of that mode, unless ``path`` is a symlink already."""
        self._parents(path)
        if not isinstance(self.nodes.get(path), Symlink):
            self.nodes[path] = Directory(mode)

    def write(self, path: str, content: str, mode: int = 0o644) -> None:
        self._parents(path)
        self.nodes[path] = Written(content.encode(), mode)

    def symlink(self, path: str, target: str) -> None:
        self._parents(path)
        self.nodes[path] = Symlink(target)

    def copy(self, path: str) -> str:
        """Take over a file from this machine under its own name, with every symlink on the way to it.

        So ``/bin/sh`` brings ``/bin -> usr/bin``, ``/usr/bin/sh -> dash`` and ``/usr/bin/dash``. Returns the path
        without symlinks. Raises OSError, IsADirectoryError for a directory.
        """
        place = self._follow(path)
        if place not in self.nodes:
            status = os.stat(place)
            if not stat.S_ISREG(status.st_mode):
                raise IsADirectoryError(f"not a file: {place}")
            mode = 0o755 if status.st_mode & 0o111 else 0o644
            self.nodes[place] = Copied(place, status.st_size, mode, int(status.st_mtime))
        return place

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(node.size for node in self.nodes.values() if isinstance(node, Copied))

    @property
    def newest(self) -> int:
        """Time of the newest file, in Unix seconds: a date that the same inputs give again."""
        return max((node.mtime for node in self.nodes.values() if isinstance(node, Copied)), default=0)

    def tar(self) -> io.RawIOBase:
        """The plan's tar stream. Reading raises OSError when a file has changed since it was planned."""
        return _Stream(self._pieces())

    def _parents(self, path: str) -> None:
        parent = os.path.dirname(path)
        if parent != "/" and parent not in self.nodes:
            self._parents(parent)
            self.nodes[parent] = Directory()

    def _follow(self, path: str) -> str:
        """Walk ``path`` on this machine, adding directories and symlinks; return where it ends."""
        place, left, links = "/", [part for part in path.split("/") if part], 0
        while left:
            part = left.pop(0)
            if part == "..":
                place = os.path.dirname(place)
                continue
            step = os.path.join(place, part)
            if os.path.islink(step):
                if (links := links + 1) > _MAX_LINKS:
                    raise OSError(f"too many symlinks: {path}")
                target = os.readlink(step)
                self.nodes.setdefault(step, Symlink(target))
                place = "/" if target.startswith("/") else place
                left = [other for other in target.split("/") if other not in ("", ".")] + left
                continue
            if left:
                self.nodes.setdefault(step, Directory())
            place = step
        return place

    def _pieces(self) -> Iterator[bytes]:
        newest = self.newest
        for path in sorted(self.nodes):
            node = self.nodes[path]
            yield _header(path, node, newest)
            if isinstance(node, Written):
                yield node.content + bytes(-len(node.content) % tarfile.BLOCKSIZE)
            elif isinstance(node, Copied):
                yield from _content(node)
        yield bytes(2 * tarfile.BLOCKSIZE)


def _header(path: str, node: Node, mtime: int) -> bytes:
    info = tarfile.TarInfo(path.lstrip("/"))
    info.mtime = mtime
    if isinstance(node, Directory):
        info.type, info.mode = tarfile.DIRTYPE, node.mode
    elif isinstance(node, Symlink):
        info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, node.target
    elif isinstance(node, Written):
        info.size, info.mode = len(node.content), node.mode
    else:
        info.size, info.mode, info.mtime = node.size, node.mode, node.mtime
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _content(node: Copied) -> Iterator[bytes]:
    left = node.size
    with open(node.source, "rb", buffering=0) as file:
        while left:
            piece = file.read(min(left, CHUNK))
            if not piece:
                raise OSError(f"it has become shorter: {node.source}")
            left -= len(piece)
            yield piece
    yield bytes(-node.size % tarfile.BLOCKSIZE)


class _Stream(io.RawIOBase):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view):
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._rest = memoryview(piece)
            part = self._rest[: len(view) - filled]
            view[filled : filled + len(part)] = part
            self._rest = self._rest[len(part) :]
            filled += len(part)
        return filled

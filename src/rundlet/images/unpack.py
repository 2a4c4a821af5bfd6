"""Unpacking one layer's tar into a directory that overlayfs can use as it is.

    archive                         on disk (overlayfs, https://docs.kernel.org/filesystems/overlayfs.html)
    .wh.<name>                      <name> as character device 0:0: hides <name> of the layers below
    .wh..wh..opq                    trusted.overlay.opaque=y on its directory: hides all that lies below it
    .wh..wh.<anything else>         nothing (bookkeeping of AUFS)

What the archive may do is decided here and nowhere else:

* Every path is resolved below the layer's root by the kernel (openat2 with RESOLVE_IN_ROOT), so links and
  ``..`` lead nowhere else; a name that climbs out by itself is refused.
* An archive cannot speak overlayfs by itself: devices 0:0 and ``*.overlay.*`` attributes are dropped.
* Of extended attributes ``security.capability`` and ``user.*`` are kept, as Docker and containerd keep them.
* Other devices are made: an image owns its /dev, and whether a container may *open* one is its cgroup's matter.
* Whatever comes later in the archive replaces what came earlier, but a directory keeps its contents.

This module does not read lower layers: an archive that leaves out the directories above a file gets them
as 0755 root:root, as in Docker.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from dataclasses import dataclass

from rundlet.errors import CorruptArchive, StorageFull
from rundlet.images import space
from rundlet.images.tar import Entry, Kind, TarReader
from rundlet.images.trees import Workspace
from rundlet.linux.beneath import open_beneath

OPAQUE = "trusted.overlay.opaque"
_WHITEOUT = b".wh."
_WHITEOUT_OPAQUE = b".wh..wh..opq"
_WHITEOUT_META = b".wh..wh."
_MAX_DEPTH = 256
"""Components of one name. Honest trees stay below 40; PATH_MAX would allow 2047."""
_NO_ID = 2**32 - 1
"""What chown(2) takes for "leave it"."""
_LATEST_NS = 2**34 * 1_000_000_000
"""The last time that ext4 can store; the kernel would clamp, os.utime() would raise."""
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_CACHED_DIRECTORIES = 64

_ARCHIVE_ERRORS = frozenset(
    {
        errno.E2BIG,
        errno.EEXIST,
        errno.EFBIG,
        errno.EINVAL,
        errno.EISDIR,
        errno.ELOOP,
        errno.EMLINK,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ERANGE,
        errno.EXDEV,
    }
)
"""What the kernel answers to an archive that contradicts itself; anything else is our trouble."""


@dataclass(frozen=True)
class Unpacked:
    size: int
    """Bytes of file data."""
    opaque: bool
    """The layer hides every layer below it. Overlayfs does not look at the mark on a layer's root, so whoever
    puts layers together has to."""


def unpack(reader: TarReader, root: int, workspace: Workspace) -> Unpacked:
    """Unpack everything that ``reader`` has into the open directory ``root``, which should be empty.

    Raises CorruptArchive naming the entry, StorageFull, or OSError. What was unpacked until then stays: the
    caller throws the directory away. Nobody else may write below ``root`` meanwhile.
    """
    unpacker = _Unpacker(root, workspace)
    try:
        for entry in reader:
            unpacker.apply(entry, reader)
        unpacker.finish()
    finally:
        unpacker.close()
    return Unpacked(unpacker.size, unpacker.opaque)


def components(name: bytes) -> tuple[bytes, ...]:
    """The components of a name below the layer's root; the root itself has none.

    A leading slash means nothing, ``..`` takes back what came before it. Raises CorruptArchive when the name
    leads out of the root.
    """
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise CorruptArchive("layer", f"entry {_shown(name)} leads out of it")
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    if len(parts) > _MAX_DEPTH:
        raise CorruptArchive("layer", f"entry {_shown(name)} is nested too deep")
    return tuple(parts)


def whiteout_target(base: bytes) -> bytes | None:
    """The name that the whiteout ``base`` hides; None for AUFS's bookkeeping.

    ``.wh.``, ``.wh..`` and ``.wh...`` would hide the directory itself or the one above: CorruptArchive.
    """
    if base.startswith(_WHITEOUT_META):
        return None
    target = base.removeprefix(_WHITEOUT)
    if target in (b"", b".", b".."):
        raise CorruptArchive("layer", f"whiteout {_shown(base)} hides no name")
    return target


def kept_xattr(name: bytes) -> bool:
    return name == b"security.capability" or (name.startswith(b"user.") and not name.startswith(b"user.overlay."))


class _Unpacker:
    def __init__(self, root: int, workspace: Workspace) -> None:
        self.size = 0
        self.opaque = False
        self._root = root
        self._workspace = workspace
        self._directories: OrderedDict[tuple[bytes, ...], int] = OrderedDict()
        self._times: dict[tuple[bytes, ...], int] = {}

    def close(self) -> None:
        self._forget_directories()

    def apply(self, entry: Entry, reader: TarReader) -> None:
        try:
            self._apply(entry, reader)
        except OSError as error:
            if space.is_full(error):
                raise StorageFull(_shown(entry.name), "unpacking a layer") from error
            if error.errno in _ARCHIVE_ERRORS:
                why = f"{entry.kind.value} {_shown(entry.name)}: {error.strerror}"
                raise CorruptArchive("layer", why) from error
            raise
        except OverflowError as error:
            raise CorruptArchive("layer", f"{_shown(entry.name)}: a number is too large") from error

    def finish(self) -> None:
        """Set the times of directories, which making their contents has changed."""
        for parts, mtime_ns in self._times.items():
            try:
                fd = open_beneath(self._root, _path(parts), _OPEN_DIRECTORY | os.O_NOFOLLOW)
            except OSError as error:
                if error.errno not in _ARCHIVE_ERRORS:
                    raise
                continue  # a later entry replaced it, or a directory above it
            try:
                _set_time(fd, mtime_ns)
            finally:
                os.close(fd)

    def _apply(self, entry: Entry, reader: TarReader) -> None:
        _check(entry)
        parts = components(entry.name)
        if not parts:
            if entry.kind is Kind.DIRECTORY:
                self._set_directory_metadata(parts, self._root, entry)
            return
        parent, base = self._directory(parts[:-1]), parts[-1]
        if base.startswith(_WHITEOUT):
            self._whiteout(parts, parent, base)
        elif entry.kind is Kind.DIRECTORY:
            self._make_directory(parent, base, replace=True)
            self._set_directory_metadata(parts, self._directory(parts), entry)
        elif entry.kind is Kind.FILE:
            self._make_file(parent, base, entry, reader)
        elif not (entry.kind is Kind.CHARACTER_DEVICE and entry.device == (0, 0)):
            self._make_node(parent, base, entry)

    # ── directories ──

    def _directory(self, parts: tuple[bytes, ...]) -> int:
        """An open directory, made with those above it if the archive did not care to; ours to close."""
        if not parts:
            return self._root
        if (fd := self._directories.get(parts)) is not None:
            self._directories.move_to_end(parts)
            return fd
        try:
            fd = open_beneath(self._root, _path(parts), _OPEN_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            parent = self._directory(parts[:-1])
            self._make_directory(parent, parts[-1], replace=False)
            fd = os.open(parts[-1], _OPEN_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            os.fchmod(fd, 0o755)
        self._directories[parts] = fd
        if len(self._directories) > _CACHED_DIRECTORIES:
            os.close(self._directories.popitem(last=False)[1])
        return fd

    def _make_directory(self, parent: int, base: bytes, *, replace: bool) -> None:
        try:
            os.mkdir(base, 0o755, dir_fd=parent)
            return
        except FileExistsError:
            there = os.lstat(base, dir_fd=parent)
        if stat.S_ISDIR(there.st_mode):
            return
        hidden = _is_whiteout(there)
        if not replace and not hidden:
            raise CorruptArchive("layer", f"{_shown(base)} is used as a directory and is none")
        self._remove(parent, base)
        os.mkdir(base, 0o755, dir_fd=parent)
        if hidden:  # the layer removes the directory below and brings a new one
            self._mark_opaque(parent, base)

    def _mark_opaque(self, parent: int, base: bytes) -> None:
        fd = os.open(base, _OPEN_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            os.setxattr(fd, OPAQUE, b"y")
        finally:
            os.close(fd)

    def _set_directory_metadata(self, parts: tuple[bytes, ...], fd: int, entry: Entry) -> None:
        _set_metadata(fd, entry)
        self._times[parts] = entry.mtime_ns

    def _forget_directories(self) -> None:
        while self._directories:
            os.close(self._directories.popitem()[1])

    # ── everything else ──

    def _whiteout(self, parts: tuple[bytes, ...], parent: int, base: bytes) -> None:
        if base == _WHITEOUT_OPAQUE:
            os.setxattr(parent, OPAQUE, b"y")
            self.opaque = self.opaque or len(parts) == 1
            return
        if (target := whiteout_target(base)) is None:
            return
        try:
            os.mknod(target, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)
        except FileExistsError:
            # The layer also brings something of that name; only what lies below is hidden.
            if stat.S_ISDIR(os.lstat(target, dir_fd=parent).st_mode):
                self._mark_opaque(parent, target)

    def _make_file(self, parent: int, base: bytes, entry: Entry, reader: TarReader) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(base, flags, 0o600, dir_fd=parent)
        except FileExistsError:
            self._remove(parent, base)
            fd = os.open(base, flags, 0o600, dir_fd=parent)
        try:
            if entry.extents is None:
                for piece in reader.data():
                    _write(fd, piece)
            else:
                _write_sparse(fd, entry, reader)
            _set_metadata(fd, entry)
            _set_time(fd, entry.mtime_ns)
        finally:
            os.close(fd)
        self.size += entry.stored_size

    def _make_node(self, parent: int, base: bytes, entry: Entry) -> None:
        try:
            self._make_special(parent, base, entry)
        except FileExistsError:
            if entry.kind is Kind.HARD_LINK and components(entry.link) == components(entry.name):
                return  # to itself: nothing to do, and removing it first would lose it
            self._remove(parent, base)
            self._make_special(parent, base, entry)
        if entry.kind is Kind.HARD_LINK:
            return  # everything else belongs to the file that it names
        os.chown(base, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        if entry.kind is not Kind.SYMLINK:
            os.chmod(base, entry.mode, dir_fd=parent)  # after chown, which clears the set-id bits
        _set_time(base, entry.mtime_ns, dir_fd=parent)

    def _make_special(self, parent: int, base: bytes, entry: Entry) -> None:
        if entry.kind is Kind.SYMLINK:
            os.symlink(entry.link, base, dir_fd=parent)
        elif entry.kind is Kind.HARD_LINK:
            self._make_hard_link(parent, base, entry)
        elif entry.kind is Kind.FIFO:
            os.mkfifo(base, 0o600, dir_fd=parent)
        else:
            kind = stat.S_IFBLK if entry.kind is Kind.BLOCK_DEVICE else stat.S_IFCHR
            os.mknod(base, kind | 0o600, os.makedev(*entry.device), dir_fd=parent)

    def _make_hard_link(self, parent: int, base: bytes, entry: Entry) -> None:
        target = components(entry.link)
        if not target:
            raise CorruptArchive("layer", f"hard link {_shown(entry.name)} to the root")
        source = open_beneath(self._root, _path(target[:-1]), os.O_PATH | os.O_DIRECTORY)
        try:
            os.link(target[-1], base, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        except PermissionError as error:  # what link(2) says to a directory
            why = f"hard link {_shown(entry.name)} to {_shown(entry.link)}: {error.strerror}"
            raise CorruptArchive("layer", why) from error
        finally:
            os.close(source)

    def _remove(self, parent: int, base: bytes) -> None:
        try:
            os.unlink(base, dir_fd=parent)
        except IsADirectoryError:
            self._workspace.discard(os.fsdecode(base), dir_fd=parent)
        # What was a directory, or a link to one, may be another now. ``parent`` stays open: its path is the
        # prefix of what was removed, never the other way round.
        keep = next((parts for parts, fd in self._directories.items() if fd == parent), None)
        for parts in [parts for parts in self._directories if parts != keep]:
            os.close(self._directories.pop(parts))


def _check(entry: Entry) -> None:
    if b"\0" in entry.name or b"\0" in entry.link:
        raise CorruptArchive("layer", f"entry {_shown(entry.name)} has a NUL in its name")
    if not (0 <= entry.uid < _NO_ID and 0 <= entry.gid < _NO_ID):
        raise CorruptArchive("layer", f"entry {_shown(entry.name)} has owner {entry.uid}:{entry.gid}")


def _is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _set_metadata(fd: int, entry: Entry) -> None:
    # Owner first: chown clears the set-id bits and security.capability.
    os.fchown(fd, entry.uid, entry.gid)
    os.fchmod(fd, entry.mode)
    for name, value in entry.xattrs.items():
        if kept_xattr(name):
            try:
                os.setxattr(fd, name, value)
            except OSError as error:
                if space.is_full(error):  # what ext4 says to a value that is too large for any attribute
                    raise OSError(errno.E2BIG, f"attribute {_shown(name)} is too large") from error
                raise


def _set_time(target: int | bytes, mtime_ns: int, *, dir_fd: int | None = None) -> None:
    time_ns = min(max(mtime_ns, 0), _LATEST_NS)
    if isinstance(target, int):
        os.utime(target, ns=(time_ns, time_ns))
    else:
        os.utime(target, ns=(time_ns, time_ns), dir_fd=dir_fd, follow_symlinks=False)


def _write(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, memoryview(data)[written:])


def _write_sparse(fd: int, entry: Entry, reader: TarReader) -> None:
    os.ftruncate(fd, entry.size)
    extents = iter(entry.extents or ())
    left = 0
    for piece in reader.data():
        view = memoryview(piece)
        while view:
            while not left:
                offset, left = next(extents)
                os.lseek(fd, offset, os.SEEK_SET)
            part = view[:left]
            _write(fd, bytes(part))
            left -= len(part)
            view = view[len(part) :]


def _path(parts: tuple[bytes, ...]) -> str:
    return os.fsdecode(b"/".join(parts))


def _shown(name: bytes) -> str:
    """A name from an archive, fit for one line of a message."""
    return repr(os.fsdecode(name[:200]))

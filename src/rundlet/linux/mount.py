"""The mount calls: fsopen(2) and its family, mount(2) where an old kernel needs it, pivot_root(2).

Constants are those of ``linux/mount.h``. Targets are given as descriptors; the caller resolved them with
:mod:`rundlet.linux.beneath`.
"""

from __future__ import annotations

import ctypes
import os

from rundlet.linux.syscalls import bind, failure

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

MOUNT_ATTR_RDONLY = 0x00000001
MOUNT_ATTR_NOSUID = 0x00000002
MOUNT_ATTR_NODEV = 0x00000004
MOUNT_ATTR_NOEXEC = 0x00000008
MOUNT_ATTR__ATIME = 0x00000070
"""Not a bit set but a field: RELATIME (0), NOATIME or STRICTATIME."""
MOUNT_ATTR_NOATIME = 0x00000010
MOUNT_ATTR_STRICTATIME = 0x00000020
MOUNT_ATTR_NODIRATIME = 0x00000080
MOUNT_ATTR_NOSYMFOLLOW = 0x00200000

MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20

MNT_DETACH = 2

PROC_SUPER_MAGIC = 0x9FA0
DEVPTS_SUPER_MAGIC = 0x1CD1

_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_BY_DESCRIPTORS = 0x04 | 0x40  # F_EMPTY_PATH, T_EMPTY_PATH
_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6


class _MountAttr(ctypes.Structure):
    _fields_ = [
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


_open_tree = bind("open_tree", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_move_mount = bind("move_mount", ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_fsopen = bind("fsopen", ctypes.c_char_p, ctypes.c_uint)
_fsconfig = bind("fsconfig", ctypes.c_int, ctypes.c_uint, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int)
_fsmount = bind("fsmount", ctypes.c_int, ctypes.c_uint, ctypes.c_uint)
_mount_setattr = bind(
    "mount_setattr", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_size_t
)
_mount = bind("mount", ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_umount2 = bind("umount2", ctypes.c_char_p, ctypes.c_int)
_pivot_root = bind("pivot_root", ctypes.c_char_p, ctypes.c_char_p)
_fstatfs = bind("fstatfs", ctypes.c_int, ctypes.c_void_p)


def clone_tree(directory: int, path: str = "", *, recursive: bool = False) -> int:
    """A detached copy of the mount at ``path`` (of ``directory`` itself when empty): what a bind mount is made of.

    open_tree(2). The source must be attached to the caller's mount namespace.
    """
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | (AT_RECURSIVE if recursive else 0) | (0 if path else AT_EMPTY_PATH)
    fd = _open_tree(directory, os.fsencode(path), flags)
    if fd < 0:
        raise failure(path)
    return fd


def attach(tree: int, target: int) -> None:
    """Attach the detached mount ``tree`` on the file or directory ``target``: move_mount(2)."""
    if _move_mount(tree, b"", target, b"", _MOVE_MOUNT_BY_DESCRIPTORS) < 0:
        raise failure()


def open_filesystem(kind: str) -> int:
    """A file system context of type ``kind`` that waits for its options: fsopen(2)."""
    fd = _fsopen(kind.encode(), _FSOPEN_CLOEXEC)
    if fd < 0:
        raise failure(kind)
    return fd


def configure(context: int, key: str, value: str | None = None) -> None:
    """Set one option of a file system context, a flag when there is no value (at most 255 bytes): fsconfig(2)."""
    command = _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING
    if _fsconfig(context, command, key.encode(), None if value is None else os.fsencode(value), 0) < 0:
        raise failure(key if value is None else f"{key}={value}")


def create_filesystem(context: int, attributes: int = 0) -> int:
    """Make the configured file system and a detached mount of it with ``MOUNT_ATTR_*``: fsmount(2)."""
    if _fsconfig(context, _FSCONFIG_CMD_CREATE, None, None, 0) < 0:
        raise failure()
    fd = _fsmount(context, _FSMOUNT_CLOEXEC, attributes)
    if fd < 0:
        raise failure()
    return fd


def set_attributes(
    mount: int, *, set_: int = 0, clear: int = 0, propagation: int = 0, recursive: bool = False
) -> None:
    """Change ``MOUNT_ATTR_*`` and propagation of the mount that ``mount`` is the root of: mount_setattr(2)."""
    attributes = _MountAttr(set_, clear, propagation, 0)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    if _mount_setattr(mount, b"", flags, ctypes.byref(attributes), ctypes.sizeof(attributes)) < 0:
        raise failure()


def mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    """The classic mount(2); ``options`` are at most one page."""
    if _mount(os.fsencode(source), os.fsencode(target), kind.encode(), flags, os.fsencode(options)) < 0:
        raise failure(target)


def detach(path: str) -> None:
    """Take the topmost mount at ``path`` and all below it out of the tree: umount2(2) with MNT_DETACH."""
    if _umount2(os.fsencode(path), MNT_DETACH) < 0:
        raise failure(path)


def pivot_root(new_root: str, put_old: str) -> None:
    if _pivot_root(os.fsencode(new_root), os.fsencode(put_old)) < 0:
        raise failure(new_root)


def filesystem_magic(fd: int) -> int:
    """``f_type`` of fstatfs(2), which os.fstatvfs leaves out."""
    buffer = (ctypes.c_long * 15)()  # struct statfs: 120 bytes on both architectures, f_type comes first
    if _fstatfs(fd, buffer) < 0:
        raise failure()
    return buffer[0]

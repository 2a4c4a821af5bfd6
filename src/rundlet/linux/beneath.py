"""The one way to a path below a root that somebody else controls: openat2(2).

Inside an image or a running container every component may be a symlink, and may become one between two
looks. ``RESOLVE_IN_ROOT`` makes absolute links and ``..`` stay inside; ``RESOLVE_NO_MAGICLINKS`` refuses
``/proc/*/fd``, ``/proc/*/root`` and their like, which lead anywhere (CVE-2019-19921, CVE-2021-30465,
CVE-2024-21626). What this module will not do is build a path by joining strings.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat

from rundlet.linux.syscalls import bind, failure

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

_AT_FDCWD = -100

_RETRIES = 128
"""``EAGAIN``: something was renamed while ``..`` was resolved. An attacker can cause it, not keep it up."""


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


_openat2 = bind("openat2", ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)


def open_beneath(root: int, path: str, flags: int, mode: int = 0, *, resolve: int = 0) -> int:
    """Open ``path`` as if the directory ``root`` were ``/``. ``resolve`` adds ``RESOLVE_*`` restrictions.

    ELOOP: a magic link, or with NO_SYMLINKS any link. EXDEV: with NO_XDEV, another mount.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve)
    name = os.fsencode(path) or b"."
    for _ in range(_RETRIES):
        fd = _openat2(root, name, ctypes.byref(how), ctypes.sizeof(how))
        if fd >= 0:
            return fd
        if ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
            break
    raise failure(path)


def crosses_magic_link(path: str) -> bool:
    """Whether ``path``, from the caller's own root or directory, leads through a magic link (or a loop)."""
    how = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, RESOLVE_NO_MAGICLINKS)
    fd = _openat2(_AT_FDCWD, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    if fd >= 0:
        os.close(fd)
    return fd < 0 and ctypes.get_errno() == errno.ELOOP


def make_directory_beneath(root: int, path: str, mode: int = 0o755, *, resolve: int = 0) -> int:
    """Open the directory ``path`` below ``root`` (O_PATH), making what is missing, one component at a time."""
    try:
        return open_beneath(root, path, os.O_PATH | os.O_DIRECTORY, resolve=resolve)
    except FileNotFoundError:
        if not path.strip("/"):
            raise
    parent, _, name = path.rstrip("/").rpartition("/")
    parent_fd = make_directory_beneath(root, parent, mode, resolve=resolve)
    try:
        # The name may have appeared meanwhile, and may be a symlink that dangles: then the open refuses it.
        make_directory_at(parent_fd, name, mode)
        return open_beneath(parent_fd, name, os.O_PATH | os.O_DIRECTORY, resolve=resolve | RESOLVE_NO_SYMLINKS)
    finally:
        os.close(parent_fd)


def make_file_beneath(root: int, path: str, mode: int = 0o644, *, resolve: int = 0) -> int:
    """Open the file ``path`` below ``root`` (O_PATH), making an empty one, and its directories, if missing."""
    try:
        return open_beneath(root, path, os.O_PATH, resolve=resolve)
    except FileNotFoundError:
        parent, _, name = path.rstrip("/").rpartition("/")
    parent_fd = make_directory_beneath(root, parent, resolve=resolve)
    try:
        # mknod(2) never opens, follows or truncates what may have appeared there meanwhile (CVE-2024-45310).
        make_node_at(parent_fd, name, stat.S_IFREG | mode)
        return open_beneath(parent_fd, name, os.O_PATH, resolve=RESOLVE_NO_SYMLINKS)
    finally:
        os.close(parent_fd)


def make_directory_at(directory: int, name: str, mode: int) -> None:
    """mkdirat(2); an existing name is no error: whoever opens it finds out what it is."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=directory)


def make_node_at(directory: int, name: str, mode: int, device: int = 0) -> None:
    """mknodat(2), with the type in ``mode``; an existing name is no error, as above."""
    with contextlib.suppress(FileExistsError):
        os.mknod(name, mode, device, dir_fd=directory)

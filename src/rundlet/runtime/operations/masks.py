"""Paths that a container must not read, or not write.

Each path is resolved once, to a descriptor, and covered by that descriptor: nothing can be exchanged between
the look and the mount (CVE-2025-31133, CVE-2025-52881). Before pivot_root(2), so that the null device
that covers files is the host's and not one the image brought.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from rundlet.linux.mount import MOUNT_ATTR_RDONLY, MS_PRIVATE
from rundlet.runtime.operations.base import Context, SetupError

_NULL_DEVICE = os.makedev(1, 3)


@dataclass(frozen=True, slots=True)
class MaskPath:
    """Cover a file with the null device, a directory with an empty one. A path that does not exist is masked."""

    path: str

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        if (target := _find(context, self.path)) is None:
            return
        if not stat.S_ISDIR(kernel.stat(target).st_mode):
            null = kernel.clone_tree(_open_null(context))
            # It is the host's own node: nobody in here may change its owner and mode.
            kernel.set_attributes(null, set_=MOUNT_ATTR_RDONLY)
            kernel.attach(null, target)
        elif context.mask < 0:
            context.mask = _empty_directory(context)
            kernel.attach(context.mask, target)
        else:
            # One file system for all: each of its own would have to be torn down at exit (runc issue 5275).
            kernel.attach(kernel.clone_tree(context.mask), target)

    def describe(self) -> str:
        return f"mask {self.path}"


@dataclass(frozen=True, slots=True)
class ProtectPath:
    """Make what is at a path, with all that is mounted below it, read-only. A path that does not exist is fine."""

    path: str

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        if (target := _find(context, self.path)) is None:
            return
        tree = kernel.clone_tree(target, recursive=True)
        kernel.set_attributes(tree, set_=MOUNT_ATTR_RDONLY, propagation=MS_PRIVATE, recursive=True)
        kernel.attach(tree, target)

    def describe(self) -> str:
        return f"make {self.path} read-only"


def _find(context: Context, path: str) -> int | None:
    try:
        return context.kernel.open_beneath(context.root, path, os.O_PATH)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None


def _open_null(context: Context) -> int:
    null = context.kernel.open("/dev/null", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    status = context.kernel.stat(null)
    if not stat.S_ISCHR(status.st_mode) or status.st_rdev != _NULL_DEVICE:
        raise SetupError("/dev/null of the host is not the null device", "system")
    return null


def _empty_directory(context: Context) -> int:
    filesystem = context.kernel.open_filesystem("tmpfs")
    for key, value in (("source", "tmpfs"), ("nr_blocks", "1"), ("nr_inodes", "2"), ("mode", "755")):
        context.kernel.configure(filesystem, key, value)
    return context.kernel.create_filesystem(filesystem, MOUNT_ATTR_RDONLY)

"""Whether this process runs in a chroot, where no container can be shut in.

pivot_root(2) of a container replaces the root *mount*. In a chroot the mount namespace goes on above that: the
container's root is then no more than a directory of a tree that still holds the host's files, setns(2) into the
container leads to the top of that tree, and so does chroot(2) from inside.
"""

from __future__ import annotations

import os

from rundlet.linux.process import CLONE_NEWNS, setns


def is_in_chroot() -> bool:
    """True if ``/`` of this process is not the root of its mount namespace.

    For a process with one thread: a child is forked, and moved by setns(2) to the root of the namespace. False
    when that is not permitted (it takes CAP_SYS_ADMIN and CAP_SYS_CHROOT): without them there are no containers.
    """
    child = os.fork()
    if child == 0:
        moved = False
        try:
            moved = _moves_by_joining_its_own_namespace()
        finally:
            os._exit(int(moved))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def _moves_by_joining_its_own_namespace() -> bool:
    fdinfo = os.open("/proc/self/fdinfo", os.O_RDONLY | os.O_DIRECTORY)
    namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    before = _identity_of_root(fdinfo)
    setns(namespace, CLONE_NEWNS)
    return _identity_of_root(fdinfo) != before


def _identity_of_root(fdinfo: int) -> tuple[int, str]:
    """Inode and mount: a bind mount of the root has the same inode."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    with open(os.open(str(root), os.O_RDONLY, dir_fd=fdinfo), encoding="ascii") as file:
        mount = next(line for line in file if line.startswith("mnt_id:"))
    return os.stat(root).st_ino, mount

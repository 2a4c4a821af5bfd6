"""The program's terminal and its standard streams."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass

from rundlet.linux.beneath import RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV
from rundlet.linux.mount import DEVPTS_SUPER_MAGIC
from rundlet.linux.pty import PTMX_DEVICE
from rundlet.runtime.operations.base import Context, SetupError

_NULL_DEVICE = os.makedev(1, 3)


@dataclass(frozen=True, slots=True)
class OpenTerminal:
    """Make a terminal of the container's own devpts and send the master home. After /dev/pts is mounted.

    With ``console`` the terminal is on /dev/console, too. The other end is opened from the master, not by
    its path (CVE-2025-52565).
    """

    size: tuple[int, int] | None
    console: bool

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        pts = kernel.open_beneath(context.root, "/dev/pts", os.O_PATH | os.O_DIRECTORY)
        if kernel.filesystem_magic(pts) != DEVPTS_SUPER_MAGIC:
            raise SetupError("/dev/pts is not a devpts: the container can have no terminal")
        # Inside a devpts only the kernel makes nodes; nothing mounted over one is followed.
        resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV
        master = kernel.open_beneath(pts, "ptmx", os.O_RDWR | os.O_NOCTTY, resolve=resolve)
        if kernel.stat(master).st_rdev != PTMX_DEVICE:
            raise SetupError("/dev/pts/ptmx is not the terminal multiplexer")
        context.terminal = kernel.open_peer(master)
        if self.size:
            kernel.set_window_size(master, *self.size)
        if self.console:
            target = kernel.make_file_beneath(context.root, "/dev/console", resolve=RESOLVE_NO_SYMLINKS)
            kernel.attach(kernel.clone_tree(context.terminal), target)
        context.handshake.send_console(master)

    def describe(self) -> str:
        return "make a terminal"


@dataclass(frozen=True, slots=True)
class SetStreams:
    """Put the standard streams on 0, 1 and 2; None is the container's null device. After /dev is there.

    Not the host's null device: through its descriptor the container could change its owner and mode.
    """

    streams: tuple[int | None, int | None, int | None]

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        if context.terminal >= 0:
            for number in range(3):
                kernel.dup2(context.terminal, number)
            kernel.make_controlling(0)
            return
        null = _open_null(context) if None in self.streams else -1
        for number, stream in enumerate(self.streams):
            kernel.dup2(null if stream is None else stream, number)

    def describe(self) -> str:
        return "set up the standard streams"


def _open_null(context: Context) -> int:
    # Opened before it is looked at, which its cgroup makes harmless: no other device could be opened here.
    null = context.kernel.open_beneath(context.root, "/dev/null", os.O_RDWR | os.O_NOCTTY)
    status = context.kernel.stat(null)
    if not stat.S_ISCHR(status.st_mode) or status.st_rdev != _NULL_DEVICE:
        raise SetupError("/dev/null of the container is not the null device")
    return null


@dataclass(frozen=True, slots=True)
class OwnStreams:
    """Give pipes and terminal to the program's user, who could not open /dev/stdout otherwise. Gid stays."""

    def execute(self, context: Context) -> None:
        for number in range(3):
            status = context.kernel.stat(number)
            is_device = stat.S_ISCHR(status.st_mode) and context.terminal < 0
            if status.st_uid != context.uid and not is_device:
                with contextlib.suppress(PermissionError):  # another file system's rule: then it stays so
                    context.kernel.chown(number, context.uid, -1)

    def describe(self) -> str:
        return "give the standard streams to the user"

"""Device nodes and the links of /dev."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass

from rundlet.runtime.config import Device
from rundlet.runtime.operations.base import Context, SetupError


@dataclass(frozen=True, slots=True)
class MakeDevice:
    """Make a device node, and look whether that is what stands there now (CVE-2025-31133). With umask 0."""

    device: Device

    def execute(self, context: Context) -> None:
        kernel, device = context.kernel, self.device
        directory, _, name = device.path.rpartition("/")
        parent = kernel.make_directory_beneath(context.root, directory)
        kernel.make_node_at(parent, name, device.mode, device.device)
        status = kernel.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_IFMT(status.st_mode) != stat.S_IFMT(device.mode) or status.st_rdev != device.device:
            raise SetupError(f"{device.path}: something else is there already")
        if (status.st_uid, status.st_gid) != (device.uid, device.gid):
            kernel.chown(name, device.uid, device.gid, dir_fd=parent, follow_symlinks=False)
        if status.st_mode != device.mode:
            node = kernel.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            kernel.chmod(f"/proc/self/fd/{node}", stat.S_IMODE(device.mode))

    def describe(self) -> str:
        return f"make the device {self.device.path}"


@dataclass(frozen=True, slots=True)
class MakeLinks:
    """The symlinks that every program expects in /dev. What an image has there already stays, but for ptmx:
    that must be the terminal multiplexer of the container's own devpts."""

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        dev = kernel.make_directory_beneath(context.root, "/dev")
        for name, target in _LINKS:
            if name == "ptmx":
                with contextlib.suppress(FileNotFoundError):
                    kernel.unlink(name, dir_fd=dev)
            with contextlib.suppress(FileExistsError):
                kernel.symlink(target, name, dir_fd=dev)

    def describe(self) -> str:
        return "make the links in /dev"


_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
)


def _character(name: str, major: int, minor: int) -> Device:
    return Device(f"/dev/{name}", stat.S_IFCHR | 0o666, os.makedev(major, minor), 0, 0)


DEFAULT_DEVICES = (
    _character("null", 1, 3),
    _character("zero", 1, 5),
    _character("full", 1, 7),
    _character("random", 1, 8),
    _character("urandom", 1, 9),
    _character("tty", 5, 0),
)
"""config-linux.md#default-devices"""

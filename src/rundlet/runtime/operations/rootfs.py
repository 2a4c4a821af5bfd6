"""The root file system: mounting it, making it the root, and what of it is read-only."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

from rundlet.linux.mount import MOUNT_ATTR_RDONLY, MS_PRIVATE, MS_SHARED, MS_SLAVE
from rundlet.runtime.messages import Overlay
from rundlet.runtime.operations.base import Context

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class LeaveHostMounts:
    """Stop mounts made here from showing on the host. Before any other mount.

    A root that is to be shared with the host keeps its peers. Then at least the mount that holds the
    root file system is made private, or pivot_root(2) would refuse it and the mounts on it would leak.
    """

    rootfs: str
    propagation: int

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        if self.propagation != MS_SHARED:
            kernel.set_attributes(kernel.open("/", _DIRECTORY), propagation=MS_SLAVE, recursive=True)
            return
        path = self.rootfs
        while True:
            try:
                kernel.set_attributes(kernel.open(path, _DIRECTORY), propagation=MS_PRIVATE)
            except OSError as error:
                # EINVAL: not the root of a mount; its parent directory may be.
                if error.errno != errno.EINVAL or path == "/":
                    raise
                path = os.path.dirname(path)
            else:
                return

    def describe(self) -> str:
        return "separate the container's mounts from the host's"


@dataclass(frozen=True, slots=True)
class MountOverlay:
    """Mount the layers on the root directory, in this mount namespace only."""

    path: str
    overlay: Overlay

    def execute(self, context: Context) -> None:
        # The kernel gets the directories as /proc/self/fd/N: no ":", "," or "\\" to escape, no limit of
        # 255 bytes an option or 4095 bytes in all, and no host path for a container to read in mountinfo.
        kernel = context.kernel
        lower = [kernel.open(path, _DIRECTORY) for path in self.overlay.lower]
        upper, work = (kernel.open(path, _DIRECTORY) for path in (self.overlay.upper, self.overlay.work))
        options = _OVERLAY_OPTIONS + (("volatile",) if self.overlay.volatile else ())
        try:
            context.root = self._mount_by_fsconfig(context, lower, upper, work, options)
        except OSError as error:
            # EINVAL: a kernel before 6.7 knows no "lowerdir+". If it means anything else, mount(2) says it again.
            if error.errno != errno.EINVAL:
                raise
            context.root = self._mount_by_options(context, lower, upper, work, options)

    def _mount_by_fsconfig(
        self, context: Context, lower: list[int], upper: int, work: int, options: tuple[str, ...]
    ) -> int:
        kernel = context.kernel
        filesystem = kernel.open_filesystem("overlay")
        for fd in lower:
            kernel.configure(filesystem, "lowerdir+", f"/proc/self/fd/{fd}")
        kernel.configure(filesystem, "source", "overlay")
        kernel.configure(filesystem, "upperdir", f"/proc/self/fd/{upper}")
        kernel.configure(filesystem, "workdir", f"/proc/self/fd/{work}")
        for option in options:
            key, separator, value = option.partition("=")
            kernel.configure(filesystem, key, value if separator else None)
        tree = kernel.create_filesystem(filesystem)
        kernel.attach(tree, kernel.open(self.path, _DIRECTORY | os.O_NOFOLLOW))
        return tree

    def _mount_by_options(
        self, context: Context, lower: list[int], upper: int, work: int, options: tuple[str, ...]
    ) -> int:
        """Before Linux 6.7 all layers are one string, at most a page: names in the directory of descriptors."""
        kernel = context.kernel
        kernel.chdir("/proc/self/fd")
        layers = ":".join(map(str, lower))
        data = ",".join((f"lowerdir={layers}", f"upperdir={upper}", f"workdir={work}", *options))
        kernel.mount("overlay", self.path, "overlay", 0, data)
        kernel.chdir("/")
        return kernel.open(self.path, _DIRECTORY | os.O_NOFOLLOW)

    def describe(self) -> str:
        return f"mount the image's {len(self.overlay.lower)} layers on {self.path}"


# Whatever the kernel's build chose as default: an upper directory must mean the same on every machine,
# and be readable without its lower ones, so that it can be committed and compared.
_OVERLAY_OPTIONS = ("index=off", "metacopy=off", "redirect_dir=off")


@dataclass(frozen=True, slots=True)
class BindRoot:
    """Make a mount of a root directory that already holds its files: pivot_root(2) takes nothing else."""

    path: str

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        target = kernel.open(self.path, _DIRECTORY | os.O_NOFOLLOW)
        context.root = kernel.clone_tree(target, recursive=True)
        kernel.attach(context.root, target)

    def describe(self) -> str:
        return f"bind the root directory {self.path}"


@dataclass(frozen=True, slots=True)
class MakeReadonlyRoot:
    """Make the root mount read-only; mounts on it stay as they are. After whatever writes to the root."""

    def execute(self, context: Context) -> None:
        context.kernel.set_attributes(context.root, set_=MOUNT_ATTR_RDONLY)

    def describe(self) -> str:
        return "make the root file system read-only"


@dataclass(frozen=True, slots=True)
class PivotRoot:
    """Make the root the root, and the host's tree unreachable: pivot_root(2) onto itself, as its page says."""

    propagation: int
    recursive: bool

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        old = kernel.open("/", _DIRECTORY)
        kernel.chdir(context.root)
        kernel.pivot_root(".", ".")
        if self.propagation == MS_SHARED:
            # The old tree still has its peers: unmounting it here must not unmount it there.
            kernel.set_attributes(old, propagation=MS_SLAVE, recursive=True)
        kernel.detach(".")
        kernel.chdir("/")
        if self.propagation:
            # Only now: an unbindable root could not have been bound, a shared one not pivoted to.
            kernel.set_attributes(context.root, propagation=self.propagation, recursive=self.recursive)

    def describe(self) -> str:
        return "change the root directory"

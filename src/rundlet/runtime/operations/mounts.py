"""The mounts of a config, each on a target below the root that is opened, never joined."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from rundlet.linux.beneath import RESOLVE_NO_SYMLINKS
from rundlet.linux.mount import AT_FDCWD, MOUNT_ATTR_RDONLY, PROC_SUPER_MAGIC
from rundlet.runtime.config import PROC_FILES, Mount
from rundlet.runtime.operations.base import Context, SetupError

_PROC_ROOT_INODE = 1
_UNMASKED = ("proc", "sysfs")
"""What must be exactly where the masks will look for it, so no symlink may lead there (CVE-2019-19921)."""


@dataclass(frozen=True, slots=True)
class MountFilesystem:
    """Mount a file system of the kernel: proc, sysfs, tmpfs, devpts, mqueue, …

    A read-only tmpfs is mounted writable, because targets of other mounts may have to be made in it;
    :class:`MakeReadonly` follows at the end.
    """

    mount: Mount

    def execute(self, context: Context) -> None:
        kernel, mount = context.kernel, self.mount
        target, mode = self._open_target(context)
        filesystem = kernel.open_filesystem(mount.kind)
        kernel.configure(filesystem, "source", mount.source or mount.kind)
        for key, value in mount.options.data:
            kernel.configure(filesystem, key, value)
        if mode and not any(key == "mode" for key, _ in mount.options.data):
            kernel.configure(filesystem, "mode", f"{mode:o}")
        for flag in mount.options.filesystem_flags:
            kernel.configure(filesystem, flag)
        attributes = mount.options.attributes.set | mount.options.recursive_attributes.set
        if is_readonly_late(mount):
            attributes &= ~MOUNT_ATTR_RDONLY
        tree = kernel.create_filesystem(filesystem, attributes)
        if mount.options.propagation:
            kernel.set_attributes(tree, propagation=mount.options.propagation)
        kernel.attach(tree, target)
        if mount.destination == "/proc":
            context.proc = tree

    def _open_target(self, context: Context) -> tuple[int, int]:
        """The target, and the mode that a tmpfs takes over from the directory it covers (0: there was none)."""
        kernel, mount = context.kernel, self.mount
        resolve = RESOLVE_NO_SYMLINKS if mount.kind in _UNMASKED else 0
        try:
            target = kernel.open_beneath(
                context.root, mount.destination, os.O_PATH | os.O_DIRECTORY, resolve=resolve
            )
        except FileNotFoundError:
            return kernel.make_directory_beneath(context.root, mount.destination, resolve=resolve), 0
        refuse_inside_proc(context, target, mount.destination)
        return target, stat.S_IMODE(kernel.stat(target).st_mode) if mount.kind == "tmpfs" else 0

    def describe(self) -> str:
        return f"mount {self.mount.kind} on {self.mount.destination}"


@dataclass(frozen=True, slots=True)
class BindMount:
    """Bind a file or directory of the host. Before pivot_root(2), while its path still means something."""

    mount: Mount

    def execute(self, context: Context) -> None:
        kernel, options = context.kernel, self.mount.options
        tree = kernel.clone_tree(AT_FDCWD, self.mount.source, recursive=options.recursive)
        # The copy is attached to nothing yet: nobody sees it without its attributes.
        for attributes, recursive in (options.attributes, False), (options.recursive_attributes, True):
            if attributes:
                kernel.set_attributes(tree, set_=attributes.set, clear=attributes.clear, recursive=recursive)
        if options.propagation:
            kernel.set_attributes(tree, propagation=options.propagation, recursive=options.propagation_recursive)
        source = kernel.stat(tree)
        make = kernel.make_directory_beneath if stat.S_ISDIR(source.st_mode) else kernel.make_file_beneath
        target = make(context.root, self.mount.destination)
        if self.mount.destination == "/proc":
            is_proc = kernel.filesystem_magic(tree) == PROC_SUPER_MAGIC and source.st_ino == _PROC_ROOT_INODE
            if not is_proc:
                raise SetupError(f'"{self.mount.source}" is not a procfs: it cannot be mounted on /proc')
        else:
            refuse_inside_proc(context, target, self.mount.destination)
        kernel.attach(tree, target)

    def describe(self) -> str:
        return f"bind {self.mount.source} to {self.mount.destination}"


@dataclass(frozen=True, slots=True)
class MakeReadonly:
    """Make the mount at ``destination`` read-only. After all that is made in it."""

    destination: str

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        mount = kernel.open_beneath(context.root, self.destination, os.O_PATH | os.O_DIRECTORY)
        kernel.set_attributes(mount, set_=MOUNT_ATTR_RDONLY)

    def describe(self) -> str:
        return f"make {self.destination} read-only"


def is_readonly_late(mount: Mount) -> bool:
    """Whether the mount is to be read-only, but not before others were made in it."""
    return mount.kind == "tmpfs" and mount.options.is_readonly


def refuse_inside_proc(context: Context, target: int, destination: str) -> None:
    """A path may lead into /proc by a symlink of the image: look at where it led (CVE-2023-27561)."""
    if destination == "/proc" or destination in PROC_FILES:
        return
    if context.kernel.filesystem_magic(target) == PROC_SUPER_MAGIC:
        raise SetupError(f'"{destination}" cannot be mounted because it is inside /proc')

"""The container's view of its cgroups at /sys/fs/cgroup.

    version 2     one cgroup2 mount; it shows the container's own cgroup as its root
    version 1     a tmpfs with one directory for each hierarchy, symlinks for joined controllers,
    and hybrid    made read-only once it is filled

Without a cgroup namespace the container's own directories are bound instead: never the host's tree.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from rundlet.linux.mount import AT_FDCWD, MOUNT_ATTR_RDONLY
from rundlet.runtime.config import Mount
from rundlet.runtime.operations.base import Context

_TMPFS_SIZE = (("size", "64k"), ("nr_inodes", "64"), ("mode", "755"))


@dataclass(frozen=True, slots=True)
class MountCgroups:
    """Mount what the container may see of ``directories``: name of the hierarchy -> its cgroup on the host.

    The name is the mount option: "cpu,cpuacct", "name=systemd", or "" for version 2.
    """

    mount: Mount
    directories: Mapping[str, str]

    def execute(self, context: Context) -> None:
        kernel, mount = context.kernel, self.mount
        target = kernel.make_directory_beneath(context.root, mount.destination)
        attributes = mount.options.attributes
        if list(self.directories) == [""]:
            self._bind(context, self.directories[""], target)
            return
        filesystem = kernel.open_filesystem("tmpfs")
        for key, value in (("source", "tmpfs"), *_TMPFS_SIZE):
            kernel.configure(filesystem, key, value)
        top = kernel.create_filesystem(filesystem, attributes.set & ~MOUNT_ATTR_RDONLY)
        kernel.attach(top, target)
        for hierarchy, directory in self.directories.items():
            name = hierarchy.removeprefix("name=") or "unified"
            kernel.mkdir(name, 0o755, dir_fd=top)
            self._bind(context, directory, kernel.open_beneath(top, name, os.O_PATH | os.O_DIRECTORY))
            if "," in name:
                for controller in name.split(","):
                    kernel.symlink(name, controller, dir_fd=top)
        if mount.options.is_readonly:
            kernel.set_attributes(top, set_=MOUNT_ATTR_RDONLY)

    def _bind(self, context: Context, directory: str, target: int) -> None:
        kernel, attributes = context.kernel, self.mount.options.attributes
        tree = kernel.clone_tree(AT_FDCWD, directory)
        kernel.set_attributes(tree, set_=attributes.set, clear=attributes.clear)
        kernel.attach(tree, target)

    def describe(self) -> str:
        return f"mount cgroups on {self.mount.destination}"

"""The ``options`` of an OCI mount, sorted by the kernel call that each belongs to.

A mount has attributes (``MOUNT_ATTR_*``, mount_setattr(2)), a propagation, and its file system has flags and
``key=value`` data of its own (fsconfig(2)). In fstab's style they all stand in one list; a later option
overrides an earlier one. config.md#mounts, config-linux.md, mount(8).
"""

from __future__ import annotations

from dataclasses import dataclass

from rundlet.errors import InvalidArgument, NotImplementedHere
from rundlet.linux import mount


@dataclass(frozen=True, slots=True)
class Attributes:
    """``MOUNT_ATTR_*`` to set and to clear, as mount_setattr(2) takes them."""

    set: int = 0
    clear: int = 0

    def __bool__(self) -> bool:
        return bool(self.set or self.clear)

    def with_(self, set_: int, clear: int) -> Attributes:
        return Attributes(self.set & ~clear | set_, self.clear & ~set_ | clear)


@dataclass(frozen=True, slots=True)
class MountOptions:
    bind: bool = False
    recursive: bool = False
    """rbind: with the mounts below the source."""
    attributes: Attributes = Attributes()
    recursive_attributes: Attributes = Attributes()
    """For the whole tree: ``rro`` and its kin."""
    propagation: int = 0
    propagation_recursive: bool = False
    filesystem_flags: tuple[str, ...] = ()
    data: tuple[tuple[str, str | None], ...] = ()
    """(key, value), or (flag, None), for the file system."""

    @property
    def is_readonly(self) -> bool:
        return bool(self.attributes.set & mount.MOUNT_ATTR_RDONLY)


PROPAGATION = {
    name: (flag, recursive)
    for recursive in (False, True)
    for name, flag in {
        "r" * recursive + "private": mount.MS_PRIVATE,
        "r" * recursive + "slave": mount.MS_SLAVE,
        "r" * recursive + "shared": mount.MS_SHARED,
        "r" * recursive + "unbindable": mount.MS_UNBINDABLE,
    }.items()
}

_ATIME = mount.MOUNT_ATTR__ATIME
_ATTRIBUTES: dict[str, tuple[int, int]] = {
    "ro": (mount.MOUNT_ATTR_RDONLY, 0),
    "rw": (0, mount.MOUNT_ATTR_RDONLY),
    "nosuid": (mount.MOUNT_ATTR_NOSUID, 0),
    "suid": (0, mount.MOUNT_ATTR_NOSUID),
    "nodev": (mount.MOUNT_ATTR_NODEV, 0),
    "dev": (0, mount.MOUNT_ATTR_NODEV),
    "noexec": (mount.MOUNT_ATTR_NOEXEC, 0),
    "exec": (0, mount.MOUNT_ATTR_NOEXEC),
    "nodiratime": (mount.MOUNT_ATTR_NODIRATIME, 0),
    "diratime": (0, mount.MOUNT_ATTR_NODIRATIME),
    "nosymfollow": (mount.MOUNT_ATTR_NOSYMFOLLOW, 0),
    "symfollow": (0, mount.MOUNT_ATTR_NOSYMFOLLOW),
    # One field of three values: to change it, all its bits are cleared first (mount_setattr(2)).
    "relatime": (0, _ATIME),
    "norelatime": (mount.MOUNT_ATTR_STRICTATIME, _ATIME),
    "atime": (0, _ATIME),
    "noatime": (mount.MOUNT_ATTR_NOATIME, _ATIME),
    "strictatime": (mount.MOUNT_ATTR_STRICTATIME, _ATIME),
    "nostrictatime": (0, _ATIME),
}
_FILESYSTEM_FLAGS = frozenset({"sync", "dirsync", "lazytime", "mand", "iversion"})
_NO_EFFECT = frozenset({"defaults", "async", "nolazytime", "nomand", "noiversion", "loud", "silent", "_netdev"})


def parse_mount_options(options: list[str], where: str) -> MountOptions:
    """Sort ``options``. What no mount knows is left to the file system as data."""
    bind = recursive = propagation_recursive = False
    attributes = recursive_attributes = Attributes()
    propagation = 0
    flags: list[str] = []
    data: list[tuple[str, str | None]] = []
    for option in options:
        if option in ("bind", "rbind"):
            bind, recursive = True, recursive or option == "rbind"
        elif option in _ATTRIBUTES:
            attributes = attributes.with_(*_ATTRIBUTES[option])
        elif option in PROPAGATION:
            propagation, propagation_recursive = PROPAGATION[option]
        elif option[:1] == "r" and option[1:] in _ATTRIBUTES:
            recursive_attributes = recursive_attributes.with_(*_ATTRIBUTES[option[1:]])
        elif option in _FILESYSTEM_FLAGS:
            flags.append(option)
        elif option.partition("=")[0] in ("idmap", "ridmap"):
            raise NotImplementedHere(f"{where}: idmapped mounts are not offered in this version")
        elif option and option not in _NO_EFFECT:
            key, separator, value = option.partition("=")
            if "\0" in option or not key:
                raise InvalidArgument(f"{where}: {option!r} is not a mount option")
            data.append((key, value if separator else None))
    return MountOptions(
        bind, recursive, attributes, recursive_attributes, propagation, propagation_recursive,
        tuple(flags), tuple(data),
    )  # fmt: skip

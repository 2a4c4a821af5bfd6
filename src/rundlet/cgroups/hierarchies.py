"""Which cgroup hierarchies this machine has, and the interface of a group in them.

What it will not do: mount a hierarchy, or change one that is there. See cgroups(7).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from rundlet.errors import Unsupported

if TYPE_CHECKING:
    from rundlet.cgroups.stats import Stats


class Cgroup(Protocol):
    """One group, in every hierarchy. Making the object touches nothing; errors are of :mod:`rundlet.errors`."""

    @property
    def path(self) -> str:
        """Below the root of each hierarchy: ``/rundlet/<container id>``."""

    @property
    def directories(self) -> Mapping[str, str]:
        """Hierarchy -> the group's directory. A hierarchy is named as in its mount: ``cpu,cpuacct``,
        ``name=systemd``; the unified tree is ``""``."""

    @property
    def unified_fd(self) -> int | None:
        """The directory in the unified tree, open from :meth:`create` to :meth:`close`: for CLONE_INTO_CGROUP."""

    def create(self) -> None:
        """Make the group. Conflict when it exists and is in use; on failure nothing is left."""

    def apply(self, resources: Mapping[str, Any]) -> None:
        """Set the limits of an OCI ``linux.resources`` object; a key that is missing or null changes nothing.

        InvalidArgument for a limit that makes no sense or that the kernel refuses, Unsupported when this machine
        cannot enforce it.
        """

    def join(self, pid: int) -> None:
        """Move a process that was cloned into :attr:`unified_fd` into the other hierarchies, too."""

    def pids(self) -> list[int]:
        """Every process in it and in groups below it."""

    def freeze(self) -> None:
        """Stop every process. Blocks until all have stopped, at most two seconds; then thaws and raises."""

    def thaw(self) -> None:
        """Let them run. No error if they do, or if the group is gone."""

    def is_frozen(self) -> bool: ...

    def kill(self) -> None:
        """SIGKILL every process, frozen or not. They are dead a little later; never blocks."""

    def oom_kills(self) -> int:
        """How many processes the kernel has killed because the group was at its memory limit."""

    def stats(self) -> Stats: ...

    def remove(self) -> bool:
        """Remove it and the groups below. False: still busy, try again later. Never blocks."""

    def close(self) -> None:
        """Release :attr:`unified_fd`; the group stays."""


@dataclass(frozen=True)
class Hierarchies:
    controllers: Mapping[str, str]
    """v1 controller, or ``name=…`` of a hierarchy without one -> mount point. Joined ones share a mount point."""
    unified: str | None
    """Mount point of the unified tree, if there is one."""

    def cgroup(self, path: str) -> Cgroup:
        from rundlet.cgroups.v1 import CgroupV1

        return CgroupV1(self, path)


_FLAGS = {"rw", "ro", "xattr", "noprefix", "clone_children", "favordynmods", "cpuset_v2_mode", "nonroot_cgroup"}
"""Options of a cgroup mount that are no controllers."""


def detect(mounts: str = "/proc/self/mountinfo") -> Hierarchies:
    """The hierarchies that are mounted (proc_pid_mountinfo(5)). Unsupported when there is nothing to work with."""
    controllers: dict[str, str] = {}
    unified: str | None = None
    with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            kind, _, options = after.split()[:3]
            mount_point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), before.split()[4])
            if kind == "cgroup2" and unified is None:
                unified = mount_point
            elif kind == "cgroup":
                for name in options.split(","):
                    if name not in _FLAGS and not name.startswith("release_agent="):
                        controllers.setdefault(name, mount_point)
    if controllers:
        return Hierarchies(controllers, unified)
    if unified is not None:
        raise Unsupported(
            "containers with cgroup v2 alone (only the unified hierarchy is mounted)",
            "boot with systemd.unified_cgroup_hierarchy=0, or wait for a later version",
        )
    raise Unsupported("containers without control groups", "mount the cgroup hierarchies below /sys/fs/cgroup")

"""From a checked config to the list of operations that makes a container of it.

Pure: no call is made here, and the order below is the whole design. Each rule stands in the docstring of
the operation that needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rundlet.linux.process import CLONE_NEWCGROUP, CLONE_NEWNET, CLONE_NEWPID, Program
from rundlet.runtime.config import Config, Mount, Process
from rundlet.runtime.messages import Overlay
from rundlet.runtime.operations import Operation
from rundlet.runtime.operations.cgroup_mounts import MountCgroups
from rundlet.runtime.operations.credentials import (
    DropBounding,
    FindUser,
    LoadSeccomp,
    SetCapabilities,
    SetLimits,
    SetNoNewPrivileges,
    SwitchUser,
)
from rundlet.runtime.operations.devices import DEFAULT_DEVICES, MakeDevice, MakeLinks
from rundlet.runtime.operations.identity import (
    AwaitCgroups,
    JoinContainer,
    JoinKeyring,
    JoinNamespace,
    NewCgroupNamespace,
    NewSession,
    RaiseLoopback,
    SetDomainName,
    SetHostName,
    SetOomScore,
    SetSysctl,
)
from rundlet.runtime.operations.masks import MaskPath, ProtectPath
from rundlet.runtime.operations.mounts import BindMount, MakeReadonly, MountFilesystem, is_readonly_late
from rundlet.runtime.operations.program import (
    AnnounceReady,
    CloseDescriptors,
    EnterWorkingDirectory,
    Execute,
    MakeWorkingDirectory,
    RefuseMagicLinks,
    RetryDirectory,
    SetHome,
    SetUmask,
    candidates,
)
from rundlet.runtime.operations.rootfs import (
    BindRoot,
    LeaveHostMounts,
    MakeReadonlyRoot,
    MountOverlay,
    PivotRoot,
)
from rundlet.runtime.operations.streams import OpenTerminal, OwnStreams, SetStreams


@dataclass(frozen=True, slots=True)
class ChildStdio:
    """Descriptors that become 0, 1 and 2 of the program; they stay the caller's. None is the null device.

    With ``terminal`` there are none: the program gets a new terminal of its container.
    """

    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None
    terminal: bool = False
    console_size: tuple[int, int] | None = None
    """Rows, columns."""

    def __post_init__(self) -> None:
        if any(fd is not None and fd < 3 for fd in self.streams):
            raise ValueError("a stream of a child must not be one of the caller's standard streams")

    @property
    def streams(self) -> tuple[int | None, int | None, int | None]:
        return self.stdin, self.stdout, self.stderr


def plan_container(
    config: Config,
    *,
    overlay: Overlay | None,
    seccomp: bytes | None,
    stdio: ChildStdio,
    namespaces: Sequence[tuple[int, str, int]],
    cgroups: Mapping[str, str],
) -> list[Operation]:
    """Everything that the first process of a container does.

    ``namespaces`` are the ones to be joined, opened: (kind, path, descriptor). The pid namespace is not: a
    process is born in it. ``cgroups`` are the container's cgroup directories on the host by hierarchy, see
    :class:`MountCgroups`.
    """
    process = config.process
    plan: list[Operation] = []
    if process.oom_score_adj is not None:
        plan.append(SetOomScore(process.oom_score_adj))
    plan += [JoinNamespace(kind, path, fd) for kind, path, fd in namespaces if kind != CLONE_NEWPID]
    plan += [JoinKeyring(keyring_name(config)), NewSession()]
    plan.append(LeaveHostMounts(config.root.path, config.root_propagation))
    plan.append(MountOverlay(config.root.path, overlay) if overlay else BindRoot(config.root.path))
    plan.append(AwaitCgroups())
    if config.namespaces.new & CLONE_NEWCGROUP:
        plan.append(NewCgroupNamespace())
    plan += _plan_root(config, stdio, cgroups)
    plan.append(PivotRoot(config.root_propagation, config.root_propagation_recursive))
    if config.hostname:
        plan.append(SetHostName(config.hostname))
    if config.domainname:
        plan.append(SetDomainName(config.domainname))
    if config.namespaces.new & CLONE_NEWNET:
        plan.append(RaiseLoopback())
    return plan + _plan_process(process, seccomp, stdio)


def _plan_root(config: Config, stdio: ChildStdio, cgroups: Mapping[str, str]) -> list[Operation]:
    """What is mounted, made, covered and protected in the root file system while the host's is still there."""
    plan = [_mount(mount, cgroups) for mount in config.mounts]
    plan += _plan_devices(config)
    if stdio.terminal:
        plan.append(OpenTerminal(stdio.console_size, console=True))
    plan += [SetSysctl(path, value) for path, value in config.sysctl]
    plan += [ProtectPath(path) for path in config.readonly_paths]
    plan += [MaskPath(path) for path in config.masked_paths]
    plan.append(MakeWorkingDirectory(config.process.cwd))
    plan += [MakeReadonly(mount.destination) for mount in config.mounts if is_readonly_late(mount)]
    if config.root.readonly:
        plan.append(MakeReadonlyRoot())
    return plan


def plan_exec(
    config: Config,
    process: Process,
    *,
    init_pidfd: int,
    seccomp: bytes | None,
    stdio: ChildStdio,
) -> list[Operation]:
    """Everything that a further process of a running container does."""
    plan: list[Operation] = []
    if process.oom_score_adj is not None:
        plan.append(SetOomScore(process.oom_score_adj))
    plan += [
        JoinKeyring(keyring_name(config)),
        NewSession(),
        JoinContainer(init_pidfd, config.namespaces.all & ~CLONE_NEWPID),
        AwaitCgroups(),
    ]
    if stdio.terminal:
        plan.append(OpenTerminal(stdio.console_size, console=False))
    return plan + _plan_process(process, seccomp, stdio)


def keyring_name(config: Config) -> str:
    """The container's id is the last part of its cgroup's path. Without one nobody can share its keyring."""
    container_id = config.cgroups_path.rpartition("/")[2]
    return f"_ses.{container_id}" if container_id else ""


def _mount(mount: Mount, cgroups: Mapping[str, str]) -> Operation:
    if mount.kind == "bind":
        return BindMount(mount)
    if mount.kind == "cgroup":
        return MountCgroups(mount, cgroups)
    return MountFilesystem(mount)


def _plan_devices(config: Config) -> list[Operation]:
    """Nothing is made in a /dev that the user brought along."""
    if any(mount.destination == "/dev" and mount.kind == "bind" for mount in config.mounts):
        return []
    wanted = {device.path: device for device in (*DEFAULT_DEVICES, *config.devices)}
    bound = {mount.destination for mount in config.mounts}
    return [*(MakeDevice(device) for path, device in wanted.items() if path not in bound), MakeLinks()]


def _plan_process(process: Process, seccomp: bytes | None, stdio: ChildStdio) -> list[Operation]:
    """What a container's first process and an exec have in common: all that follows the file systems."""
    program = Program(process.arguments, process.environment)
    environment = dict(variable.partition("=")[::2] for variable in process.environment)
    paths = candidates(process.arguments[0], environment.get("PATH"))
    plan: list[Operation] = [
        SetStreams(stdio.streams),
        FindUser(process.user),
        EnterWorkingDirectory(process.cwd),
        RefuseMagicLinks(paths),
        SetUmask(process.user.umask),
    ]
    if "HOME" not in environment:
        plan.append(SetHome(program))
    plan += [OwnStreams(), CloseDescriptors(), AnnounceReady(), SetLimits(process.rlimits)]
    if seccomp is not None and not process.no_new_privileges:
        plan.append(LoadSeccomp(seccomp))
    plan += [DropBounding(process.capabilities.bounding), SwitchUser()]
    if process.cwd != "/":
        plan.append(RetryDirectory(process.cwd))
    plan.append(SetCapabilities(process.capabilities))
    if process.no_new_privileges:
        plan.append(SetNoNewPrivileges())
        if seccomp is not None:
            plan.append(LoadSeccomp(seccomp))
    plan.append(Execute(process.arguments[0], paths, program))
    return plan

"""An OCI runtime-spec config, read and checked before anything is done about it.

:func:`parse` turns the JSON object into a :class:`Config`, or raises :class:`~rundlet.errors.InvalidArgument`
that names the offending member. Afterwards nothing of the config can fail for its form, only for what
the machine says. Properties that the specification does not know are ignored, as it demands.

https://github.com/opencontainers/runtime-spec/blob/main/config.md and config-linux.md. Beyond it:
``process.user.username`` may be Docker's ``name|uid[:group|gid]``, looked up in the container's own
``/etc/passwd`` and ``/etc/group``, and ``process.user.additionalGroups`` names more groups in the same way.

What this module will not do is look at the machine: no path is opened here.
"""

from __future__ import annotations

import posixpath
import re
import resource
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rundlet.errors import InvalidArgument, NotImplementedHere
from rundlet.linux import capabilities, process
from rundlet.runtime.members import Members
from rundlet.runtime.mount_options import PROPAGATION, MountOptions, parse_mount_options

NAMESPACES = {
    "pid": process.CLONE_NEWPID,
    "network": process.CLONE_NEWNET,
    "mount": process.CLONE_NEWNS,
    "ipc": process.CLONE_NEWIPC,
    "uts": process.CLONE_NEWUTS,
    "cgroup": process.CLONE_NEWCGROUP,
    "time": process.CLONE_NEWTIME,
    "user": process.CLONE_NEWUSER,
}

RLIMITS = {name: number for name, number in vars(resource).items() if name.startswith("RLIMIT_")}

PROC_FILES = frozenset(
    f"/proc/{name}"
    for name in (
        "cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo",
        "sys/kernel/ns_last_pid", "sys/crypto/fips_enabled",
    )
)  # fmt: skip
"""What may be covered below /proc: files that resource views (lxcfs) replace and that confine nothing."""

_IPC_SYSCTLS = frozenset(
    f"kernel.{name}"
    for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)
_ID_LIMIT = 2**32 - 2
"""The highest uid and gid; -1 means "leave it" to the kernel."""


@dataclass(frozen=True, slots=True)
class Root:
    path: str
    readonly: bool


@dataclass(frozen=True, slots=True)
class User:
    uid: int
    gid: int
    umask: int
    additional_gids: tuple[int, ...]
    name: str
    """Docker's ``user[:group]`` to be looked up inside; replaces uid and gid when not empty."""
    additional_groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CapabilitySets:
    """Masks: bit n is capability n."""

    bounding: int
    permitted: int
    effective: int
    inheritable: int
    ambient: int


@dataclass(frozen=True, slots=True)
class Rlimit:
    name: str
    number: int
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class Process:
    arguments: tuple[str, ...]
    environment: tuple[str, ...]
    cwd: str
    terminal: bool
    user: User
    capabilities: CapabilitySets
    rlimits: tuple[Rlimit, ...]
    no_new_privileges: bool
    oom_score_adj: int | None


@dataclass(frozen=True, slots=True)
class Mount:
    destination: str
    """Absolute and lexically clean."""
    kind: str
    """File system type; "bind" for a bind mount."""
    source: str
    options: MountOptions


@dataclass(frozen=True, slots=True)
class Device:
    path: str
    mode: int
    """Type and permissions, as st_mode."""
    device: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Namespaces:
    """What the container does not share with the host."""

    new: int
    """``CLONE_NEW*`` of those to be made."""
    joined: tuple[tuple[int, str], ...]
    """(``CLONE_NEW*``, path) of those that exist already."""

    @property
    def all(self) -> int:
        kinds = self.new
        for kind, _ in self.joined:
            kinds |= kind
        return kinds


@dataclass(frozen=True, slots=True)
class Config:
    root: Root
    process: Process
    namespaces: Namespaces
    hostname: str
    domainname: str
    mounts: tuple[Mount, ...]
    devices: tuple[Device, ...]
    sysctl: tuple[tuple[str, str], ...]
    """(path below /proc/sys, value)."""
    masked_paths: tuple[str, ...]
    readonly_paths: tuple[str, ...]
    root_propagation: int
    """``MS_*`` flag, 0 for the default."""
    root_propagation_recursive: bool
    time_offsets: tuple[tuple[str, int, int], ...]
    """(clock, seconds, nanoseconds)."""
    cgroups_path: str
    resources: Mapping[str, Any] = field(default_factory=dict)
    """``linux.resources`` as it came: :mod:`rundlet.cgroups` checks it."""


def parse(document: Mapping[str, Any]) -> Config:
    """The typed form of an OCI config. InvalidArgument names the member that is wrong."""
    config = Members(document, "config")
    if not re.match(r"1\.\d+\.\d+", version := config.string("ociVersion")):
        raise InvalidArgument(f'config.ociVersion: "{version}" is not a version 1 of the runtime specification')
    linux = config.object("linux")
    namespaces = _namespaces(linux)
    hostname, domainname = config.string("hostname"), config.string("domainname")
    if (hostname or domainname) and not namespaces.all & process.CLONE_NEWUTS:
        raise InvalidArgument("config.hostname: a host or domain name needs a uts namespace of its own")
    masked, readonly = (_absolute_paths(linux, name) for name in ("maskedPaths", "readonlyPaths"))
    if not namespaces.all & process.CLONE_NEWNS:
        raise NotImplementedHere(
            "config.linux.namespaces: a container in the host's mount namespace is not offered"
        )
    propagation, recursive = _root_propagation(linux)
    if any(config.object("hooks").mapping.values()):
        raise NotImplementedHere("config.hooks: hooks are not offered in this version")
    return Config(
        root=_root(config.object("root")),
        process=_process(config.object("process", required=True)),
        namespaces=namespaces,
        hostname=hostname,
        domainname=domainname,
        mounts=tuple(_mount(item) for item in config.objects("mounts")),
        devices=tuple(_device(item) for item in linux.objects("devices")),
        sysctl=tuple(
            (_sysctl_path(name, namespaces), value) for name, value in linux.strings_by_name("sysctl").items()
        ),
        masked_paths=masked,
        readonly_paths=readonly,
        root_propagation=propagation,
        root_propagation_recursive=recursive,
        time_offsets=_time_offsets(linux, namespaces),
        cgroups_path=linux.string("cgroupsPath"),
        resources=linux.object("resources").mapping,
    )


def parse_process(document: Mapping[str, Any]) -> Process:
    """The typed form of an OCI ``process`` object, as an exec brings it."""
    return _process(Members(document, "process"))


def _root(root: Members) -> Root:
    path = root.string("path")
    if not path.startswith("/"):
        raise InvalidArgument(f'config.root.path: "{path}" is not absolute')
    return Root(path, root.boolean("readonly"))


def _process(process_: Members) -> Process:
    arguments = process_.strings("args")
    if not arguments or not arguments[0]:
        raise InvalidArgument(f"{process_.where}.args: no program to run")
    environment = process_.strings("env")
    cwd = process_.string("cwd") or "/"
    if not cwd.startswith("/"):
        raise InvalidArgument(f'{process_.where}.cwd: "{cwd}" is not absolute')
    for name in ("apparmorProfile", "selinuxLabel"):
        if process_.string(name):
            raise NotImplementedHere(f"{process_.where}.{name}: this version applies no security labels")
    oom_score_adj = process_.integer("oomScoreAdj", minimum=-1000, maximum=1000)
    return Process(
        arguments=tuple(arguments),
        environment=_last_of_each(environment),
        cwd=cwd,
        terminal=process_.boolean("terminal"),
        user=_user(process_.object("user")),
        capabilities=_capabilities(process_.object("capabilities")),
        rlimits=_rlimits(process_),
        no_new_privileges=process_.boolean("noNewPrivileges"),
        oom_score_adj=oom_score_adj,
    )


def _last_of_each(environment: list[str]) -> tuple[str, ...]:
    """One variable per name, the last one given: programs disagree on which of two they see."""
    return tuple({variable.partition("=")[0]: variable for variable in environment}.values())


def _user(user: Members) -> User:
    return User(
        uid=user.integer("uid", maximum=_ID_LIMIT) or 0,
        gid=user.integer("gid", maximum=_ID_LIMIT) or 0,
        umask=0o022 if (umask := user.integer("umask", maximum=0o777)) is None else umask,
        additional_gids=tuple(user.integers("additionalGids", maximum=_ID_LIMIT)),
        name=user.string("username"),
        additional_groups=tuple(user.strings("additionalGroups")),
    )


def _capabilities(sets: Members) -> CapabilitySets:
    def mask(name: str) -> int:
        bits = 0
        for capability in sets.strings(name):
            number = capabilities.NUMBERS.get(capability)
            if number is None:
                raise InvalidArgument(f'{sets.where}.{name}: unknown capability "{capability}"')
            if number <= capabilities.LAST:
                bits |= 1 << number
        return bits

    return CapabilitySets(*(mask(n) for n in ("bounding", "permitted", "effective", "inheritable", "ambient")))


def _rlimits(process_: Members) -> tuple[Rlimit, ...]:
    limits: dict[str, Rlimit] = {}
    for item in process_.objects("rlimits"):
        name = item.string("type")
        if name not in RLIMITS:
            raise InvalidArgument(f'{item.where}.type: unknown resource limit "{name}"')
        if name in limits:
            raise InvalidArgument(f'{item.where}.type: "{name}" is set twice')
        soft, hard = (item.integer(key, minimum=-1, maximum=2**64 - 1) or 0 for key in ("soft", "hard"))
        limits[name] = Rlimit(name, RLIMITS[name], _as_rlim(soft), _as_rlim(hard))
    return tuple(limits.values())


def _as_rlim(value: int) -> int:
    """Python's form of a limit: -1 for "unlimited"."""
    return value if value < 2**63 else -1


def _namespaces(linux: Members) -> Namespaces:
    new, joined, seen = 0, [], 0
    for item in linux.objects("namespaces"):
        name, path = item.string("type"), item.string("path")
        kind = NAMESPACES.get(name)
        if kind is None:
            raise InvalidArgument(f'{item.where}.type: unknown namespace "{name}"')
        if seen & kind:
            raise InvalidArgument(f'{item.where}.type: "{name}" is listed twice')
        seen |= kind
        if path and not path.startswith("/"):
            raise InvalidArgument(f'{item.where}.path: "{path}" is not absolute')
        if path:
            joined.append((kind, path))
        else:
            new |= kind
    if seen & process.CLONE_NEWUSER or linux.objects("uidMappings") or linux.objects("gidMappings"):
        raise NotImplementedHere("config.linux.namespaces: user namespaces are not offered in this version")
    return Namespaces(new, tuple(joined))


def _absolute_paths(linux: Members, name: str) -> tuple[str, ...]:
    paths = linux.strings(name)
    for path in paths:
        if not path.startswith("/"):
            raise InvalidArgument(f'config.linux.{name}: "{path}" is not absolute')
    return tuple(paths)


def _mount(item: Members) -> Mount:
    destination = item.string("destination")
    if not destination.startswith("/"):
        raise InvalidArgument(f'{item.where}.destination: "{destination}" is not absolute')
    destination = "/" + posixpath.normpath(destination).lstrip("/")
    options = parse_mount_options(item.strings("options"), f"{item.where}.options")
    kind = "bind" if options.bind else item.string("type")
    source = item.string("source")
    if not kind:
        raise InvalidArgument(f"{item.where}.type: missing")
    if kind == "bind":
        if not source.startswith("/"):
            raise InvalidArgument(f'{item.where}.source: "{source}" is not absolute')
        if options.data or options.filesystem_flags:
            raise InvalidArgument(f"{item.where}.options: a bind mount takes no options of a file system")
    if destination == "/":
        raise InvalidArgument(f"{item.where}.destination: nothing can be mounted on /")
    _check_proc(destination, kind, item.where)
    return Mount(destination, kind, source, options)


def _check_proc(destination: str, kind: str, where: str) -> None:
    """A foreign /proc would take the masks along with it (CVE-2019-16884, CVE-2019-19921)."""
    covered = destination == "/proc" and kind not in ("proc", "bind")
    if covered or (destination.startswith("/proc/") and destination not in PROC_FILES):
        raise InvalidArgument(f'{where}.destination: "{destination}" cannot be mounted because it is inside /proc')


_DEVICE_TYPES = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


def _device(item: Members) -> Device:
    path, kind = item.string("path"), item.string("type")
    if not path.startswith("/"):
        raise InvalidArgument(f'{item.where}.path: "{path}" is not absolute')
    if kind not in _DEVICE_TYPES:
        raise InvalidArgument(f'{item.where}.type: unknown device type "{kind}"')
    major, minor = (item.integer(name, maximum=2**20 - 1) or 0 for name in ("major", "minor"))
    mode = item.integer("fileMode", maximum=2**32 - 1)
    return Device(
        path="/" + posixpath.normpath(path).lstrip("/"),
        mode=_DEVICE_TYPES[kind] | (0o666 if mode is None else stat.S_IMODE(mode)),
        device=_makedev(major, minor),
        uid=item.integer("uid", maximum=_ID_LIMIT) or 0,
        gid=item.integer("gid", maximum=_ID_LIMIT) or 0,
    )


def _makedev(major: int, minor: int) -> int:
    return (major & 0xFFF) << 8 | minor & 0xFF | (minor & ~0xFF) << 12 | (major & ~0xFFF) << 32


def _sysctl_path(name: str, namespaces: Namespaces) -> str:
    """Where a sysctl lies below /proc/sys; InvalidArgument unless a namespace of the container confines it.

    Both spellings exist: ``net.ipv4.conf.eth0/1.forwarding`` and ``net/ipv4/conf/eth0.1/forwarding``;
    the first separator decides which one it is (sysctl(8)).
    """
    path = name
    if "." in name and "/" not in name.partition(".")[0]:
        path = name.translate(str.maketrans("./", "/."))
    parts = path.split("/")
    if not sysctl_namespace(path) & namespaces.all or ".." in parts or "" in parts:
        raise InvalidArgument(f'config.linux.sysctl: "{name}" is not in a namespace of the container\'s own')
    return path


def sysctl_namespace(path: str) -> int:
    """The kind of namespace (``CLONE_NEW*``) that has the sysctl at ``path`` below /proc/sys; 0 for none."""
    dotted = path.replace("/", ".")
    if dotted.startswith("net."):
        return process.CLONE_NEWNET
    if dotted in _IPC_SYSCTLS or dotted.startswith("fs.mqueue."):
        return process.CLONE_NEWIPC
    return process.CLONE_NEWUTS if dotted == "kernel.domainname" else 0


def _root_propagation(linux: Members) -> tuple[int, bool]:
    name = linux.string("rootfsPropagation")
    if not name:
        return 0, False
    if name not in PROPAGATION:
        raise InvalidArgument(f'config.linux.rootfsPropagation: unknown propagation "{name}"')
    return PROPAGATION[name]


def _time_offsets(linux: Members, namespaces: Namespaces) -> tuple[tuple[str, int, int], ...]:
    offsets = linux.object("timeOffsets")
    if offsets.mapping and not namespaces.new & process.CLONE_NEWTIME:
        raise InvalidArgument("config.linux.timeOffsets: needs a new time namespace")
    result = []
    for clock in offsets.mapping:
        if not re.fullmatch("monotonic|boottime", clock):
            raise InvalidArgument(f'config.linux.timeOffsets: unknown clock "{clock}"')
        offset = offsets.object(clock)
        seconds = offset.integer("secs", minimum=-(2**63), maximum=2**63 - 1) or 0
        nanoseconds = offset.integer("nanosecs", maximum=10**9 - 1) or 0
        result.append((clock, seconds, nanoseconds))
    return tuple(result)

"""What this machine can and cannot do for an engine, found in /proc, /sys and the interpreter alone.

    examine() -> [Finding("ok" | "warn" | "fail", subject, fact, fix)]

Reads; it changes, mounts and starts nothing, so an "ok" says that what is needed is there, not that it was
tried. Every check is a function of a :class:`Machine`, whose root directory the tests replace.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OK, WARN, FAIL = "ok", "warn", "fail"

KERNEL_FLOOR = (5, 12)
_CAP_SYS_ADMIN = 21
_GIB = 1024**3
_NEEDED_CONTROLLERS = ("cpu", "cpuset", "devices", "memory", "pids")
_ENGINE_MODULES = ("h11", "isal", "msgspec", "zstandard")
_EASING_MODULES = {
    "uvloop": "the engine is slower without it",
    "rich": "progress is shown as plain lines without it",
}


class Finding:
    """One line of the report. ``fix`` is empty when there is nothing to do."""

    __slots__ = ("fact", "fix", "subject", "verdict")

    def __init__(self, verdict: str, subject: str, fact: str, fix: str = "") -> None:
        self.verdict = verdict
        self.subject = subject
        self.fact = fact
        self.fix = fix

    def as_dict(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in ("verdict", "subject", "fact", "fix")}

    def __repr__(self) -> str:
        return f"Finding({self.verdict!r}, {self.subject!r}, {self.fact!r})"


class Mount:
    """A line of proc_pid_mountinfo(5)."""

    __slots__ = ("options", "path", "source_options", "type")

    def __init__(self, line: str) -> None:
        left, _, right = line.partition(" - ")
        fields, tail = left.split(), right.split()
        self.path = fields[4].encode().decode("unicode_escape")  # \\040 is a blank
        self.options = fields[5].split(",")
        self.type = tail[0]
        self.source_options = tail[2].split(",")


class Machine:
    """Where the checks look. ``root`` stands before /proc and /sys."""

    def __init__(self, root: str = "", *, data_root: str = "/var/lib/rundlet") -> None:
        self._root = root
        self.data_root = data_root

    def read(self, path: str) -> str | None:
        """The file's text; None when there is none to be read."""
        try:
            with open(self._root + path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return None

    def exists(self, path: str) -> bool:
        return os.path.exists(self._root + path)

    def mounts(self) -> list[Mount]:
        return [Mount(line) for line in (self.read("/proc/self/mountinfo") or "").splitlines()]


def examine(data_root: str = "/var/lib/rundlet") -> list[Finding]:
    machine = Machine(data_root=data_root)
    return [finding for check in CHECKS for finding in check(machine)]


def _kernel(machine: Machine) -> Iterator[Finding]:
    release = (machine.read("/proc/sys/kernel/osrelease") or os.uname().release).strip()
    numbers = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    floor = ".".join(map(str, KERNEL_FLOOR))
    if numbers < KERNEL_FLOOR:
        yield Finding(
            FAIL, "kernel", f"Linux {release} is older than {floor}", f"run a kernel of {floor} or newer"
        )
    else:
        yield Finding(OK, "kernel", f"Linux {release} ({floor} or newer is needed)")


def _architecture(machine: Machine) -> Iterator[Finding]:
    name = os.uname().machine
    if name in ("x86_64", "aarch64"):
        yield Finding(OK, "architecture", name)
    else:
        yield Finding(FAIL, "architecture", f"{name} is not supported", "use a machine of x86_64 or aarch64")


def _privileges(machine: Machine) -> Iterator[Finding]:
    if os.geteuid() != 0:
        yield Finding(
            FAIL, "privileges", f"user {os.geteuid()} may not start an engine", "run the engine as root (sudo)"
        )
        return
    status = machine.read("/proc/self/status") or ""
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    if not int(effective, 16) >> _CAP_SYS_ADMIN & 1:
        yield Finding(
            FAIL,
            "privileges",
            "root without CAP_SYS_ADMIN, as in an unprivileged container",
            "run it on the host, or in a container with --privileged",
        )
    else:
        yield Finding(OK, "privileges", "root with CAP_SYS_ADMIN")


def _namespaces(machine: Machine) -> Iterator[Finding]:
    wanted = ("cgroup", "ipc", "mnt", "net", "pid", "uts")
    missing = [name for name in wanted if not machine.exists(f"/proc/self/ns/{name}")]
    for name in wanted:
        limit = machine.read(f"/proc/sys/user/max_{name}_namespaces")
        if limit is not None and limit.strip() == "0":
            missing.append(f"{name} (user.max_{name}_namespaces is 0)")
    if missing:
        yield Finding(
            FAIL,
            "namespaces",
            f"not available: {', '.join(missing)}",
            "enable CONFIG_NAMESPACES in the kernel, and sysctl user.max_*_namespaces above 0",
        )
    else:
        yield Finding(OK, "namespaces", " ".join(wanted))


def _overlay(machine: Machine) -> Iterator[Finding]:
    names = {line.split()[-1] for line in (machine.read("/proc/filesystems") or "").splitlines() if line.split()}
    if "overlay" in names:
        yield Finding(OK, "overlayfs", "in the kernel")
    else:
        yield Finding(FAIL, "overlayfs", "not known to the kernel", "modprobe overlay")


def _cgroups(machine: Machine) -> Iterator[Finding]:
    mounts = machine.mounts()
    controllers = {name for mount in mounts if mount.type == "cgroup" for name in mount.source_options}
    has_unified = any(mount.type == "cgroup2" for mount in mounts)
    if not controllers & set(_NEEDED_CONTROLLERS):
        if has_unified:
            yield Finding(
                FAIL,
                "cgroups",
                "version 2 alone, which this version does not support yet",
                "boot with systemd.unified_cgroup_hierarchy=0",
            )
        else:
            yield Finding(FAIL, "cgroups", "none mounted", "mount the hierarchies below /sys/fs/cgroup")
        return
    missing = [name for name in _NEEDED_CONTROLLERS if name not in controllers]
    if missing:
        yield Finding(
            WARN,
            "cgroups",
            f"version 1 without {', '.join(missing)}: those limits will be refused",
            "mount these controllers below /sys/fs/cgroup",
        )
    else:
        yield Finding(OK, "cgroups", "version 1 and the unified hierarchy" if has_unified else "version 1")
    if not has_unified and "freezer" not in controllers:
        yield Finding(
            WARN, "pausing", "no freezer and no unified hierarchy", "mount -t cgroup2 none /sys/fs/cgroup/unified"
        )
    yield from _swap_accounting(machine, mounts)


def _swap_accounting(machine: Machine, mounts: list[Mount]) -> Iterator[Finding]:
    for mount in mounts:
        if mount.type == "cgroup" and "memory" in mount.source_options:
            if machine.exists(f"{mount.path}/memory.memsw.limit_in_bytes"):
                yield Finding(OK, "swap limit", "can be set")
            else:
                yield Finding(
                    WARN, "swap limit", "cannot be set: --memory-swap is refused", "boot with swapaccount=1"
                )
            return


def _seccomp(machine: Machine) -> Iterator[Finding]:
    actions = (machine.read("/proc/sys/kernel/seccomp/actions_avail") or "").split()
    if "errno" in actions:
        yield Finding(OK, "seccomp", "filters can be loaded")
    else:
        yield Finding(
            FAIL,
            "seccomp",
            "the kernel cannot load filters",
            "enable CONFIG_SECCOMP_FILTER, or run containers with --security-opt seccomp=unconfined",
        )


def _sealed_programs(machine: Machine) -> Iterator[Finding]:
    """The supervisor runs from a sealed memfd, which vm.memfd_noexec=2 forbids (kernel docs, mfd_noexec)."""
    if (machine.read("/proc/sys/vm/memfd_noexec") or "0").strip() == "2":
        yield Finding(FAIL, "memfd", "programs in memory are forbidden", "sysctl vm.memfd_noexec=1")


def _data_root(machine: Machine) -> Iterator[Finding]:
    path = os.path.abspath(machine.data_root)
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    mount = max(
        (mount for mount in machine.mounts() if f"{path}/".startswith(f"{mount.path.rstrip('/')}/")),
        key=lambda mount: len(mount.path),
        default=None,
    )
    kind = mount.type if mount else "unknown"
    other_disk = "use a --data-root on ext4, xfs or btrfs"
    if mount is not None and "ro" in mount.options:
        yield Finding(FAIL, "data root", f"{machine.data_root} is on a read-only filesystem", other_disk)
    elif kind in ("overlay", "aufs", "fuse.fuse-overlayfs"):
        yield Finding(
            FAIL,
            "data root",
            f"{machine.data_root} is on {kind}, which cannot hold an overlay's layers",
            other_disk,
        )
    elif kind.startswith(("nfs", "cifs", "smb", "9p", "fuse", "vboxsf", "virtiofs")):
        yield Finding(
            WARN, "data root", f"{machine.data_root} is on {kind}, which may lack what overlays need", other_disk
        )
    elif kind in ("tmpfs", "ramfs"):
        yield Finding(WARN, "data root", f"{machine.data_root} is on {kind}: gone at the next boot", other_disk)
    else:
        yield Finding(OK, "data root", f"{machine.data_root} on {kind}")
    yield from _disk_space(machine, path)


def _disk_space(machine: Machine, path: str) -> Iterator[Finding]:
    from rundlet.wire import sizes

    disk = os.statvfs(path)
    free = disk.f_bavail * disk.f_frsize
    fact = f"{sizes.format_decimal(free)} free below {machine.data_root}"
    if free < _GIB:
        yield Finding(WARN, "disk space", fact, "make room, or use a --data-root on another disk")
    elif disk.f_files and disk.f_favail < 10_000:
        yield Finding(
            WARN, "disk space", f"{disk.f_favail} inodes left below {machine.data_root}", "remove small files"
        )
    else:
        yield Finding(OK, "disk space", fact)


def _python(machine: Machine) -> Iterator[Finding]:
    yield Finding(OK, "python", f"{sys.version.split()[0]} at {sys.executable}")


def _modules(machine: Machine) -> Iterator[Finding]:
    from importlib.util import find_spec

    missing = [name for name in _ENGINE_MODULES if find_spec(name) is None]
    if missing:
        yield Finding(
            FAIL, "engine modules", f"not installed: {', '.join(missing)}", "pip install 'rundlet[engine]'"
        )
    else:
        yield Finding(OK, "engine modules", " ".join(_ENGINE_MODULES))
    for name, without in _EASING_MODULES.items():
        if find_spec(name) is None:
            yield Finding(WARN, name, f"not installed: {without}", "pip install 'rundlet[all]'")


CHECKS: tuple[Callable[[Machine], Iterator[Finding]], ...] = (
    _kernel,
    _architecture,
    _privileges,
    _namespaces,
    _cgroups,
    _overlay,
    _seccomp,
    _sealed_programs,
    _data_root,
    _python,
    _modules,
)

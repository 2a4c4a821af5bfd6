"""What Docker gives to a container that asks for nothing: data (moby ``daemon/pkg/oci/defaults.go``).

Two deviations, both tighter: the tun device is not allowed (runc allows it), and what a kernel does not have
is left out by the runtime rather than here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rundlet.errors import InvalidArgument
from rundlet.linux.capabilities import NAMES, available

__all__ = [
    "CAPABILITIES",
    "DEVICE_RULES",
    "MASKED_PATHS",
    "PATH",
    "READONLY_PATHS",
    "SHM_BYTES",
    "capabilities",
    "default_mounts",
]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHM_BYTES = 64 * 1024 * 1024

ALL_CAPABILITIES = available()
"""What ``--privileged`` and ``--cap-add ALL`` mean: all that this machine can give."""

CAPABILITIES = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
        "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
    )
)  # fmt: skip

MASKED_PATHS = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
    "/sys/devices/virtual/powercap", "/sys/firmware",
)  # fmt: skip

READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

SYSCTLS: Mapping[str, str] = {
    # Not with the host's network: there they would be the host's.
    "net.ipv4.ping_group_range": "0 2147483647",
    "net.ipv4.ip_unprivileged_port_start": "0",
}


def _rule(
    *, allow: bool, kind: str = "", major: int | None = None, minor: int | None = None, access: str = "rwm"
) -> dict[str, Any]:
    rule: dict[str, Any] = {"allow": allow, "access": access}
    if kind:
        rule["type"] = kind
    if major is not None:
        rule["major"] = major
    if minor is not None:
        rule["minor"] = minor
    return rule


DEVICE_RULES = (
    # Not 5:1, which Docker allows: by that number a container reads and writes the machine's own console. Its
    # /dev/console is one of its pseudo-terminals.
    _rule(allow=False),
    _rule(allow=True, kind="c", access="m"),
    _rule(allow=True, kind="b", access="m"),
    *(
        _rule(allow=True, kind="c", major=1, minor=minor) for minor in (3, 5, 7, 8, 9)
    ),  # null zero full random urandom
    _rule(allow=True, kind="c", major=5, minor=0),  # tty
    _rule(allow=True, kind="c", major=5, minor=2),  # ptmx
    _rule(allow=True, kind="c", major=136),  # pts
)
ALL_DEVICES = (_rule(allow=True),)

OWN_DEVICES = frozenset(
    f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "console", "ptmx")
)
"""Nodes that the runtime makes in every container."""


def default_mounts(*, shm_bytes: int, privileged: bool) -> list[dict[str, Any]]:
    access = "rw" if privileged else "ro"
    rows: list[tuple[str, str, str, list[str]]] = [
        ("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
        ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        (
            "/dev/pts",
            "devpts",
            "devpts",
            ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        ("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", access]),
        ("/sys/fs/cgroup", "cgroup", "cgroup", [access, "nosuid", "noexec", "nodev"]),
        ("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
        ("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", f"size={shm_bytes}"]),
    ]
    return [
        {"destination": destination, "type": kind, "source": source, "options": options}
        for destination, kind, source, options in rows
    ]


def capabilities(add: list[str] | None, drop: list[str] | None, *, privileged: bool) -> tuple[str, ...]:
    """``--cap-add`` and ``--cap-drop`` applied to the default set, in the order of the kernel's numbers.

    InvalidArgument for a capability that does not exist, or that is named and cannot be had here.
    """
    if privileged:
        return ALL_CAPABILITIES
    added, dropped = {_capability(name) for name in add or ()}, {_capability(name) for name in drop or ()}
    if "ALL" in added:
        chosen = set(ALL_CAPABILITIES) - dropped
    elif "ALL" in dropped:
        chosen = added
    else:
        chosen = (set(CAPABILITIES) - dropped) | added
    if missing := sorted(added - {"ALL", *ALL_CAPABILITIES}):
        raise InvalidArgument(f"capability {missing[0]} is not available on this machine")
    return tuple(name for name in ALL_CAPABILITIES if name in chosen)


def _capability(name: str) -> str:
    upper = name.upper()
    full = upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}"
    if full != "ALL" and full not in NAMES:
        raise InvalidArgument(f'unknown capability: "{name}"')
    return full

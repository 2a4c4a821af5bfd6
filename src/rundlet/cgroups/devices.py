"""Device rules of an OCI config as what is written to the v1 ``devices`` controller.

What it will not do: touch the file system. See Documentation/admin-guide/cgroup-v1/devices.rst.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rundlet.errors import InvalidArgument

ALWAYS_ALLOWED = (
    "c *:* m",  # making a node is harmless, opening it is what the other rules are about
    "b *:* m",
    "c 1:3 rwm",  # null
    "c 1:5 rwm",  # zero
    "c 1:7 rwm",  # full
    "c 1:8 rwm",  # random
    "c 1:9 rwm",  # urandom
    "c 5:0 rwm",  # tty
    "c 5:2 rwm",  # ptmx
    "c 136:* rwm",  # the container's own pseudo-terminals, /dev/console among them
)
"""What every container may use, whatever its rules say (runtime-spec config-linux.md, "Default Devices").

Not the tun device, 10:200, which runc adds: a container that needs it says so.
"""


@dataclass(frozen=True)
class _Rule:
    type: str
    major: str
    minor: str
    access: str

    def __str__(self) -> str:
        return "a" if self.type == "a" else f"{self.type} {self.major}:{self.minor} {self.access}"

    def overlaps(self, other: _Rule) -> bool:
        return (
            self.type == other.type
            and (self.major == other.major or "*" in (self.major, other.major))
            and (self.minor == other.minor or "*" in (self.minor, other.minor))
            and bool(set(self.access) & set(other.access))
        )


def device_writes(rules: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """File and line for each write, in order: deny all, then the rules, then :data:`ALWAYS_ALLOWED`.

    InvalidArgument for a rule that is malformed, or that the controller would accept without enforcing it: it can
    only take back an exception as a whole.
    """
    writes = [("devices.deny", "a")]
    is_denied_by_default = True
    exceptions: list[_Rule] = []
    for item in rules:
        allow, rule = bool(item.get("allow")), _parse(item)
        if rule.type == "a":
            is_denied_by_default = not allow
            exceptions = []
        elif allow != is_denied_by_default:
            if any(rule.overlaps(other) and rule != other for other in exceptions):
                verb = "allow" if allow else "deny"
                raise InvalidArgument(f'device rule "{verb} {rule}" takes back part of an earlier rule')
            exceptions = [other for other in exceptions if other != rule]
        else:
            exceptions.append(rule)
        writes.append(("devices.allow" if allow else "devices.deny", str(rule)))
    # An engine names most of them itself, and each write is three system calls on the way of every start.
    in_force = set(map(str, exceptions)) if is_denied_by_default else set()
    writes += [("devices.allow", line) for line in ALWAYS_ALLOWED if line not in in_force]
    return writes


def _parse(item: Mapping[str, Any]) -> _Rule:
    kind = item.get("type") or "a"
    access = item.get("access") or "rwm"
    numbers = [_number(item, key) for key in ("major", "minor")]
    if kind not in ("a", "b", "c") or not set(access) <= set("rwm"):
        raise InvalidArgument(f"device rule: not a type and access: {kind!r} {access!r}")
    if kind == "a" and (numbers != ["*", "*"] or set(access) != set("rwm")):
        raise InvalidArgument('device rule: type "a" means all devices and all access')
    return _Rule(kind, numbers[0], numbers[1], access)


def _number(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    if value is None or value == -1:
        return "*"
    if not isinstance(value, int) or value < 0:
        raise InvalidArgument(f"device rule: {key} must be a number, not {value!r}")
    return str(value)

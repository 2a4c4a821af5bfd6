"""The values of flags: text of the command line into what the Engine API takes, in Docker's syntax.

Every function is a converter of one flag (:mod:`rundlet.cli.flags`): it raises ValueError with the reason, in
docker/cli's words, and touches neither files nor the network. What needs two flags at once, or a file, is
:mod:`rundlet.cli.create_body`'s business.
"""

from __future__ import annotations

import re

from rundlet.errors import InvalidArgument
from rundlet.wire import sizes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DECIMAL = re.compile(r"(\d*)(?:\.(\d*))?", re.ASCII)
_CGROUP_RULE = re.compile(r"[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}")
_ULIMITS = frozenset(
    ("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
     "rttime", "sigpending", "stack")
)  # fmt: skip
_DOMAIN = re.compile(
    r"(?!\d+$)[a-zA-Z0-9](?:[a-zA-Z0-9_-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9_-]*[a-zA-Z0-9])?)*\.?"
)
_NAMESPACED_SYSCTLS = frozenset(
    ("kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
     "kernel.shmmni", "kernel.shm_rmid_forced")
)  # fmt: skip


def integer(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise ValueError(f'parsing "{text}": invalid syntax') from None


def weight(text: str) -> int:
    number = integer(text)
    if not 0 <= number <= 0xFFFF:
        raise ValueError(f'parsing "{text}": value out of range')
    return number


def swap_bytes(text: str) -> int:
    return -1 if text == "-1" else sizes.parse_binary(text)


def nano_cpus(text: str) -> int:
    """``1.5`` processors as the API's nanoprocessors."""
    match = _DECIMAL.fullmatch(text)
    if match is None or not any(match.groups()):
        raise ValueError(f"failed to parse {text} as a rational number")
    whole, fraction = match[1] or "0", match[2] or ""
    if len(fraction.rstrip("0")) > 9:
        raise ValueError("value is too precise")
    return int(whole) * 10**9 + int(fraction[:9].ljust(9, "0"))


def attach_stream(text: str) -> str:
    if text.lower() not in ("stdin", "stdout", "stderr"):
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return text.lower()


def variable(text: str) -> str:
    """``NAME=value``, or ``NAME`` for the value that the command's own environment has."""
    if not text or text.startswith("="):
        raise ValueError(f"invalid environment variable: {text}")
    return text


def label(text: str) -> str:
    if not text.partition("=")[0].strip():
        raise ValueError(f"invalid label '{text}': empty name")
    return text


def ip_address(text: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise ValueError(f"IP address is not correctly formatted: {text}") from None


def search_domain(text: str) -> str:
    if text.strip() != "." and not _DOMAIN.fullmatch(text.strip()):
        raise ValueError(f"{text} is not a valid domain")
    return text.strip()


def extra_host(text: str) -> str:
    """``name:ip`` or ``name=ip``, sent as ``name:ip``; ``host-gateway`` stands for the engine's own address."""
    separator = "=" if "=" in text else ":"
    name, found, address = text.partition(separator)
    if not found or not name:
        raise ValueError(f'bad format for add-host: "{text}"')
    if address != "host-gateway":
        try:
            ip_address(address.removeprefix("[").removesuffix("]"))
        except ValueError:
            raise ValueError(f'invalid IP address in add-host: "{address}"') from None
    return f"{name}:{address.removeprefix('[').removesuffix(']')}"


def link(text: str) -> str:
    if not text:
        raise ValueError("empty string specified for links")
    if text.count(":") > 1:
        raise ValueError(f"bad format for links: {text}")
    return text


def sysctl(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not (name in _NAMESPACED_SYSCTLS or name.startswith(("net.", "fs.mqueue."))):
        raise ValueError(f"sysctl '{text}' is not allowed")
    return name, value


def ulimit(text: str) -> dict[str, Any]:
    """``nofile=1024:2048``; without the second number it is both limits."""
    name, found, limits = text.partition("=")
    if not found:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in _ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    numbers = limits.split(":")
    if len(numbers) > 2:
        raise ValueError(f"too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`")
    soft, hard = integer(numbers[0]), integer(numbers[-1])
    if hard != -1 and (soft == -1 or soft > hard):
        shown = "soft: -1 (unlimited), hard: " + str(hard) if soft == -1 else f"{soft} > {hard}"
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {shown}")
    return {"Name": name, "Soft": soft, "Hard": hard}


def device(text: str) -> dict[str, str]:
    """``/dev/host[:/dev/container][:rwm]``."""
    parts = text.split(":")
    if len(parts) > 3:
        raise ValueError(f"bad format for path: {text}")
    permissions = "rwm"
    if len(parts) > 1 and _is_device_mode(parts[-1]):
        permissions = parts.pop()
    elif len(parts) == 3:
        raise ValueError(f"bad mode specified: {parts[2]}")
    for path in parts:
        if not path.startswith("/"):
            raise ValueError(f"{path} is not an absolute path")
    return {"PathOnHost": parts[0], "PathInContainer": parts[-1], "CgroupPermissions": permissions}


def _is_device_mode(text: str) -> bool:
    return bool(text) and set(text) <= set("rwm") and len(set(text)) == len(text)


def device_cgroup_rule(text: str) -> str:
    if not _CGROUP_RULE.fullmatch(text):
        raise ValueError(f"invalid device cgroup format '{text}'")
    return text


def _device_and_number(text: str) -> tuple[str, str]:
    path, found, number = text.partition(":")
    if not found or ":" in number:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, number


def device_weight(text: str) -> dict[str, Any]:
    path, number = _device_and_number(text)
    if not number.isdigit() or not (int(number) == 0 or 10 <= int(number) <= 1000):
        raise ValueError(f"invalid weight for device: {text}")
    return {"Path": path, "Weight": int(number)}


def device_bytes_rate(text: str) -> dict[str, Any]:
    path, number = _device_and_number(text)
    try:
        return {"Path": path, "Rate": sizes.parse_binary(number)}
    except InvalidArgument:
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]"
        ) from None


def device_operations_rate(text: str) -> dict[str, Any]:
    path, number = _device_and_number(text)
    if not number.isdigit():
        raise ValueError(f"invalid rate for device: {text}. The correct format is <device-path>:<number>")
    return {"Path": path, "Rate": int(number)}


def capability(text: str) -> str:
    """``sys_ptrace`` and ``CAP_SYS_PTRACE`` are one; ``ALL`` is itself."""
    name = text.strip().upper()
    return name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"


def restart_policy(text: str) -> dict[str, Any]:
    """``no``, ``always``, ``unless-stopped``, ``on-failure[:max-retries]``."""
    name, found, count = text.partition(":")
    if found and not count.isdigit():
        raise ValueError("invalid restart policy format: maximum retry count must be an integer")
    if name not in ("", "no", "always", "unless-stopped", "on-failure"):
        raise ValueError(
            f"invalid restart policy: unknown policy '{name}'; use one of no, always, unless-stopped, on-failure"
        )
    if found and name != "on-failure":
        raise ValueError(f"invalid restart policy: maximum retry count cannot be used with '{name}'")
    return {"Name": name or "no", "MaximumRetryCount": int(count or 0)}


def pull_policy(text: str) -> str:
    if text not in ("always", "missing", "never"):
        raise ValueError(f'invalid pull option: \'{text}\': must be one of "always", "missing" or "never"')
    return text


def mac_address(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}", text.strip()):
        raise ValueError(f"{text} is not a valid mac address")
    return text.strip()


def filter_pair(text: str) -> tuple[str, str]:
    """``--filter name=value``."""
    name, found, value = text.partition("=")
    if not found:
        raise ValueError("invalid argument: filters must be of the form key=value")
    return name.strip().lower(), value.strip()


def key_value(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value

"""Limits of a container: ``HostConfig``'s fields, checked, as an OCI ``linux.resources`` object.

What the kernel makes of them is the business of :mod:`rundlet.cgroups`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from typing import Any

from rundlet.engine.defaults import ALL_DEVICES, DEVICE_RULES
from rundlet.errors import InvalidArgument
from rundlet.wire.documents import DeviceMapping, HostConfig, ThrottleDevice

__all__ = ["check_resources", "find_devices", "resources"]

_MINIMUM_MEMORY = 6 * 1024 * 1024
"""Docker's. With less, not even the program's start fits."""
_CPU_PERIOD_US = 100_000


def check_resources(host: HostConfig) -> None:
    """InvalidArgument, in Docker's words, for limits that contradict each other or make no sense."""
    if 0 < host.Memory < _MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if host.Memory > 0 and 0 < host.MemorySwap < host.Memory:
        raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit, see usage")
    if host.Memory == 0 and host.MemorySwap > 0:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit, see usage")
    if host.MemorySwappiness is not None and not -1 <= host.MemorySwappiness <= 100:
        raise InvalidArgument(f"Invalid value: {host.MemorySwappiness}, valid memory swappiness range is 0-100")
    if host.Memory > 0 and host.MemoryReservation > host.Memory:
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")
    if host.NanoCpus < 0 or host.NanoCpus > (os.cpu_count() or 1) * 1_000_000_000:
        raise InvalidArgument(
            f"Range of CPUs is from 0.01 to {os.cpu_count()}.00, as there are only {os.cpu_count()} CPUs available"
        )
    if host.NanoCpus and (host.CpuPeriod or host.CpuQuota):
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Period/Quota cannot both be set")
    if host.CpuPeriod and not 1000 <= host.CpuPeriod <= 1_000_000:
        raise InvalidArgument(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < host.CpuQuota < 1000:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if host.BlkioWeight and not 10 <= host.BlkioWeight <= 1000:
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")
    for rule in host.DeviceCgroupRules or ():
        _device_rule(rule)


def resources(host: HostConfig, devices: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """``devices`` are the ones that the container gets, as :func:`find_devices` found them."""
    found: dict[str, Any] = {
        "memory": _memory(host),
        "cpu": _cpu(host),
        "pids": {"limit": host.PidsLimit} if host.PidsLimit else {},
        "blockIO": _block_io(host),
    }
    result: dict[str, Any] = {name: section for name, section in found.items() if section}
    if host.Privileged:
        result["devices"] = list(ALL_DEVICES)
    else:
        own = [
            {key: device[key] for key in ("type", "major", "minor")} | {"allow": True, "access": device["access"]}
            for device in devices
        ]
        result["devices"] = [*DEVICE_RULES, *own, *(_device_rule(rule) for rule in host.DeviceCgroupRules or ())]
    return result


def find_devices(mappings: Iterable[DeviceMapping]) -> list[dict[str, Any]]:
    """The OCI devices of ``--device``, with the ``access`` that is granted. A directory stands for all within.

    Blocking; looks at the host's /dev. InvalidArgument when there is no such device.
    """
    found: list[dict[str, Any]] = []
    for mapping in mappings:
        path = mapping.PathOnHost
        inside = mapping.PathInContainer or path
        access = mapping.CgroupPermissions or "rwm"
        if not path.startswith("/") or "\0" in path + inside or set(access) - set("rwm"):
            raise InvalidArgument(f'invalid device mapping "{path}:{inside}:{access}"')
        below = [os.path.join(top, name) for top, _, names in os.walk(path) for name in sorted(names)]
        nodes = [_device(name, inside + name.removeprefix(path), access) for name in below or [path]]
        if not (devices := [device for device in nodes if device]):
            raise InvalidArgument(f'error gathering device information while adding custom device "{path}"')
        found += devices
    return found


def _device(path: str, inside: str, access: str) -> dict[str, Any] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    kinds = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}
    if (kind := kinds.get(stat.S_IFMT(status.st_mode))) is None:
        return None
    return {
        "path": inside,
        "type": kind,
        "major": os.major(status.st_rdev),
        "minor": os.minor(status.st_rdev),
        "fileMode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
        "access": access,
    }


def _memory(host: HostConfig) -> dict[str, Any]:
    memory: dict[str, Any] = {}
    if host.Memory > 0:
        memory["limit"] = host.Memory
        memory["swap"] = host.MemorySwap or 2 * host.Memory
    if host.MemoryReservation > 0:
        memory["reservation"] = host.MemoryReservation
    if host.MemorySwappiness is not None and host.MemorySwappiness >= 0:
        memory["swappiness"] = host.MemorySwappiness
    if host.OomKillDisable:
        memory["disableOOMKiller"] = True
    return memory


def _cpu(host: HostConfig) -> dict[str, Any]:
    period, quota = host.CpuPeriod, host.CpuQuota
    if host.NanoCpus:
        period, quota = _CPU_PERIOD_US, host.NanoCpus * _CPU_PERIOD_US // 1_000_000_000
    values = {
        "shares": host.CpuShares,
        "period": period,
        "quota": quota,
        "cpus": host.CpusetCpus,
        "mems": host.CpusetMems,
        "realtimePeriod": host.CpuRealtimePeriod,
        "realtimeRuntime": host.CpuRealtimeRuntime,
    }
    return {name: value for name, value in values.items() if value}


def _block_io(host: HostConfig) -> dict[str, Any]:
    values = {
        "weight": host.BlkioWeight,
        "weightDevice": [_numbers(item.Path) | {"weight": item.Weight} for item in host.BlkioWeightDevice or ()],
        "throttleReadBpsDevice": _throttles(host.BlkioDeviceReadBps),
        "throttleWriteBpsDevice": _throttles(host.BlkioDeviceWriteBps),
        "throttleReadIOPSDevice": _throttles(host.BlkioDeviceReadIOps),
        "throttleWriteIOPSDevice": _throttles(host.BlkioDeviceWriteIOps),
    }
    return {name: value for name, value in values.items() if value}


def _throttles(devices: Iterable[ThrottleDevice] | None) -> list[dict[str, int]]:
    return [_numbers(device.Path) | {"rate": device.Rate} for device in devices or ()]


def _numbers(path: str) -> dict[str, int]:
    if "\0" in path:
        raise InvalidArgument(f"no such device: {path!r}")
    try:
        device = os.stat(path).st_rdev
    except OSError as error:
        raise InvalidArgument(f"no such device: {path}: {error.strerror}") from error
    return {"major": os.major(device), "minor": os.minor(device)}


def _device_rule(text: str) -> dict[str, Any]:
    """``c 10:200 rwm``, a number or ``*``."""
    parts = text.split()
    numbers = parts[1].split(":") if len(parts) == 3 else []
    is_valid = len(numbers) == 2 and parts[0] in ("a", "b", "c") and set(parts[2]) <= set("rwm")
    if not is_valid or not all(number == "*" or number.isdecimal() for number in numbers):
        raise InvalidArgument(f"invalid device cgroup rule format: '{text}'")
    rule: dict[str, Any] = {"allow": True, "type": parts[0], "access": parts[2]}
    for key, number in zip(("major", "minor"), numbers, strict=True):
        if number != "*":
            rule[key] = int(number)
    return rule

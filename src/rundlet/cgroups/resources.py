"""An OCI ``linux.resources`` object as what is written to v1 controllers: pure data.

What it will not do: touch the file system, or know which controllers this machine has. See runtime-spec
config-linux.md and Documentation/admin-guide/cgroup-v1/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rundlet.cgroups.devices import device_writes
from rundlet.errors import InvalidArgument

UNLIMITED = -1


@dataclass(frozen=True)
class Write:
    controller: str
    file: str
    value: str


Step = tuple[Write, ...]
"""Writes that belong together. Of two, the second goes first when the kernel refuses the first (EINVAL): a limit
may have to be raised or lowered before the one that it bounds."""


def steps(resources: Mapping[str, Any]) -> list[Step]:
    """The writes for every key that is present and not null. InvalidArgument for values of a wrong kind."""
    result: list[Step] = []
    for key, value in resources.items():
        if value is not None:
            if key not in _SECTIONS:
                raise InvalidArgument(f"linux.resources.{key}: not supported with cgroup v1")
            result.extend(_SECTIONS[key](value))
    return result


def _memory(memory: Mapping[str, Any]) -> Iterator[Step]:
    limits = [
        Write("memory", file, str(value))
        for key, file in (("limit", "memory.limit_in_bytes"), ("swap", "memory.memsw.limit_in_bytes"))
        if (value := _limit("memory", memory, key))
    ]
    if limits:
        yield tuple(limits)
    for key, file in (
        ("reservation", "memory.soft_limit_in_bytes"),
        ("kernel", "memory.kmem.limit_in_bytes"),
        ("kernelTCP", "memory.kmem.tcp.limit_in_bytes"),
    ):
        if value := _limit("memory", memory, key):
            yield (Write("memory", file, str(value)),)
    swappiness = _integer("memory", memory, "swappiness")
    if swappiness is not None and swappiness != -1:
        if not 0 <= swappiness <= 100:
            raise InvalidArgument(f"memory.swappiness must be from 0 to 100, not {swappiness}")
        yield (Write("memory", "memory.swappiness", str(swappiness)),)
    if (disable := memory.get("disableOOMKiller")) is not None:
        yield (Write("memory", "memory.oom_control", str(int(bool(disable)))),)


def _cpu(cpu: Mapping[str, Any]) -> Iterator[Step]:
    if shares := _integer("cpu", cpu, "shares"):
        if not 2 <= shares <= 262144:  # the kernel would clamp it without a word
            raise InvalidArgument(f"cpu.shares must be from 2 to 262144, not {shares}")
        yield (Write("cpu", "cpu.shares", str(shares)),)
    bandwidth = [
        Write("cpu", file, str(value))
        for key, file in (("period", "cpu.cfs_period_us"), ("quota", "cpu.cfs_quota_us"))
        if (value := _limit("cpu", cpu, key))
    ]
    if bandwidth:
        yield tuple(bandwidth)
    for key, file in (
        ("burst", "cpu.cfs_burst_us"),
        ("idle", "cpu.idle"),
        ("realtimePeriod", "cpu.rt_period_us"),
        ("realtimeRuntime", "cpu.rt_runtime_us"),
    ):
        if value := _integer("cpu", cpu, key):
            yield (Write("cpu", file, str(value)),)
    for key in ("cpus", "mems"):
        if text := cpu.get(key):
            if not isinstance(text, str) or not set(text) <= set("0123456789,-"):
                raise InvalidArgument(f"cpu.{key} must be a list like 0-3,7, not {text!r}")
            yield (Write("cpuset", f"cpuset.{key}", text),)


def _pids(pids: Mapping[str, Any]) -> Iterator[Step]:
    limit = _integer("pids", pids, "limit")
    if limit is not None and limit != 0:
        yield (Write("pids", "pids.max", str(limit) if limit > 0 else "max"),)


def _block_io(block: Mapping[str, Any]) -> Iterator[Step]:
    for key, file in (("weight", "blkio.weight"), ("leafWeight", "blkio.leaf_weight")):
        if weight := _integer("blockIO", block, key):
            if not 10 <= weight <= 1000:
                raise InvalidArgument(f"blockIO.{key} must be from 10 to 1000, not {weight}")
            yield (Write("blkio", file, str(weight)),)
        for device in block.get("weightDevice") or ():
            if value := _integer("blockIO.weightDevice", device, key):
                yield (Write("blkio", f"{file}_device", f"{_device(device)} {value}"),)
    for key, file in (
        ("throttleReadBpsDevice", "blkio.throttle.read_bps_device"),
        ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device"),
        ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device"),
        ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device"),
    ):
        for device in block.get(key) or ():
            rate = _integer(f"blockIO.{key}", device, "rate") or 0
            yield (Write("blkio", file, f"{_device(device)} {rate}"),)


def _huge_pages(limits: list[Mapping[str, Any]]) -> Iterator[Step]:
    for item in limits:
        size, limit = item.get("pageSize"), _integer("hugepageLimits", item, "limit")
        if not isinstance(size, str) or not size[:-2].isdecimal() or size[-2:] not in ("KB", "MB", "GB"):
            raise InvalidArgument(f"hugepageLimits: not a page size: {size!r}")
        yield (Write("hugetlb", f"hugetlb.{size}.limit_in_bytes", str(limit or 0)),)


def _network(network: Mapping[str, Any]) -> Iterator[Step]:
    if class_id := _integer("network", network, "classID"):
        yield (Write("net_cls", "net_cls.classid", str(class_id)),)
    for item in network.get("priorities") or ():
        value = f"{item.get('name')} {_integer('network.priorities', item, 'priority') or 0}"
        yield (Write("net_prio", "net_prio.ifpriomap", value),)


def _devices(rules: list[Mapping[str, Any]]) -> Iterator[Step]:
    for file, line in device_writes(rules):
        yield (Write("devices", file, line),)


_SECTIONS: dict[str, Callable[[Any], Iterator[Step]]] = {
    "memory": _memory,
    "cpu": _cpu,
    "pids": _pids,
    "blockIO": _block_io,
    "hugepageLimits": _huge_pages,
    "network": _network,
    "devices": _devices,
}


def _integer(section: str, values: Mapping[str, Any], key: str) -> int | None:
    value = values.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise InvalidArgument(f"{section}.{key} must be a whole number, not {value!r}")
    return value


def _limit(section: str, values: Mapping[str, Any], key: str) -> int | None:
    """A positive number or -1 for unlimited; 0 is as good as missing."""
    value = _integer(section, values, key)
    if value is not None and value < UNLIMITED:
        raise InvalidArgument(f"{section}.{key} must be positive, or -1 for no limit, not {value}")
    return value


def _device(item: Mapping[str, Any]) -> str:
    return f"{_integer('blockIO', item, 'major') or 0}:{_integer('blockIO', item, 'minor') or 0}"

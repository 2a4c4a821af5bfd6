"""What a group has used, read from v1 controllers.

What it will not do: compute rates, or fail because a controller is missing: its figures are then zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CpuStats:
    total_ns: int = 0
    user_ns: int = 0
    system_ns: int = 0
    per_cpu_ns: tuple[int, ...] = ()
    periods: int = 0
    throttled_periods: int = 0
    throttled_ns: int = 0


@dataclass(frozen=True)
class MemoryStats:
    usage_bytes: int = 0
    """With the page cache; ``docker stats`` subtracts ``stat["total_inactive_file"]``."""
    max_usage_bytes: int = 0
    limit_bytes: int = 0
    failures: int = 0
    """How often the limit was hit."""
    stat: Mapping[str, int] | None = None
    """memory.stat as the kernel names it; None without the controller."""


@dataclass(frozen=True)
class PidsStats:
    current: int = 0
    limit: int | None = None


@dataclass(frozen=True)
class BlockStats:
    major: int
    minor: int
    operation: str
    """``Read``, ``Write``, ``Sync``, ``Async``, ``Discard`` or ``Total``."""
    value: int


@dataclass(frozen=True)
class Stats:
    cpu: CpuStats
    memory: MemoryStats
    pids: PidsStats
    block_bytes: tuple[BlockStats, ...]
    block_operations: tuple[BlockStats, ...]


Read = Callable[[str, str], str]
"""Controller and file -> contents, ``""`` when there is none."""

_TICK_NS = 10_000_000
"""cpuacct.stat counts in USER_HZ, which is 100 on every architecture."""


def read_stats(read: Read) -> Stats:
    return Stats(
        cpu=_cpu(read),
        memory=_memory(read),
        pids=PidsStats(
            current=_number(read("pids", "pids.current")) or 0, limit=_number(read("pids", "pids.max"))
        ),
        block_bytes=_block(read("blkio", "blkio.throttle.io_service_bytes_recursive")),
        block_operations=_block(read("blkio", "blkio.throttle.io_serviced_recursive")),
    )


def keyed(text: str) -> dict[str, int]:
    """Lines of ``name number``."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _cpu(read: Read) -> CpuStats:
    ticks = keyed(read("cpuacct", "cpuacct.stat"))
    throttling = keyed(read("cpu", "cpu.stat"))
    return CpuStats(
        total_ns=_number(read("cpuacct", "cpuacct.usage")) or 0,
        user_ns=ticks.get("user", 0) * _TICK_NS,
        system_ns=ticks.get("system", 0) * _TICK_NS,
        per_cpu_ns=tuple(int(value) for value in read("cpuacct", "cpuacct.usage_percpu").split()),
        periods=throttling.get("nr_periods", 0),
        throttled_periods=throttling.get("nr_throttled", 0),
        throttled_ns=throttling.get("throttled_time", 0),
    )


def _memory(read: Read) -> MemoryStats:
    text = read("memory", "memory.stat")
    return MemoryStats(
        usage_bytes=_number(read("memory", "memory.usage_in_bytes")) or 0,
        max_usage_bytes=_number(read("memory", "memory.max_usage_in_bytes")) or 0,
        limit_bytes=_number(read("memory", "memory.limit_in_bytes")) or 0,
        failures=_number(read("memory", "memory.failcnt")) or 0,
        stat=keyed(text) if text else None,
    )


def _block(text: str) -> tuple[BlockStats, ...]:
    """Lines of ``major:minor operation value``, and a grand total that is left out."""
    result = []
    for line in text.splitlines():
        match line.split():
            case [device, operation, value]:
                major, _, minor = device.partition(":")
                result.append(BlockStats(int(major), int(minor), operation, int(value)))
    return tuple(result)


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isdecimal() else None

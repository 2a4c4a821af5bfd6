"""How it is measured: engines in turn, sample by sample, so that the machine's moods meet both alike."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.workloads import Target, Workload, create_container, run_container

CLIENTS = 4
BLOCKS = 3
BLOCK_S = 2.0
IDLE_CONTAINERS = 20


@dataclass(frozen=True)
class Figure:
    """One line of ``build/bench.json``. A quantity that was measured once has n = 1 and p50 = p95."""

    workload: str
    engine: str
    metric: str
    unit: str
    p50: float
    p95: float
    n: int


def percentile(samples: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: a value that was measured, never one between two."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def figure(workload: str, engine: str, metric: str, unit: str, samples: Sequence[float]) -> Figure:
    p50, p95 = percentile(samples, 0.50), percentile(samples, 0.95)
    return Figure(workload, engine, metric, unit, round(p50, 3), round(p95, 3), len(samples))


def time_workload(workload: Workload, targets: Sequence[Target], runs: int) -> list[Figure]:
    """Milliseconds per sample, after a warm-up, and the rate of one client: samples per second of their sum."""
    milliseconds: dict[str, list[float]] = {target.name: [] for target in targets}
    with contextlib.ExitStack() as stack:
        samples = [(target.name, stack.enter_context(workload.prepare(target))) for target in targets]
        for round_number in range(workload.warm_up + runs):
            for name, sample in samples:
                started = time.perf_counter()
                sample()
                if round_number >= workload.warm_up:
                    milliseconds[name].append((time.perf_counter() - started) * 1e3)
    figures = [figure(workload.name, name, "time", "ms", values) for name, values in milliseconds.items()]
    for name, values in milliseconds.items():
        rate = round(1e3 * len(values) / sum(values), 2)
        figures.append(Figure(workload.name, name, "rate, 1 client", "1/s", rate, rate, len(values)))
    return figures


def measure_rate(targets: Sequence[Target]) -> list[Figure]:
    """Containers run per second by several clients at once, in alternating blocks of :data:`BLOCK_S`."""
    rates: dict[str, list[float]] = {target.name: [] for target in targets}
    for _ in range(BLOCKS):
        for target in targets:
            rates[target.name].append(_rate_of(target))
    metric = f"rate, {CLIENTS} clients"
    return [figure("create+start+wait+remove", name, metric, "1/s", values) for name, values in rates.items()]


def _rate_of(target: Target) -> float:
    done = [0] * CLIENTS
    started = time.perf_counter()

    def work(index: int) -> None:
        with target.connect() as connection:
            while time.perf_counter() - started < BLOCK_S:
                run_container(connection)
                done[index] += 1

    threads = [threading.Thread(target=work, args=(index,)) for index in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - started)


@dataclass(frozen=True)
class Memory:
    """KiB. ``pss`` shares pages that processes have in common among them, ``rss`` counts them in each."""

    pss: int
    rss: int

    @classmethod
    def of(cls, pids: Sequence[int]) -> Memory:
        """The sum over ``pids`` (/proc/PID/smaps_rollup)."""
        totals = {"Pss:": 0, "Rss:": 0}
        for pid in pids:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, *rest = line.split()
                if name in totals:
                    totals[name] += int(rest[0])
        return cls(totals["Pss:"], totals["Rss:"])


def memory_figures(workload: str, engine: str, memory: Memory, divisor: int = 1) -> list[Figure]:
    values = {"PSS": memory.pss / divisor / 1024, "RSS": memory.rss / divisor / 1024}
    return [figure(workload, engine, metric, "MiB", [value]) for metric, value in values.items()]


def processes_naming(text: str) -> dict[int, str]:
    """pid to command line of every other process whose command line contains ``text``."""
    found = {}
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if text in command:
                    found[int(directory.name)] = command
    return found


def measure_growth(target: Target, root: str) -> list[Figure]:
    """What an idle container costs the engine's own processes (those that name ``root``), per container."""
    before = Memory.of(list(processes_naming(root)))
    with target.connect() as connection:
        containers = [create_container(connection, "sleep", "3600") for _ in range(IDLE_CONTAINERS)]
        try:
            for container in containers:
                connection.call("POST", f"/containers/{container}/start")
            after = Memory.of(list(processes_naming(root)))
        finally:
            for container in containers:
                connection.call("DELETE", f"/containers/{container}?force=1")
    grown = Memory(after.pss - before.pss, after.rss - before.rss)
    return memory_figures("memory per idle container", target.name, grown, IDLE_CONTAINERS)

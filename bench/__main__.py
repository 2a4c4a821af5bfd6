"""``python -m bench [--runs N] [--only NAME]``: measure, print the table, write build/bench.json."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import subprocess
import sys
from pathlib import Path

from bench.measure import (
    Figure,
    Memory,
    measure_growth,
    measure_rate,
    memory_figures,
    processes_naming,
    time_workload,
)
from bench.report import OURS, table, write_json
from bench.workloads import WORKLOADS, Target
from tests.support.busybox import build_archive, missing_busybox
from tests.support.engines import Dockerd, RundletDaemon, missing_dockerd
from tests.support.host import missing_privileges

JSON_PATH = Path(__file__).resolve().parent.parent / "build" / "bench.json"
DEBIAN_DOCKER = Path("/usr/bin/docker")


def measure(options: argparse.Namespace) -> list[Figure]:
    figures: list[Figure] = []
    with contextlib.ExitStack() as stack:
        archive = build_archive()
        daemon = stack.enter_context(RundletDaemon.create())
        cli = Path(sys.executable).parent / "rundlet"
        targets = [Target(OURS, daemon.socket_path, cli, "RUNDLET_HOST")]
        roots = {OURS: str(daemon.run_root)}
        daemon.client.post("/images/load", archive)
        if reason := missing_dockerd():
            print(f"no comparison: {reason}")
        else:
            dockerd = stack.enter_context(Dockerd.create())
            dockerd.client.post("/images/load", archive)
            targets.append(Target("dockerd", dockerd.socket_path, DEBIAN_DOCKER, "DOCKER_HOST"))
            roots["dockerd"] = str(dockerd.root)
        for target in targets:
            figures += idle_memory("memory, idle", target.name, roots[target.name])
        for workload in WORKLOADS:
            if options.only in workload.name:
                figures += time_workload(workload, targets, min(workload.runs, options.runs))
        if options.only in "rate":
            figures += measure_rate(targets)
        if options.only in "memory":
            for target in targets:
                figures += measure_growth(target, roots[target.name])
                figures += idle_memory("memory, after the runs", target.name, roots[target.name])
    return figures


def idle_memory(workload: str, engine: str, root: str) -> list[Figure]:
    """Of the whole engine, and of our two processes one by one."""
    processes = processes_naming(root)
    figures = memory_figures(workload, engine, Memory.of(list(processes)))
    if engine == OURS:
        for pid, command in processes.items():
            part = "supervisor" if "supervisor" in command else "daemon"
            figures += memory_figures(f"{workload}, {part}", engine, Memory.of([pid]))
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description="Rundlet beside dockerd.")
    parser.add_argument("--runs", type=int, default=100, help="samples per workload and engine, at most")
    parser.add_argument("--only", default="", help="only workloads whose name contains this")
    options = parser.parse_args()
    if reason := missing_privileges() or missing_busybox():
        print(f"bench: {reason}", file=sys.stderr)
        return 1
    machine = f"{platform.system()} {platform.release()}, {len(os.sched_getaffinity(0))} processors"
    print(f"{machine}, Python {platform.python_version()}")
    if not missing_dockerd():
        print(subprocess.run(["dockerd", "--version"], capture_output=True, text=True, check=True).stdout.strip())
    figures = measure(options)
    print(table(figures))
    write_json(figures, JSON_PATH)
    print(f"raw data: {os.path.relpath(JSON_PATH)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

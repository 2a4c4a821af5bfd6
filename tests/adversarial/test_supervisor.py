"""What a container can do to the one process that all containers hang on."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from tests.adversarial.arena import Arena

pytestmark = pytest.mark.privileged

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def supervisor_of(arena: Arena) -> int:
    [pid] = (
        int(line.partition(":")[0])
        for line in arena.daemon.footprint.processes()
        if f"--run-root={arena.daemon.run_root}" in line and "runtime.supervisor" in line
    )
    return pid


def cpu_time_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


@pytest.mark.parametrize("threads", [1, 8])
def test_threads_that_want_it_for_their_tracer_do_not_keep_it_busy(arena: Arena, threads: int) -> None:
    """Each PTRACE_TRACEME and signal is a stop that it must end."""
    container = arena.spawn_python(f"""
import signal, threading
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
def storm():
    while True:
        attempt(101, 0, 0, 0, 0)
        attempt(234, os.getpid(), threading.get_native_id(), int(signal.SIGUSR1))
for _ in range({threads} - 1):
    threading.Thread(target=storm, daemon=True).start()
print("ready", flush=True)
storm()
""")
    arena.wait_for_output(container, b"ready\n")
    pid = supervisor_of(arena)
    before, started = cpu_time_s(pid), time.monotonic()
    threading.Event().wait(2.0)
    share = (cpu_time_s(pid) - before) / (time.monotonic() - started)
    assert share < 0.1
    assert arena.shell("echo fine").stdout == "fine\n"
    assert arena.state(container)["Running"]

"""A start is part of every ``rundlet run``: it imports little, and it is quick."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

HEAVY = {
    *("asyncio", "click", "dataclasses", "datetime", "email", "h11", "http.client"),
    *(
        "importlib.metadata",
        "inspect",
        "logging",
        "msgspec",
        "rich",
        "ssl",
        "subprocess",
        "threading",
        "urllib",
        "rundlet.sdk._async",
    ),
    *("rundlet.api", "rundlet.daemon", "rundlet.engine", "rundlet.images", "rundlet.runtime"),
}
EVERYTHING_OF_RUN = (
    "import rundlet.cli.main, rundlet.cli.commands.run, rundlet.cli.attached, rundlet.sdk._sync.engine"
)


def loaded_by(code: str) -> set[str]:
    """Modules that ``code`` imports in a fresh interpreter, without those that come with the interpreter."""
    script = f"import sys; before = set(sys.modules); {code}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("code", "most"),
    [
        (EVERYTHING_OF_RUN, 90),
        ("from rundlet.cli.main import main; main(['--help'])", 60),
        ("import rundlet.cli.main, rundlet.cli.commands.ps, rundlet.sdk._sync.engine", 90),
    ],
)
def test_a_start_imports_little(code: str, most: int) -> None:
    loaded = loaded_by(f"import io, contextlib\nwith contextlib.redirect_stdout(io.StringIO()): {code}\n0")

    assert not loaded & HEAVY
    assert len(loaded) <= most


def test_the_version_comes_well_within_60_ms() -> None:
    """Of the processor's time, the best of several: the machine may be busy. 10 ms are the interpreter's."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "rundlet.cli", "--version"]
    best_ms = float("inf")
    for _ in range(10):
        before = _children_cpu_s()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        best_ms = min(best_ms, (_children_cpu_s() - before) * 1000)

    assert best_ms < 60


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime

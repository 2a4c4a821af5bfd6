"""Run every check of the project that needs neither root nor a running engine: what ``make check`` does.

The checks run side by side, as many as there are processors; each one's output is printed whole when it
ends, failures last. It changes no file: ``make format`` does that.
"""

from __future__ import annotations

import concurrent.futures
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.prefix) / "bin"


@dataclass(frozen=True)
class Check:
    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    check: Check
    status: int
    output: str
    seconds: float


CHECKS = (
    # The slow ones first, so that the quick ones fill the other processor.
    Check("mypy", ("mypy",)),
    Check("pyright", ("pyright", "--warnings")),
    Check("format", ("ruff", "format", "--check", "--diff")),
    Check("lint", ("ruff", "check")),
    Check("layers", ("lint-imports",)),
    Check("twins", ("python", "tools/unasync.py", "--check")),
    Check("budgets", ("python", "tools/budgets.py")),
)


def run(check: Check) -> Outcome:
    started = time.monotonic()
    program, *arguments = check.command
    done = subprocess.run(
        [str(BIN / program), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Outcome(check, done.returncode, done.stdout, time.monotonic() - started)


def main() -> int:
    failed: list[Outcome] = []
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for future in concurrent.futures.as_completed([pool.submit(run, check) for check in CHECKS]):
            outcome = future.result()
            print(f"{'ok' if outcome.status == 0 else 'FAILED':7}{outcome.check.name:9}{outcome.seconds:5.1f} s")
            if outcome.status:
                failed.append(outcome)
    for outcome in failed:
        print(f"\n── {outcome.check.name}: {' '.join(outcome.check.command)}\n{outcome.output.rstrip()}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

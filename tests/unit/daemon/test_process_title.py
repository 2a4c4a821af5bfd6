"""The daemon shows in ``ps`` as it was typed."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from rundlet.daemon.process_title import set_process_title
set_process_title({words})
print(open("/proc/self/cmdline", "rb").read())
print(open("/proc/self/comm").read().strip())
import subprocess, os
print(subprocess.run(["ps", "-o", "args=", "-p", str(os.getpid())], capture_output=True, text=True).stdout.strip())
"""


def shown(words: str) -> list[str]:
    code = PROGRAM.format(words=words)
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.splitlines()


def test_ps_shows_the_words() -> None:
    cmdline, name, ps = shown(repr(["rundlet", "daemon", "--instance", "x"]))

    assert cmdline.startswith(repr(b"rundlet\0daemon\0--instance\0x\0")[:-1])
    assert (name, ps) == ("rundlet", "rundlet daemon --instance x")


def test_words_that_do_not_fit_change_nothing() -> None:
    cmdline, name, _ = shown("['x' * 100_000]")

    assert "set_process_title" in cmdline
    assert name != "x" * 15

"""Running from a sealed copy of the interpreter: CVE-2019-5736."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_SCRIPT = """
import os, sys
from rundlet.linux.executable import is_sealed, reexec_sealed
if "-x" not in sys.argv[1:]:
    raise SystemExit("arguments are lost")
reexec_sealed()
reexec_sealed()
print(is_sealed(), sys.prefix, sys.executable, len(os.listdir("/proc/self/fd")), sep="\\n", flush=True)
sys.stdin.read()
"""


def test_a_sealed_executable_cannot_be_written_even_after_its_process_has_ended() -> None:
    """While it runs the kernel says ETXTBSY of any executable; the attack waits until nobody runs it."""
    command = [sys.executable, "-c", _SCRIPT, "-x"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(4)] == ["True", sys.prefix, sys.executable, "4"]
        handle = os.open(f"/proc/{process.pid}/exe", os.O_PATH)
        process.communicate()
    try:
        writable = os.open(f"/proc/self/fd/{handle}", os.O_RDWR)
    finally:
        os.close(handle)

    with open(writable, "r+b", buffering=0) as file, pytest.raises(PermissionError):
        file.write(b"x")


def test_this_interpreter_is_not_sealed() -> None:
    code = "from rundlet.linux.executable import is_sealed; print(is_sealed())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout == "False\n"

"""The tables of kernel calls, and what a failure becomes."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from pathlib import Path

import pytest

from rundlet.linux import capabilities
from rundlet.linux.syscalls import bind, failure, numbers

HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
GENERIC_HEADER = Path("/usr/include/asm-generic/unistd.h")
CAPABILITY_HEADER = Path("/usr/include/linux/capability.h")


def _defined(header: Path, prefix: str) -> dict[str, int]:
    if not header.exists():
        pytest.skip(f"needs {header} (linux-libc-dev)")
    text = re.sub(r"__NR3264_", "__NR_", header.read_text())
    return {name: int(value) for name, value in re.findall(rf"#define {prefix}(\w+)\s+(\d+)\b", text)}


@pytest.mark.parametrize(("machine", "header"), [("x86_64", HEADER), ("aarch64", GENERIC_HEADER)])
def test_call_numbers_are_the_kernel_headers(machine: str, header: Path) -> None:
    defined = _defined(header, "__NR_")

    assert {name: defined[name] for name in numbers(machine)} == numbers(machine)


def test_both_architectures_have_the_same_calls() -> None:
    assert numbers("x86_64").keys() == numbers("aarch64").keys()


def test_an_unknown_architecture_is_named() -> None:
    with pytest.raises(ImportError, match="pdp11"):
        numbers("pdp11")


def test_capability_numbers_are_the_kernel_headers() -> None:
    defined = {f"CAP_{name}": number for name, number in _defined(CAPABILITY_HEADER, "CAP_").items()}

    assert defined == capabilities.NUMBERS


def test_the_last_capability_is_the_running_kernels() -> None:
    assert int(Path("/proc/sys/kernel/cap_last_cap").read_text()) == capabilities.LAST


def test_the_available_capabilities_are_the_processs_bounding_set() -> None:
    mask = sum(1 << capabilities.NUMBERS[name] for name in capabilities.available())

    assert f"CapBnd:\t{mask:016x}\n" in Path("/proc/self/status").read_text()


def test_a_failure_is_an_oserror_of_its_kind_that_names_the_object() -> None:
    open_tree = bind("open_tree", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)

    assert open_tree(-100, b"/no/such", 0) == -1
    error = failure("/no/such")

    assert isinstance(error, FileNotFoundError)
    assert (error.errno, error.filename) == (errno.ENOENT, "/no/such")
    assert error.strerror == os.strerror(errno.ENOENT)

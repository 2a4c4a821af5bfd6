"""Libraries are found as the dynamic loader finds them."""

from __future__ import annotations

import os
import shutil
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rundlet.images.elf import Linker, read_elf

PYTHON = os.path.realpath(sys.executable)


def loaded_libraries() -> set[str]:
    """What the dynamic loader has mapped into this process at the latest now: the truth."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {os.path.realpath(line.split()[-1]) for line in lines if ".so" in line.split()[-1]}


def test_everything_that_python_was_started_with_is_found() -> None:
    found = {os.path.realpath(path) for path in Linker().closure(PYTHON)}

    assert found, "this Python is static: the test machine has changed"
    assert found <= loaded_libraries()
    assert any("ld-" in os.path.basename(path) for path in found)


def test_a_program_names_its_loader_and_a_library_does_not() -> None:
    elf = read_elf(PYTHON)

    assert elf is not None
    assert elf.interpreter is not None
    library = read_elf(next(path for path in Linker().closure(PYTHON) if "libc." in path))
    assert library is not None
    assert library.machine == elf.machine


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x02\x01\x01" + bytes(9)])
def test_what_is_no_elf_file_needs_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)

    assert read_elf(tmp_path / "x") is None
    assert Linker().closure(str(tmp_path / "x")) == set()


def test_a_library_for_another_machine_is_passed_over(tmp_path: Path) -> None:
    """32-bit libraries lie beside 64-bit ones on many machines."""
    libc = next(path for path in Linker().closure(PYTHON) if os.path.basename(path).startswith("libc."))
    foreign = bytearray(Path(libc).read_bytes())
    struct.pack_into("<H", foreign, 18, 0xBEEF)
    (tmp_path / os.path.basename(libc)).write_bytes(foreign)
    linker = Linker()

    assert linker._find(os.path.basename(libc), (str(tmp_path),), (2, 0xBEEF)) is not None
    assert linker._find(os.path.basename(libc), (str(tmp_path), os.path.dirname(libc)), (2, 62)) != str(tmp_path)


@given(st.data())
@settings(deadline=None)  # the interpreter may be a file of many megabytes
def test_a_damaged_program_is_read_or_given_up(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("elf") / "program"
    shutil.copy(PYTHON, path)
    with path.open("r+b") as file:
        for _ in range(data.draw(st.integers(1, 5))):
            file.seek(data.draw(st.integers(4, 1000)))
            file.write(bytes([data.draw(st.integers(0, 255))]))

    elf = read_elf(path)

    assert elf is None or all(isinstance(name, str) for name in elf.needed)

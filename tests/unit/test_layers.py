"""What may be imported where, proved by importing it.

``lint-imports`` reads the source; these tests run it, and so see what is imported dynamically, too.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"

IMPORT_ALL = """
import importlib, sys
sys.path.insert(0, {source!r})
for name in {modules!r}:
    importlib.import_module(name)
print(*sys.modules)
"""


def modules_of(package: str) -> list[str]:
    """Every module of a package (or the module itself), by name; __main__ modules run things when imported."""
    base = SOURCE / "rundlet" / package
    files = sorted(base.rglob("*.py")) if base.is_dir() else [base.with_suffix(".py")]
    names = (file.relative_to(SOURCE).with_suffix("").as_posix().replace("/", ".") for file in files)
    return [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]


def import_without_site_packages(modules: list[str]) -> set[str]:
    """The names in ``sys.modules`` of a fresh interpreter that sees the standard library and our source alone."""
    program = IMPORT_ALL.format(source=str(SOURCE), modules=modules)
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("package", ["errors", "wire", "linux", "cgroups", "runtime", "terminal", "sdk", "cli"])
def test_the_standard_library_is_enough_for(package: str) -> None:
    modules = modules_of(package)
    assert modules
    assert set(modules) <= import_without_site_packages(modules)


@pytest.mark.parametrize("package", ["linux", "cgroups", "runtime"])
def test_no_event_loop_comes_into_the_process_that_forks(package: str) -> None:
    imported = import_without_site_packages(modules_of(package))
    assert not imported & {"asyncio", "concurrent.futures", "multiprocessing"}


def test_the_sync_client_imports_no_event_loop() -> None:
    assert "asyncio" not in import_without_site_packages(modules_of("sdk/_sync"))

"""The generator of the sync twins: what it writes, and that ``--check`` notices everything."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[3] / "tools" / "unasync.py"

ALL_RULES = '''"""Every rule applies once."""

from rundlet.async_ import Engine
from rundlet.sdk._async.a import AsyncThing
from rundlet.sdk._twins import async_ as twins


class AsyncThing:
    async def __aenter__(self):
        async with a as b:
            await b

    async def __anext__(self):
        async for c in d:
            raise StopAsyncIteration
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    shutil.copy(TOOL, tmp_path / "tools")
    (tmp_path / "src/rundlet/sdk/_async").mkdir(parents=True)
    (tmp_path / "src/rundlet/sdk/_async/a.py").write_text(ALL_RULES)
    (tmp_path / "tests/unit/sdk/_async").mkdir(parents=True)
    return tmp_path


def run(project: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, project / "tools/unasync.py", *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def test_the_twin_is_the_source_without_its_colour(project: Path) -> None:
    assert run(project) == (0, "")

    twin = (project / "src/rundlet/sdk/_sync/a.py").read_text()

    assert twin.startswith("# Generated from src/rundlet/sdk/_async/a.py by tools/unasync.py; do not edit.\n")
    assert "class Thing:\n    def __enter__(self):\n        with a as b:\n            b\n" in twin
    assert "raise StopIteration" in twin
    assert "sync" not in twin.split("\n", 1)[1].replace("_sync", "").replace("import sync as", "")
    assert run(project, "--check") == (0, "")


def test_check_notices_an_edited_a_missing_and_an_orphaned_twin(project: Path) -> None:
    run(project)
    twins = project / "src/rundlet/sdk/_sync"
    (twins / "a.py").write_text("edited\n")
    (twins / "b.py").write_text("orphan\n")
    (project / "src/rundlet/sdk/_async/c.py").write_text("new = 1\n")

    code, complaint = run(project, "--check")

    assert code == 1
    for name in ("a.py", "b.py", "c.py"):
        assert f"src/rundlet/sdk/_sync/{name} is not what its source gives" in complaint
    assert (twins / "a.py").read_text() == "edited\n"
    assert run(project) == (0, "")
    assert not (twins / "b.py").exists()


def test_a_rule_that_applies_nowhere_fails(project: Path) -> None:
    source = project / "src/rundlet/sdk/_async/a.py"
    source.write_text(ALL_RULES.replace("StopAsyncIteration", "StopIteration"))

    code, complaint = run(project)

    assert code == 1
    assert "rule applies nowhere: \\bStopAsyncIteration\\b" in complaint

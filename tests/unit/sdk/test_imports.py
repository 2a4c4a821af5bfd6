"""What importing the SDK costs, and that its names are where they should be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import rundlet
import rundlet.async_
import rundlet.sdk

SOURCE = Path(rundlet.__file__).parent.parent

HEAVY = {
    "asyncio",
    "ssl",
    "email",
    "http",
    "urllib",
    "typing",
    "dataclasses",
    "inspect",
    "threading",
    "subprocess",
}


def modules_after(code: str) -> set[str]:
    """What an interpreter without site-packages has loaded after ``code``."""
    program = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); {code}; import json; print(json.dumps([*sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    return {name.split(".")[0] if not name.startswith("rundlet") else name for name in json.loads(done.stdout)}


def test_the_sync_engine_loads_neither_asyncio_nor_anything_else_that_is_heavy() -> None:
    loaded = modules_after("import rundlet; rundlet.Engine()")

    assert "rundlet.sdk._sync.engine" in loaded
    assert not HEAVY & loaded
    assert not {name for name in loaded if name.startswith("rundlet.sdk._async")}


def test_importing_the_package_loads_nothing() -> None:
    loaded = modules_after("import rundlet")

    assert {name for name in loaded if name.startswith("rundlet")} == {"rundlet"}


@pytest.mark.parametrize("module", [rundlet, rundlet.sdk, rundlet.async_])
def test_every_public_name_is_there_and_listed(module: object) -> None:
    names: list[str] = module.__all__  # type: ignore[attr-defined]  # a module is an object to mypy

    assert names == sorted(names)
    assert set(names) <= set(dir(module))
    assert all(getattr(module, name) is not None for name in names)


@pytest.mark.parametrize("module", [rundlet, rundlet.sdk])
def test_an_unknown_name_is_an_attribute_error(module: object) -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        module.nonsense  # type: ignore[attr-defined]  # noqa: B018 - the promise under test


def test_both_colours_offer_the_same() -> None:
    for sync, async_ in ((rundlet.Engine(), rundlet.async_.Engine()),):
        for resource in ("containers", "execs", "images", "system"):
            ours, theirs = (
                {name for name in dir(getattr(engine, resource)) if not name.startswith("_")}
                for engine in (sync, async_)
            )
            assert ours == theirs

"""A real engine in this process: supervisor, kernel and disk are real, HTTP is left out."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import pytest

from rundlet.engine.config import EngineConfig
from rundlet.engine.engine import Engine
from tests.fakes.coroutines import pytest_pyfunc_call as pytest_pyfunc_call
from tests.support.busybox import build_archive
from tests.support.engines import DISK, wait_until
from tests.support.host import Footprint

StartEngine: TypeAlias = Callable[[], AbstractAsyncContextManager[Engine]]


@pytest.fixture
def roots() -> Iterator[EngineConfig]:
    """The configuration of an engine of its own. Afterwards nothing of it may be left on the host."""
    with (
        tempfile.TemporaryDirectory(prefix="rundlet-test-", dir=DISK) as disk,
        tempfile.TemporaryDirectory(prefix="rundlet-", dir="/run") as run,
    ):
        config = EngineConfig(f"t{secrets.token_hex(3)}", Path(disk) / "data", Path(run) / "r")
        footprint = Footprint(config.instance, config.data_root, config.run_root)
        try:
            yield config
            wait_until(lambda: not footprint.processes(), f"{footprint.processes()} to end")
            assert not footprint.everything()
        finally:
            for line in footprint.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(line.split(":", 1)[0]), signal.SIGKILL)


@pytest.fixture
def start_engine(roots: EngineConfig) -> StartEngine:
    """Starts the engine, with ``busybox:latest``. Used twice, it is the next daemon of the same engine."""

    @contextlib.asynccontextmanager
    async def start() -> AsyncIterator[Engine]:
        engine = Engine(roots)
        await engine.start()
        try:
            if not await engine.images.list():
                async for _ in engine.images.load(io.BytesIO(build_archive())):
                    pass
            yield engine
        finally:
            await engine.stop()

    return start


@pytest.fixture
def with_engine(start_engine: StartEngine) -> StartEngine:
    """As ``start_engine``, and every container is removed at the end."""

    @contextlib.asynccontextmanager
    async def start() -> AsyncIterator[Engine]:
        async with start_engine() as engine:
            try:
                yield engine
            finally:
                for item in await engine.containers.list(all=True):
                    await engine.containers.remove(item.Id, force=True, volumes=True)

    return start

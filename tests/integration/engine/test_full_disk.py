"""A full disk is an error with a name; what makes room works all the same; and afterwards everything goes on."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import pytest

from rundlet.engine import launcher
from rundlet.engine.store import Store
from rundlet.errors import ContainerNotFound, StorageFull
from rundlet.wire.documents import HostConfig
from tests.fakes.engine import FakeEngine, request, running_engine
from tests.fakes.records import container

pytestmark = pytest.mark.privileged

Ballast: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


@pytest.fixture
def full(small_disk: Path) -> Ballast:
    """A block in which the disk has no room at all."""

    @contextlib.asynccontextmanager
    async def fill() -> AsyncIterator[None]:
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)
        try:
            yield
        finally:
            ballast.unlink()

    return fill


async def started(engine: FakeEngine, **host: object) -> str:
    found, _ = await engine.containers.create(request("serve", host=HostConfig(**host)))  # type: ignore[arg-type]  # fields
    await engine.containers.start(found)
    return found


async def test_the_store_says_so_and_goes_on_when_there_is_room(small_disk: Path, full: Ballast) -> None:
    store = Store(small_disk / "engine.db")
    store.open()
    try:
        subject = container()
        subject.definition.config.Env = ["A=" + "x" * 200_000]
        async with full():
            with pytest.raises(StorageFull, match="no space left on device while storing a record"):
                await store.add_container(subject)
        await store.add_container(subject)
        assert store.load_containers() == [subject]
    finally:
        store.close()


async def test_create_is_refused_and_leaves_nothing(small_disk: Path, full: Ballast) -> None:
    async with running_engine(small_disk) as engine:
        async with full():
            with pytest.raises(StorageFull):
                await engine.containers.create(request("x", Labels={"long": "y" * 300_000}), "web")
            assert list((small_disk / "data/containers").iterdir()) == []
        await engine.containers.create(request("x"), "web")


async def test_stop_and_remove_work_since_they_make_room(small_disk: Path, full: Ballast) -> None:
    async with running_engine(small_disk) as engine:
        found = await started(engine, Binds=["/data"])
        async with full():
            await engine.containers.stop(found)
            assert (await engine.containers.inspect(found)).State.Status == "exited"
            with contextlib.suppress(StorageFull):  # where SQLite needs a page, the record has to wait
                await engine.containers.remove(found)
        with contextlib.suppress(ContainerNotFound):
            await engine.containers.remove(found)
        with pytest.raises(ContainerNotFound):
            await engine.containers.inspect(found)


async def test_the_supervisor_keeps_an_exit_until_its_record_and_its_output_are_safe(
    small_disk: Path, full: Ballast
) -> None:
    """The spool cannot take the end of the streams: what is in the pipes would go with the supervisor's copy."""
    async with running_engine(small_disk) as engine:
        found = await started(engine)
        async with full():
            waiter = engine.containers.waiter(found)
            engine.supervisor.exit(found, 7)
            assert (await waiter).StatusCode == 7
            async with engine.core.registry.resolve(found).lock:
                assert engine.supervisor.holds(found)
        engine.supervisor.end_output(found)
        await engine.containers.start(found)
        assert (await engine.containers.inspect(found)).State.Status == "running"


async def test_a_restart_waits_for_the_last_output_rather_than_lose_it(
    small_disk: Path, full: Ballast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "_STALL_S", 0.1)
    async with running_engine(small_disk) as engine:
        found = await started(engine)
        async with full():
            waiter = engine.containers.waiter(found)
            engine.supervisor.exit(found, 7)
            await waiter
            with pytest.raises(StorageFull, match="logging the output of the last run"):
                await engine.containers.start(found)
            assert (await engine.containers.inspect(found)).State.Status == "exited"
        engine.supervisor.end_output(found)

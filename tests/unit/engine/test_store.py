"""What the store has said is committed is there after a kill, and a full disk is an error with a name."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from rundlet.engine.exec_record import ExecRecord
from rundlet.engine.mounts import MountSpec
from rundlet.engine.store import Store
from rundlet.engine.volumes import Volume
from rundlet.errors import EngineError
from rundlet.wire.documents import EndpointSettings, HealthConfig, HostConfig, Mount, NetworkingConfig, PortBinding
from tests.fakes.records import container


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Store]:
    store = Store(path)
    store.open()
    try:
        yield store
    finally:
        store.close()


async def test_what_is_committed_survives_without_a_close(tmp_path: Path) -> None:
    """The files as a kill leaves them, copied away under a store that is open."""
    subject = container()
    with opened(tmp_path / "engine.db") as store:
        await store.add_container(subject, [Volume("v", 1, anonymous=True)])
        subject.begin_start()
        await store.put_state(subject)
        await store.put_exec(ExecRecord("e1", subject.id, 1, ["ls"], console_size=(3, 4)))
        shutil.copytree(tmp_path, tmp_path / "killed")
    with opened(tmp_path / "killed" / "engine.db") as store:
        [found] = store.load_containers()
        assert found == subject
        assert store.load_volumes() == [Volume("v", 1, anonymous=True)]
        assert store.load_execs() == [ExecRecord("e1", subject.id, 1, ["ls"], console_size=(3, 4))]


async def test_a_record_comes_back_as_it_went(tmp_path: Path) -> None:
    subject = container()
    definition = subject.definition
    definition.host = HostConfig(
        Memory=5,
        Mounts=[Mount("bind", "/a", "/b")],
        PortBindings={"80/tcp": [PortBinding("", "8080")]},
        LogConfig=HostConfig().LogConfig,
    )
    definition.config.Healthcheck = HealthConfig(Test=["CMD", "x"], Interval=3)
    definition.config.Env = ["A=\u20ac\n"]
    definition.networking = NetworkingConfig({"bridge": EndpointSettings(Aliases=["x"])})
    definition.mounts = [MountSpec("volume", "/data", source="/v", name="v", anonymous=True)]
    with opened(tmp_path / "engine.db") as store:
        await store.add_container(subject)
        assert store.load_containers() == [subject]


async def test_commits_that_come_together_all_succeed(tmp_path: Path) -> None:
    with opened(tmp_path / "engine.db") as store:
        records = [ExecRecord(f"e{n}", "c", 1, ["x"]) for n in range(200)]
        await asyncio.gather(*(store.put_exec(record) for record in records))
        assert sorted(record.id for record in store.load_execs()) == sorted(record.id for record in records)


async def test_one_that_fails_does_not_spoil_those_beside_it(tmp_path: Path) -> None:
    """Adding the same container twice violates its key."""
    with opened(tmp_path / "engine.db") as store:
        results = await asyncio.gather(
            store.add_container(container()),
            store.add_container(container()),
            store.put_exec(ExecRecord("e", "c", 1, ["x"])),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [type(None), EngineError, type(None)]
        assert len(store.load_execs()) == 1


async def test_deleting_a_container_takes_its_execs_along(tmp_path: Path) -> None:
    subject = container()
    with opened(tmp_path / "engine.db") as store:
        await store.add_container(subject)
        await store.put_exec(ExecRecord("mine", subject.id, 1, ["x"]))
        await store.put_exec(ExecRecord("other", "c2", 1, ["x"]))
        await store.delete_container(subject.id)
        assert store.load_containers() == []
        assert [record.id for record in store.load_execs()] == ["other"]


async def test_what_is_to_be_stored_soon_is_stored_before_the_close(tmp_path: Path) -> None:
    subject = container()
    with opened(tmp_path / "engine.db") as store:
        await store.add_container(subject)
        subject.state.exit_code = 7
        store.put_state_soon(subject)
    with opened(tmp_path / "engine.db") as store:
        assert store.load_containers()[0].state.exit_code == 7


def test_a_file_that_is_no_database_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "engine.db"
    path.write_bytes(b"not a database, and long enough to be looked at" * 50)
    with pytest.raises(EngineError, match=str(path)) as raised:
        Store(path).open()
    assert isinstance(raised.value.__cause__, sqlite3.Error)

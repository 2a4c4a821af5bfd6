"""A daemon that comes back agrees with the supervisor, whatever happened while it was away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rundlet.engine.container import Container, Status
from rundlet.engine.logs.entry import LogOptions
from rundlet.engine.session import AttachOptions
from rundlet.engine.store import Store
from rundlet.errors import ContainerNotFound, DataRootLocked, EngineError, StorageFull
from rundlet.wire.documents import ContainerState, ExecCreateRequest, ExecStartRequest, HostConfig, RestartPolicy
from tests.fakes.engine import FakeEngine, FakeSupervisor, request, running_engine


@contextlib.asynccontextmanager
async def supervisor() -> AsyncIterator[FakeSupervisor]:
    fake = FakeSupervisor()
    try:
        yield fake
    finally:
        fake.close()


async def started(engine: FakeEngine, name: str = "web", host: HostConfig | None = None) -> str:
    container, _ = await engine.containers.create(request("serve", host=host), name)
    await engine.containers.start(container)
    return container


async def state(engine: FakeEngine, container: str) -> ContainerState:
    return (await engine.containers.inspect(container)).State


async def lines(engine: FakeEngine, container: str) -> list[bytes]:
    return [entry.data async for entry in engine.containers.logs(container, LogOptions())]


async def stored(engine: FakeEngine, container: str, change: Status, **fields: object) -> None:
    """Put a state into the store behind the engine's back: what a kill at some instant would have left."""
    record = engine.core.registry.resolve(container).container
    copy = Container(record.definition, record.state)
    copy.state.status = change
    for name, value in fields.items():
        setattr(copy.state, name, value)
    await engine.core.store.put_state(copy)


async def test_a_running_container_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    async with supervisor() as held:
        async with running_engine(tmp_path, held) as engine:
            container = await started(engine)
            held.write(container, b"before\nhal")
        held.write(container, b"f\nwhile away\n")
        async with running_engine(tmp_path, held) as engine:
            assert (await state(engine, container)).Status == "running"
            session = await engine.containers.attach(container, AttachOptions(stdout=True, stream=True, logs=True))
            held.write(container, b"after\n")
            held.exit(container, 3)
            found = b"".join([data async for _, data in session.output])
            assert found == b"before\nhalf\nwhile away\nafter\n"
            assert (await state(engine, container)).ExitCode == 3
            assert await lines(engine, container) == [b"before\n", b"half\n", b"while away\n", b"after\n"]


async def test_an_exit_while_away_is_not_lost(tmp_path: Path) -> None:
    async with supervisor() as held:
        async with running_engine(tmp_path, held) as engine:
            container = await started(engine)
        held.write(container, b"last words")
        held.exit(container, 42)
        async with running_engine(tmp_path, held) as engine:
            assert (await engine.containers.waiter(container)).StatusCode == 42
            assert await lines(engine, container) == [b"last words"]
            async with engine.core.registry.resolve(container).lock:
                assert not held.holds(container)


async def test_an_exit_while_away_of_an_rm_container_removes_it(tmp_path: Path) -> None:
    async with supervisor() as held:
        async with running_engine(tmp_path, held) as engine:
            container = await started(engine, host=HostConfig(AutoRemove=True, Binds=["/data"]))
        held.exit(container, 0)
        async with running_engine(tmp_path, held) as engine:
            with contextlib.suppress(ContainerNotFound):  # the daemon was quick
                await engine.containers.waiter(container, "removed")
            assert list((tmp_path / "data/containers").iterdir()) == []
            assert list((tmp_path / "data/volumes").iterdir()) == []


@pytest.mark.parametrize(
    ("status", "run", "stays"), [("exited", 1, False), ("created", 1, False), ("created", 0, True)]
)
async def test_an_rm_container_whose_restart_or_removal_the_kill_interrupted_is_removed(
    tmp_path: Path, status: str, run: int, stays: bool
) -> None:
    async with supervisor() as held:
        async with running_engine(tmp_path, held) as engine:
            container, _ = await engine.containers.create(request("x", host=HostConfig(AutoRemove=True)))
            await stored(engine, container, Status(status), run=run)
        async with running_engine(tmp_path, held) as engine:
            assert (len(engine.core.registry) == 1) is stays


async def test_an_exit_that_was_stored_but_not_acknowledged_is_not_handled_twice(tmp_path: Path) -> None:
    async with supervisor() as held:
        async with running_engine(tmp_path, held) as engine:
            container = await started(engine, host=HostConfig(RestartPolicy=RestartPolicy("on-failure")))
            await stored(engine, container, Status.EXITED, exit_code=0, pid=0)
        held.exit(container, 0)
        async with running_engine(tmp_path, held) as engine:
            assert (await state(engine, container)).Status == "exited"
            while held.holds(container):
                await asyncio.sleep(0.002)
            assert (await engine.containers.inspect(container)).RestartCount == 0


async def test_a_paused_container_is_paused_again_and_a_running_one_thawed(tmp_path: Path) -> None:
    """A kill between the record and the freezer leaves either half-way."""
    async with supervisor() as held:
        async with running_engine(tmp_path, held) as engine:
            one, two = await started(engine, "one"), await started(engine, "two")
            await stored(engine, one, Status.PAUSED)
        async with running_engine(tmp_path, held) as engine:
            assert (await state(engine, one)).Status == "paused"
            assert (f"/test/{one}", "freeze") in engine.hierarchies.calls
            assert (f"/test/{two}", "thaw") in engine.hierarchies.calls


async def test_a_start_that_the_kill_interrupted_is_what_it_was_before(tmp_path: Path) -> None:
    async with supervisor() as held:
        async with running_engine(tmp_path, held) as engine:
            container, _ = await engine.containers.create(request("x"))
            await stored(engine, container, Status.STARTING, starting_from=Status.CREATED, run=1)
        async with running_engine(tmp_path, held) as engine:
            found = await state(engine, container)
            assert (found.Status, found.ExitCode) == ("created", 128)
            assert (f"/test/{container}", "kill") in engine.hierarchies.calls, "it may have come to run"
            await engine.containers.start(container)


async def test_a_start_that_came_through_is_running(tmp_path: Path) -> None:
    async with supervisor() as held:
        async with running_engine(tmp_path, held) as engine:
            container = await started(engine)
            await stored(engine, container, Status.STARTING, starting_from=Status.CREATED, pid=0)
        async with running_engine(tmp_path, held) as engine:
            found = await state(engine, container)
            assert (found.Status, found.Pid) == ("running", 1001)


async def test_a_container_that_nobody_holds_any_more_has_exited_and_says_so(tmp_path: Path) -> None:
    """The machine was restarted, or the supervisor died while no daemon was there."""
    async with supervisor() as held:
        async with running_engine(tmp_path, held) as engine:
            container = await started(engine)
            held.write(container, b"printed\n")
        await held.delete(container)
        async with running_engine(tmp_path, held) as engine:
            found = await state(engine, container)
            assert (found.Status, found.ExitCode) == ("exited", 255)
            assert "exit code is not known" in found.Error
            assert (f"/test/{container}", "kill") in engine.hierarchies.calls
            assert await lines(engine, container) == [b"printed\n"]


@pytest.mark.parametrize("status", [Status.REMOVING, Status.DEAD])
async def test_a_removal_that_the_kill_interrupted_is_finished(status: Status, tmp_path: Path) -> None:
    async with supervisor() as held:
        async with running_engine(tmp_path, held) as engine:
            container, _ = await engine.containers.create(request("x", host=HostConfig(Binds=["/data"])), "web")
            await stored(engine, container, status, removes_volumes=True)
        async with running_engine(tmp_path, held) as engine:
            with pytest.raises(ContainerNotFound):
                await engine.containers.inspect("web")
            for directory in ("containers", "volumes"):
                assert list((tmp_path / "data" / directory).iterdir()) == []


async def test_what_no_record_names_is_swept(tmp_path: Path) -> None:
    async with supervisor() as held:
        async with running_engine(tmp_path, held) as engine:
            kept, _ = await engine.containers.create(request("x", host=HostConfig(Binds=["cache:/c"])))
        for path in ("data/containers/torn/upper/deep", "data/volumes/torn/_data", "run/containers/torn"):
            (tmp_path / path).mkdir(parents=True)
        async with running_engine(tmp_path, held):
            assert [path.name for path in (tmp_path / "data/containers").iterdir()] == [kept]
            assert [path.name for path in (tmp_path / "data/volumes").iterdir()] == ["cache"]
            assert list((tmp_path / "run/containers").iterdir()) == []


async def test_a_container_without_a_record_is_killed(tmp_path: Path) -> None:
    async with supervisor() as held:
        async with running_engine(tmp_path, held) as engine:
            container = await started(engine)
            await engine.core.store.delete_container(container)
        async with running_engine(tmp_path, held):
            assert not held.holds(container)


@pytest.mark.parametrize(
    ("policy", "by_user", "starts"),
    [
        ("always", True, True),
        ("unless-stopped", True, False),
        ("unless-stopped", False, True),
        ("no", False, False),
    ],
)
async def test_policies_start_what_they_start_with_the_daemon(
    policy: str, by_user: bool, starts: bool, tmp_path: Path
) -> None:
    async with supervisor() as held:
        async with running_engine(tmp_path, held) as engine:
            container = await started(engine, host=HostConfig(RestartPolicy=RestartPolicy(policy)))
            if by_user:
                await engine.containers.stop(container)
            else:
                await engine.shutdown_all()
        async with running_engine(tmp_path, held) as engine:
            for _ in range(200):
                if held.holds(container):
                    break
                await asyncio.sleep(0.002)
            assert held.holds(container) is starts


async def test_a_restart_that_was_due_comes_after_the_daemon(tmp_path: Path) -> None:
    async with supervisor() as held:
        async with running_engine(tmp_path, held) as engine:
            container = await started(engine, host=HostConfig(RestartPolicy=RestartPolicy("always")))
            engine.core.registry.resolve(container).restart_delay_s = 30.0
            waiter = engine.containers.waiter(container, "next-exit")
            held.exit(container, 1)
            await waiter
            async with engine.core.registry.resolve(container).lock:
                assert (await state(engine, container)).Status == "restarting"
        async with running_engine(tmp_path, held) as engine:
            while (await state(engine, container)).Status != "running":
                await asyncio.sleep(0.002)


async def test_an_exec_that_ended_while_away_can_be_inspected(tmp_path: Path) -> None:
    async with supervisor() as held:
        async with running_engine(tmp_path, held) as engine:
            container = await started(engine)
            exec_id = await engine.execs.create(container, ExecCreateRequest(Cmd=["x"], AttachStdout=True))
            await engine.execs.start(exec_id, ExecStartRequest(Detach=True))
        held.exit_exec(container, exec_id, 9)
        async with running_engine(tmp_path, held) as engine:
            while engine.execs.inspect(exec_id).ExitCode is None:
                await asyncio.sleep(0.002)
            assert engine.execs.inspect(exec_id).ExitCode == 9


class TestSupervisorDeath:
    async def test_containers_are_killed_and_say_why(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            engine.supervisor.write(container, b"printed, no newline")
            waiter = engine.containers.waiter(container, "")
            session = await engine.containers.attach(container, AttachOptions(stdout=True, stream=True))
            engine.supervisor.die()
            assert (await waiter).StatusCode == 137
            found = await state(engine, container)
            assert (found.Status, found.ExitCode) == ("exited", 137)
            assert "supervisor" in found.Error
            assert (f"/test/{container}", "kill") in engine.hierarchies.calls
            assert [data async for _, data in session.output] in ([b"printed, no newline"], [])
            assert await lines(engine, container) == [b"printed, no newline"]
            await engine.containers.start(container)
            assert (await state(engine, container)).Status == "running"

    async def test_policies_start_their_containers_again(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine, host=HostConfig(RestartPolicy=RestartPolicy("unless-stopped")))
            engine.supervisor.die()
            waiter = engine.containers.waiter(container, "next-exit")
            await waiter
            while (await state(engine, container)).Status != "running":
                await asyncio.sleep(0.002)


class TestDataRoot:
    async def test_belongs_to_one_daemon(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path):
            with pytest.raises(DataRootLocked, match=r"is in use by another daemon \(pid \d+\)"):
                async with running_engine(tmp_path):
                    pass
        async with running_engine(tmp_path):
            pass

    async def test_of_another_format_is_not_touched(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path):
            pass
        (tmp_path / "data/format").write_text("99\n")
        with pytest.raises(EngineError, match="has format '99'; this version knows format 1"):
            async with running_engine(tmp_path):
                pass

    async def test_is_the_engines_alone(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path):
            assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


async def test_shutting_everything_down_ends_what_runs_and_nobody_has_stopped_it(tmp_path: Path) -> None:
    async with supervisor() as held:
        async with running_engine(tmp_path, held) as engine:
            container = await started(engine)
            await engine.shutdown_all()
            assert not held.holds(container)
            assert not engine.core.registry.resolve(container).container.state.stopped_by_user


async def test_a_full_disk_at_the_next_start_loses_no_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was starting when the daemon was killed, and runs; that cannot be stored now. It can be ended, though."""

    async def refuse(*_: object) -> None:
        raise StorageFull("/x", "storing a record")

    async with supervisor() as held:
        async with running_engine(tmp_path, held) as engine:
            container = await started(engine)
            await stored(engine, container, Status.STARTING, starting_from=Status.CREATED)
        with monkeypatch.context() as full:
            full.setattr(Store, "put_state", refuse)
            async with running_engine(tmp_path, held) as engine:
                assert (await state(engine, container)).Status == "running"
                held.write(container, b"still read\n")
                await engine.containers.remove(container, force=True)
                assert held.deleted == [container]

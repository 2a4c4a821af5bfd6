"""The life of a container through the engine's face: states, answers, events, waiters, restarts, removal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from rundlet.engine.container import Status
from rundlet.engine.logs.entry import LogOptions
from rundlet.errors import (
    Conflict,
    ContainerNotFound,
    ContainerNotRunning,
    ContainerStateConflict,
    EngineError,
    ImageNotFound,
    InvalidArgument,
    Kind,
    NameInUse,
    NotFound,
    NotModified,
    RundletError,
    StartFailed,
    StorageFull,
)
from rundlet.wire.documents import HostConfig, LogConfig, PortBinding, RestartPolicy, WaitResponse
from tests.fakes.engine import IMAGE, FakeEngine, request, running_engine


async def created(engine: FakeEngine, name: str | None = None, host: HostConfig | None = None) -> str:
    container, _ = await engine.containers.create(request("serve", host=host), name)
    return container


async def started(engine: FakeEngine, name: str | None = None, host: HostConfig | None = None) -> str:
    container = await created(engine, name, host)
    await engine.containers.start(container)
    return container


async def status(engine: FakeEngine, container: str) -> str:
    return (await engine.containers.inspect(container)).State.Status


async def ended(engine: FakeEngine, container: str, code: int = 0) -> WaitResponse:
    """Let it end, and wait until the engine has dealt with it, its record included."""
    waiter = engine.containers.waiter(container, "next-exit")
    engine.supervisor.exit(container, code)
    response = await waiter
    if entry := engine.core.registry.get(container):
        async with entry.lock:
            pass
    return response


def actions(engine: FakeEngine) -> list[str]:
    return [event.action for event in engine.events._past]


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class TestCreate:
    async def test_is_inspected_as_it_was_asked_for(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container, warnings = await engine.containers.create(request("echo", "hi", Hostname="h"), "web")
            found = await engine.containers.inspect("web")
            assert (found.Id, found.Name, found.Path, found.Args) == (container, "/web", "echo", ["hi"])
            assert found.Image == IMAGE.id
            assert found.State.Status == "created"
            assert found.Config.Hostname == "h"
            assert found.Config.WorkingDir == "/srv"
            assert found.HostConfig.LogConfig.Type == "json-file"
            assert len(container) == 64
            assert warnings

    @pytest.mark.parametrize(
        ("asked", "effective"),
        [
            ({}, {"max-size": "10m", "max-file": "3"}),
            ({"max-file": "5"}, {"max-size": "10m", "max-file": "5"}),
            ({"max-size": "-1"}, {"max-size": "-1", "max-file": "3"}),
        ],
    )
    async def test_log_options_are_echoed_as_asked_and_completed_by_the_engines_own(
        self, tmp_path: Path, asked: dict[str, str], effective: dict[str, str]
    ) -> None:
        async with running_engine(tmp_path) as engine:
            container = await created(engine, host=HostConfig(LogConfig=LogConfig(Config=asked)))
            assert (await engine.containers.inspect(container)).HostConfig.LogConfig == LogConfig(
                "json-file", asked
            )
            entry = engine.core.registry.resolve(container)
            assert entry.container.definition.log.options == effective

    @pytest.mark.parametrize(
        ("log", "words"),
        [
            (LogConfig("asdf"), "logger: no log driver named 'asdf' is registered"),
            (LogConfig("", {"shout": "1"}), "unknown log opt 'shout'"),
        ],
    )
    async def test_a_log_that_cannot_be_is_refused(self, tmp_path: Path, log: LogConfig, words: str) -> None:
        async with running_engine(tmp_path) as engine:
            with pytest.raises(InvalidArgument, match=words):
                await created(engine, host=HostConfig(LogConfig=log))

    async def test_the_ports_of_a_running_container_are_shown_though_not_published(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            host = HostConfig(PortBindings={"80/tcp": [PortBinding("", "8080")], "81": None})
            body = request("serve", host=host, ExposedPorts={"80/tcp": {}, "53/udp": {}})
            container, _ = await engine.containers.create(body)
            assert (await engine.containers.inspect(container)).NetworkSettings.Ports == {}
            await engine.containers.start(container)
            ports = (await engine.containers.inspect(container)).NetworkSettings.Ports
            assert ports == {"80/tcp": None, "53/udp": None, "81/tcp": None}
            (row,) = await engine.containers.list()
            assert [(port.PrivatePort, port.Type) for port in row.Ports] == [(80, "tcp"), (53, "udp"), (81, "tcp")]

    async def test_an_unknown_image_is_not_found_and_frees_the_name(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            bad = request("x")
            bad.Image = "nope"
            with pytest.raises(ImageNotFound, match="No such image: nope"):
                await engine.containers.create(bad, "web")
            await created(engine, "web")

    async def test_of_two_at_once_one_gets_the_name(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            results = await asyncio.gather(created(engine, "web"), created(engine, "web"), return_exceptions=True)
            assert [type(result) for result in results] == [str, NameInUse]

    async def test_a_refused_request_leaves_nothing_on_disk(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            with pytest.raises(InvalidArgument):
                await created(engine, "web", HostConfig(Memory=5))
            assert list((tmp_path / "data/containers").iterdir()) == []
            await created(engine, "web")

    async def test_a_source_that_cannot_be_made_is_the_requests_fault(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        async with running_engine(tmp_path) as engine:
            with pytest.raises(InvalidArgument, match=r"error while creating mount source path .*/file/below'"):
                await created(engine, host=HostConfig(Binds=[f"{tmp_path}/file/below:/x"]))
            assert list((tmp_path / "data/containers").iterdir()) == []

    async def test_volumes_from_nobody_is_no_missing_image(self, tmp_path: Path) -> None:
        """A client pulls the image at a 404."""
        async with running_engine(tmp_path) as engine:
            with pytest.raises(InvalidArgument, match="No such container: nope"):
                await created(engine, host=HostConfig(VolumesFrom=["nope"]))

    async def test_a_create_that_fails_leaves_alone_what_another_one_makes(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        async with running_engine(tmp_path) as engine:
            good, bad = await asyncio.gather(
                created(engine, host=HostConfig(Binds=["cache:/x"])),
                created(engine, host=HostConfig(Binds=["cache:/x", f"{tmp_path}/file/below:/y/z"])),
                return_exceptions=True,
            )
            assert isinstance(bad, InvalidArgument)
            assert isinstance(good, str)
            assert (tmp_path / "data/volumes/cache/_data").is_dir()

    async def test_an_image_in_use_is_not_removed_and_a_condemned_one_not_used(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await created(engine)
            with pytest.raises(Conflict, match=f"stopped {container[:12]}"):
                await engine.images.remove("busybox")
            await engine.containers.start(container)
            with pytest.raises(Conflict, match=f"running {container[:12]}"):
                await engine.images.remove("busybox")
            await ended(engine, container)
            await engine.containers.remove(container)
            await engine.images.remove("busybox")
            with pytest.raises(ImageNotFound):
                await created(engine)


class TestStart:
    async def test_runs_and_says_so(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            state = (await engine.containers.inspect(container)).State
            assert (state.Status, state.Running, state.Pid) == ("running", True, 1001)
            with pytest.raises(NotModified):
                await engine.containers.start(container)

    async def test_that_cannot_be_stored_leaves_no_descriptor_open(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail(container: object) -> None:
            raise StorageFull("/x", "storing a record")

        async with running_engine(tmp_path) as engine:
            container = await created(engine)
            with monkeypatch.context() as patch:
                patch.setattr(engine.core.store, "put_state", fail)
                with pytest.raises(StorageFull):
                    await engine.containers.start(container)
                before = open_descriptors()
                for _ in range(5):
                    with pytest.raises(StorageFull):
                        await engine.containers.start(container)
                assert open_descriptors() == before
            await engine.containers.start(container)

    async def test_a_program_that_is_missing_leaves_it_created_with_127(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            engine.supervisor.start_error = StartFailed("exec: no such program", 127)
            container = await created(engine)
            with pytest.raises(StartFailed) as raised:
                await engine.containers.start(container)
            assert (raised.value.exit_code, raised.value.kind) == (127, Kind.INVALID)
            state = (await engine.containers.inspect(container)).State
            assert (state.Status, state.ExitCode, state.Error) == ("created", 127, "exec: no such program")
            engine.supervisor.start_error = None
            await engine.containers.start(container)

    async def test_a_failed_start_of_rm_removes_it_and_answers_who_waits(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            engine.supervisor.start_error = StartFailed("nope", 126)
            container = await created(engine, host=HostConfig(AutoRemove=True))
            waiter = engine.containers.waiter(container, "removed")
            with pytest.raises(StartFailed):
                await engine.containers.start(container)
            assert (await waiter).StatusCode == 126
            with pytest.raises(ContainerNotFound):
                await engine.containers.inspect(container)

    async def test_an_unknown_network_is_an_error_of_start_not_of_create(self, tmp_path: Path) -> None:
        """A 404 of create would make clients pull the image."""
        async with running_engine(tmp_path) as engine:
            container = await created(engine, host=HostConfig(NetworkMode="nope"))
            with pytest.raises(NotFound, match="network nope not found"):
                await engine.containers.start(container)
            assert await status(engine, container) == "created"

    async def test_a_namespace_of_a_container_that_does_not_run_is_refused(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            await created(engine, "db")
            container = await created(engine, host=HostConfig(NetworkMode="container:db"))
            with pytest.raises(ContainerNotRunning):
                await engine.containers.start(container)
            assert await status(engine, container) == "created"

    async def test_again_after_its_end_is_a_new_run(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            engine.supervisor.write(container, b"first\n")
            assert (await ended(engine, container, 4)).StatusCode == 4
            await engine.containers.start(container)
            engine.supervisor.write(container, b"second\n")
            await ended(engine, container)
            entries = [entry async for entry in engine.containers.logs(container, LogOptions())]
            assert [(entry.data, entry.position.run) for entry in entries] == [(b"first\n", 1), (b"second\n", 2)]


class TestEnd:
    async def test_records_the_code_and_lets_the_supervisor_forget(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            assert await ended(engine, container, 3) == WaitResponse(3)
            found = await engine.containers.inspect(container)
            assert (found.State.Status, found.State.ExitCode, found.State.Pid) == ("exited", 3, 0)
            assert not engine.supervisor.holds(container)
            assert actions(engine)[-3:] == ["create", "start", "die"]

    async def test_a_program_that_ends_before_its_start_is_answered(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            engine.supervisor.on_start = lambda container: engine.supervisor.exit(container, 9)
            container = await created(engine)
            waiter = engine.containers.waiter(container, "next-exit")
            await engine.containers.start(container)
            assert (await waiter).StatusCode == 9
            assert await status(engine, container) == "exited"

    async def test_out_of_memory_shows(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            waiter = engine.containers.waiter(container, "")
            engine.supervisor.exit(container, 137, signal=9, oom_killed=True)
            await waiter
            assert (await engine.containers.inspect(container)).State.OOMKilled
            assert actions(engine)[-2:] == ["oom", "die"]

    async def test_the_log_is_complete_before_anybody_is_told(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            for n in range(500):
                engine.supervisor.write(container, b"%d\n" % n)
            waiter = engine.containers.waiter(container, "")
            engine.supervisor.exit(container, 0)
            await waiter
            entries = [entry.data async for entry in engine.containers.logs(container, LogOptions())]
            assert entries == [b"%d\n" % n for n in range(500)]

    async def test_of_rm_removes_everything_of_it(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            host = HostConfig(AutoRemove=True, Binds=["/data"])
            container = await started(engine, "web", host)
            assert len(list((tmp_path / "data/volumes").iterdir())) == 1
            waiter = engine.containers.waiter(container, "removed")
            engine.supervisor.exit(container, 6)
            assert (await waiter).StatusCode == 6
            for directory in ("data/containers", "data/volumes", "run/containers"):
                assert list((tmp_path / directory).iterdir()) == []
            assert not engine.supervisor.holds(container)
            await created(engine, "web")

    async def test_with_the_hosts_pids_what_it_left_is_killed_before_anybody_is_told(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine, host=HostConfig(PidMode="host"))
            waiter = engine.containers.waiter(container, "")
            engine.supervisor.exit(container, 0)
            await waiter
            assert engine.supervisor.deleted == [container]


class TestStopAndKill:
    async def test_stop_sends_the_containers_signal_and_returns_when_it_has_ended(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container, _ = await engine.containers.create(request("x", StopSignal="SIGINT"))
            engine.supervisor.deadly = frozenset({2})
            await engine.containers.start(container)
            await engine.containers.stop(container)
            assert engine.supervisor.signals == [(container, 2)]
            assert await status(engine, container) == "exited"
            assert [a for a in actions(engine) if a in ("kill", "die", "stop")] == ["kill", "die", "stop"]

    async def test_stop_kills_what_does_not_end_in_time(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            engine.supervisor.deadly = frozenset({9})
            container = await started(engine)
            await engine.containers.stop(container, 0)
            assert [number for _, number in engine.supervisor.signals] == [15, 9]
            assert (await engine.containers.inspect(container)).State.ExitCode == 137

    async def test_a_kill_is_not_held_up_by_a_stop_that_waits(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            engine.supervisor.deadly = frozenset({9})
            container = await started(engine)
            stop = asyncio.create_task(engine.containers.stop(container, -1))
            while not engine.supervisor.signals:
                await asyncio.sleep(0)
            await engine.containers.kill(container)
            await stop

    async def test_a_client_that_hangs_up_does_not_undo_a_stop(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            engine.supervisor.deadly = frozenset()
            container = await started(engine)
            waiter = engine.containers.waiter(container, "next-exit")
            stop = asyncio.create_task(engine.containers.stop(container, 0))
            while not engine.supervisor.signals:
                await asyncio.sleep(0)
            stop.cancel()
            while len(engine.supervisor.signals) < 2:
                await asyncio.sleep(0)
            engine.supervisor.exit(container, 137)
            await waiter

    async def test_another_signal_is_sent_and_not_waited_for(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine, host=HostConfig(RestartPolicy=RestartPolicy("always")))
            await engine.containers.kill(container, "HUP")
            assert engine.supervisor.signals == [(container, 1)]
            assert await status(engine, container) == "running"

    async def test_unknown_signals_are_refused(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            with pytest.raises(InvalidArgument, match="Invalid signal: NOPE"):
                await engine.containers.kill(container, "NOPE")


Call = Callable[[FakeEngine, str], Awaitable[object]]

CALLS: dict[str, Call] = {
    "start": lambda engine, container: engine.containers.start(container),
    "stop": lambda engine, container: engine.containers.stop(container),
    "kill": lambda engine, container: engine.containers.kill(container),
    "restart": lambda engine, container: engine.containers.restart(container),
    "pause": lambda engine, container: engine.containers.pause(container),
    "unpause": lambda engine, container: engine.containers.unpause(container),
    "rm": lambda engine, container: engine.containers.remove(container),
    "rm -f": lambda engine, container: engine.containers.remove(container, force=True),
}

TABLE: dict[str, dict[str, int]] = {
    "start": {"created": 204, "running": 304, "paused": 409, "restarting": 304, "exited": 204},
    "stop": {"created": 304, "running": 204, "paused": 204, "restarting": 204, "exited": 304},
    "kill": {"created": 409, "running": 204, "paused": 204, "restarting": 204, "exited": 409},
    "restart": {"created": 204, "running": 204, "paused": 204, "restarting": 204, "exited": 204},
    "pause": {"created": 409, "running": 204, "paused": 409, "restarting": 409, "exited": 409},
    "unpause": {"created": 500, "running": 500, "paused": 204, "restarting": 500, "exited": 500},
    "rm": {"created": 204, "running": 409, "paused": 409, "restarting": 409, "exited": 204},
    "rm -f": {"created": 204, "running": 204, "paused": 204, "restarting": 204, "exited": 204},
}


async def in_state(engine: FakeEngine, name: str) -> str:
    container = await created(engine, host=HostConfig(RestartPolicy=RestartPolicy("on-failure")))
    if name == "created":
        return container
    await engine.containers.start(container)
    if name == "paused":
        await engine.containers.pause(container)
    elif name == "exited":
        await ended(engine, container, 0)
    elif name == "restarting":
        engine.core.registry.resolve(container).restart_delay_s = 30.0
        await ended(engine, container, 1)
    assert await status(engine, container) == name
    return container


@pytest.mark.parametrize(
    ("call", "state", "code"), [(c, s, n) for c, row in TABLE.items() for s, n in row.items()]
)
async def test_each_call_answers_by_state_as_docker_does(call: str, state: str, code: int, tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        container = await in_state(engine, state)
        answer = 204
        try:
            await CALLS[call](engine, container)
        except RundletError as error:
            answer = error.http_status
        assert answer == code


class TestPause:
    async def test_freezes_the_cgroup_and_stays_running(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            await engine.containers.pause(container)
            state = (await engine.containers.inspect(container)).State
            assert (state.Status, state.Running, state.Paused) == ("paused", True, True)
            await engine.containers.unpause(container)
            assert engine.hierarchies.calls == [(f"/test/{container}", "freeze"), (f"/test/{container}", "thaw")]

    async def test_stop_resumes_a_paused_container(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            await engine.containers.pause(container)
            await engine.containers.stop(container)
            assert (f"/test/{container}", "thaw") in engine.hierarchies.calls
            assert await status(engine, container) == "exited"


class TestRestartPolicy:
    async def test_always_starts_again_and_counts(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine, host=HostConfig(RestartPolicy=RestartPolicy("always")))
            await ended(engine, container, 0)
            while await status(engine, container) != "running":
                await asyncio.sleep(0.005)
            assert (await engine.containers.inspect(container)).RestartCount == 1

    async def test_while_it_waits_it_is_restarting_with_its_last_code(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await in_state(engine, "restarting")
            state = (await engine.containers.inspect(container)).State
            assert (state.Running, state.Restarting, state.ExitCode, state.Pid) == (True, True, 1, 0)
            await engine.containers.stop(container)
            assert await status(engine, container) == "exited"

    async def test_on_failure_gives_up_after_its_count(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            engine.supervisor.on_start = lambda container: engine.supervisor.exit(container, 1)
            host = HostConfig(RestartPolicy=RestartPolicy("on-failure", 2))
            container = await started(engine, host=host)
            while await status(engine, container) != "exited":
                await asyncio.sleep(0.005)
            assert (await engine.containers.inspect(container)).RestartCount == 2
            assert len(engine.supervisor.requests) == 3

    async def test_a_stopped_container_stays_stopped(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine, host=HostConfig(RestartPolicy=RestartPolicy("always")))
            await engine.containers.stop(container)
            assert await status(engine, container) == "exited"

    async def test_a_restart_that_fails_ends_it_with_the_reason(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine, host=HostConfig(RestartPolicy=RestartPolicy("always")))
            engine.supervisor.start_error = StartFailed("gone", 127)
            await ended(engine, container, 1)
            while await status(engine, container) != "exited":
                await asyncio.sleep(0.005)
            assert (await engine.containers.inspect(container)).State.Error == "gone"

    async def test_a_restart_that_cannot_even_begin_ends_it_with_the_reason(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            other = await started(engine, "other")
            host = HostConfig(RestartPolicy=RestartPolicy("always"), NetworkMode="container:other")
            container = await started(engine, host=host)
            await ended(engine, other)
            await ended(engine, container, 4)
            while await status(engine, container) == "restarting":
                await asyncio.sleep(0.005)
            state = (await engine.containers.inspect(container)).State
            assert (state.Status, state.ExitCode) == ("exited", 4)
            assert state.Error == f"container {other} is not running"

    @pytest.mark.parametrize("pid_mode", ["", "host"])
    async def test_what_the_supervisor_cannot_clear_away_stops_no_restart(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pid_mode: str
    ) -> None:
        async with running_engine(tmp_path) as engine:
            host = HostConfig(RestartPolicy=RestartPolicy("always"), PidMode=pid_mode)
            container = await started(engine, host=host)

            async def fail(container_id: str, *, force: bool = False) -> None:
                raise EngineError("its cgroup is busy")

            with monkeypatch.context() as patch:
                patch.setattr(engine.supervisor, "delete", fail)
                await ended(engine, container, 1)
                assert await status(engine, container) == "restarting"
            while await status(engine, container) != "running":
                await asyncio.sleep(0.005)

    async def test_a_restart_by_hand_does_not_remove_an_rm_container(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine, host=HostConfig(AutoRemove=True))
            await engine.containers.restart(container)
            assert await status(engine, container) == "running"


class TestRename:
    async def test_moves_the_name(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await created(engine, "old")
            await engine.containers.rename("old", "new")
            assert (await engine.containers.inspect("new")).Id == container
            await created(engine, "old")

    @pytest.mark.parametrize(
        ("name", "error"),
        [("", InvalidArgument), ("web", InvalidArgument), ("db", NameInUse), ("a b", InvalidArgument)],
    )
    async def test_refuses_what_docker_refuses(self, name: str, error: type[RundletError], tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            await created(engine, "web")
            await created(engine, "db")
            with pytest.raises(error):
                await engine.containers.rename("web", name)
            assert (await engine.containers.inspect("web")).Name == "/web"


class TestRemove:
    async def test_the_refusal_says_what_to_do(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            with pytest.raises(ContainerStateConflict, match="stop the container before"):
                await engine.containers.remove(container)

    async def test_by_force_kills_without_a_stop_event(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            await engine.containers.remove(container, force=True)
            assert actions(engine)[-3:] == ["kill", "die", "destroy"]
            with pytest.raises(ContainerNotFound):
                await engine.containers.inspect(container)

    @pytest.mark.parametrize("force", [False, True])
    async def test_of_what_is_being_started_needs_force_and_then_kills_it(
        self, force: bool, tmp_path: Path
    ) -> None:
        async with running_engine(tmp_path) as engine:
            container = await created(engine)
            starting = asyncio.ensure_future(engine.containers.start(container))
            while engine.core.registry.resolve(container).container.state.status is not Status.STARTING:
                await asyncio.sleep(0)
            if force:
                await engine.containers.remove(container, force=True)
                assert len(engine.core.registry) == 0
            else:
                with pytest.raises(Conflict, match="stop the container before"):
                    await engine.containers.remove(container)
            await starting

    @pytest.mark.parametrize("volumes", [False, True])
    async def test_takes_anonymous_volumes_only_when_asked_and_named_ones_never(
        self, volumes: bool, tmp_path: Path
    ) -> None:
        async with running_engine(tmp_path) as engine:
            container = await created(engine, host=HostConfig(Binds=["cache:/c", "/anonymous"]))
            await engine.containers.remove(container, volumes=volumes)
            left = {path.name for path in (tmp_path / "data/volumes").iterdir()}
            assert "cache" in left
            assert len(left) == (1 if volumes else 2)

    async def test_keeps_an_anonymous_volume_that_another_container_uses(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            first = await created(engine, host=HostConfig(Binds=["/data"]))
            await created(engine, host=HostConfig(VolumesFrom=[first]))
            await engine.containers.remove(first, volumes=True)
            assert len(list((tmp_path / "data/volumes").iterdir())) == 1

    async def test_what_cannot_be_removed_is_dead_and_can_be_removed_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with running_engine(tmp_path) as engine:
            container = await created(engine)

            def fail(container_id: str) -> None:
                raise OSError(5, "Input/output error")

            with monkeypatch.context() as patch:
                patch.setattr(engine.core.snapshots, "remove", fail)
                with pytest.raises(OSError, match="Input/output error"):
                    await engine.containers.remove(container)
            assert await status(engine, container) == "dead"
            await engine.containers.remove(container)

    @pytest.mark.parametrize(
        ("until", "removes"),
        [
            ("0s", True),
            ("1h", False),
            ("1700000000.5", False),
            ("2024-01-01T00:00:00Z", False),
            ("2024-01-01", False),
            ("2200-01-01T00:00:00+02:00", True),
        ],
    )
    async def test_prune_until_takes_what_dockers_cli_takes(
        self, tmp_path: Path, until: str, removes: bool
    ) -> None:
        async with running_engine(tmp_path) as engine:
            container = await created(engine)
            removed, _ = await engine.containers.prune({"until": [until]})
            assert removed == ([container] if removes else [])

    @pytest.mark.parametrize("until", ["inf", "nan", "1e300", "soon", ""])
    async def test_prune_until_no_time_is_refused(self, tmp_path: Path, until: str) -> None:
        async with running_engine(tmp_path) as engine:
            await created(engine)
            with pytest.raises(InvalidArgument, match="failed to parse value as time or duration"):
                await engine.containers.prune({"until": [until]})
            assert len(engine.core.registry) == 1

    async def test_prune_removes_what_does_not_run_and_matches(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            running = await started(engine)
            kept, _ = await engine.containers.create(request("x", Labels={"keep": "1"}))
            gone = await created(engine)
            removed, _ = await engine.containers.prune({"label!": ["keep"]})
            assert removed == [gone]
            left = {summary.Id for summary in await engine.containers.list(all=True)}
            assert left == {running, kept}
            with pytest.raises(InvalidArgument, match="invalid filter 'nope'"):
                await engine.containers.prune({"nope": ["x"]})


class TestList:
    async def test_shows_what_runs_newest_first_and_all_on_demand(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            first, second = await started(engine, "one"), await started(engine, "two")
            stopped = await created(engine, "three")
            assert [item.Id for item in await engine.containers.list()] == [second, first]
            assert [item.Id for item in await engine.containers.list(all=True)] == [stopped, second, first]
            assert [item.Id for item in await engine.containers.list(limit=1)] == [stopped]

    @pytest.mark.parametrize(
        ("filters", "names"),
        [
            ({"name": ["^/on"]}, {"one"}),
            ({"name": ["two", "one"]}, {"one", "two"}),
            ({"status": ["created"]}, {"two"}),
            ({"status": ["created", "running"]}, {"one", "two"}),
            ({"label": ["maker=cooper"]}, {"one", "two"}),
            ({"label": ["maker", "app=x"]}, set()),
            ({"ancestor": ["busybox"]}, {"one", "two"}),
            ({"ancestor": ["other"]}, set()),
            ({"before": ["two"]}, {"one"}),
            ({"since": ["one"]}, {"two"}),
            ({"network": ["bridge"]}, {"one", "two"}),
            ({"volume": ["cache"]}, {"one"}),
            ({"health": ["healthy"]}, set()),
            ({"is-task": ["false"]}, {"one", "two"}),
            ({"exited": ["0"]}, set()),
            ({"status": ["dead"]}, set()),
        ],
    )
    async def test_filters(self, filters: dict[str, list[str]], names: set[str], tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            await started(engine, "one", HostConfig(Binds=["cache:/c"]))
            await created(engine, "two")
            found = await engine.containers.list(all=True, filters=filters)
            assert {item.Names[0][1:] for item in found} == names

    @pytest.mark.parametrize(
        "filters", [{"nope": ["x"]}, {"status": ["stopped"]}, {"exited": ["x"]}, {"name": ["("]}]
    )
    async def test_a_filter_that_means_nothing_is_refused(
        self, filters: dict[str, list[str]], tmp_path: Path
    ) -> None:
        async with running_engine(tmp_path) as engine:
            with pytest.raises(InvalidArgument, match="invalid filter"):
                await engine.containers.list(filters=filters)

    async def test_a_summary_has_what_clients_read(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine, "web")
            [item] = await engine.containers.list(size=True)
            assert (item.Names, item.State, item.Command) == (["/web"], "running", "serve")
            assert item.Status.startswith("Up ")
            assert (item.SizeRw, item.SizeRootFs) == (0, 1000)
            assert (item.Id, item.ImageID) == (container, IMAGE.id)


async def test_unpausing_what_is_not_paused_is_the_engines_error(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        container = await started(engine)
        with pytest.raises(EngineError, match="is not paused"):
            await engine.containers.unpause(container)

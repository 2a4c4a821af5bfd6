"""Attach, logs and exec: every byte, once, in order, to whoever listens; and nobody holds up anybody for good."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from rundlet.engine import output as output_module
from rundlet.engine.logs.entry import LogOptions
from rundlet.engine.session import TERMINAL, AttachOptions, Session
from rundlet.errors import (
    Conflict,
    ContainerNotRunning,
    ContainerStateConflict,
    ExecNotFound,
    InvalidArgument,
    NotImplementedHere,
    StartFailed,
    StorageFull,
)
from rundlet.wire.documents import (
    ContainerCreateRequest,
    ExecCreateRequest,
    ExecStartRequest,
    HostConfig,
    LogConfig,
)
from tests.fakes.engine import FakeEngine, request, running_engine

ALL = AttachOptions(stdin=True, stdout=True, stderr=True, stream=True)
LOGS = AttachOptions(stdout=True, stderr=True, stream=True, logs=True)


async def created(engine: FakeEngine, body: ContainerCreateRequest | None = None) -> str:
    container, _ = await engine.containers.create(body or request("serve"))
    return container


async def started(engine: FakeEngine, body: ContainerCreateRequest | None = None) -> str:
    container = await created(engine, body)
    await engine.containers.start(container)
    return container


async def read_all(session: Session) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    async for stream, data in session.output:
        found[stream] = found.get(stream, b"") + data
    return found


async def read_until(output: AsyncIterator[tuple[int, bytes]], end: bytes) -> bytes:
    found = b""
    while not found.endswith(end):
        found += (await anext(output))[1]
    return found


class TestAttach:
    async def test_on_a_created_container_gets_the_first_byte(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await created(engine)
            session = await engine.containers.attach(container, ALL)

            def program(container_id: str) -> None:
                engine.supervisor.write(container_id, b"out")
                engine.supervisor.write(container_id, b"err", 2)
                engine.supervisor.exit(container_id)

            engine.supervisor.on_start = program
            await engine.containers.start(container)
            assert await read_all(session) == {1: b"out", 2: b"err"}

    async def test_gets_only_the_streams_it_asked_for(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await created(engine)
            session = await engine.containers.attach(container, AttachOptions(stderr=True, stream=True))
            await engine.containers.start(container)
            engine.supervisor.write(container, b"out")
            engine.supervisor.write(container, b"err", 2)
            engine.supervisor.exit(container)
            assert await read_all(session) == {2: b"err"}

    async def test_a_terminals_output_is_one_unframed_stream(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await created(engine, request("sh", Tty=True))
            session = await engine.containers.attach(container, ALL)
            await engine.containers.start(container)
            engine.supervisor.write(container, b"$ ")
            engine.supervisor.exit(container)
            assert session.tty
            assert await read_all(session) == {TERMINAL: b"$ "}

    async def test_the_end_comes_after_the_exit_is_recorded(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            session = await engine.containers.attach(container, ALL)
            engine.supervisor.exit(container, 5)
            await read_all(session)
            assert (await engine.containers.inspect(container)).State.ExitCode == 5

    async def test_replay_and_what_follows_fit_without_gap_or_overlap(self, tmp_path: Path) -> None:
        """Attached in the middle of a line, and while more is printed."""
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            printed = b""
            sessions = []
            for n in range(60):
                piece = b"%d%s" % (n, b"\n" if n % 3 else b" ")
                engine.supervisor.write(container, piece)
                printed += piece
                if n % 7 == 0:
                    await asyncio.sleep(0.002)
                    sessions.append(asyncio.create_task(read_all(await engine.containers.attach(container, LOGS))))
            engine.supervisor.exit(container)
            for found in await asyncio.gather(*sessions):
                assert found == {1: printed}

    async def test_replay_covers_earlier_runs(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            engine.supervisor.write(container, b"first\n")
            await engine.containers.stop(container)
            session = await engine.containers.attach(container, LOGS)
            await engine.containers.start(container)
            engine.supervisor.write(container, b"second\n")
            engine.supervisor.exit(container)
            assert await read_all(session) == {1: b"first\nsecond\n"}

    async def test_without_stream_the_replay_is_all(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            engine.supervisor.write(container, b"line\n")
            live = await engine.containers.attach(container, ALL)
            await read_until(live.output, b"line\n")
            session = await engine.containers.attach(container, AttachOptions(stdout=True, logs=True))
            assert await read_all(session) == {1: b"line\n"}

    async def test_is_refused_when_paused(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            await engine.containers.pause(container)
            with pytest.raises(ContainerStateConflict, match="unpause the container before attaching"):
                await engine.containers.attach(container, ALL)

    async def test_a_client_that_stalls_is_dropped_and_the_log_is_complete(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(output_module, "_STALL_S", 0.05)
        async with running_engine(tmp_path) as engine:
            container = await created(engine, request("x", host=HostConfig(LogConfig=LogConfig("json-file"))))
            stalled = await engine.containers.attach(container, ALL)
            reading = asyncio.create_task(read_all(await engine.containers.attach(container, ALL)))
            await engine.containers.start(container)
            for _ in range(40):
                engine.supervisor.write(container, b"x" * 65535 + b"\n")
            engine.supervisor.exit(container)
            assert len((await reading)[1]) == 40 * 65536
            entries = [entry.data async for entry in engine.containers.logs(container, LogOptions())]
            assert sum(map(len, entries)) == 40 * 65536
            assert len((await read_all(stalled))[1]) < 40 * 65536


class TestStdin:
    async def test_reaches_the_program_and_ends_with_the_client_when_it_is_to(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await created(engine, request("cat", OpenStdin=True, StdinOnce=True))
            session = await engine.containers.attach(container, ALL)
            writing = asyncio.create_task(session.write(b"typed early"))
            await engine.containers.start(container)
            await writing
            assert engine.supervisor.read_stdin(container) == b"typed early"
            await session.close_stdin()
            assert engine.supervisor.read_stdin(container) == b""

    async def test_stays_open_for_the_next_client_otherwise(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine, request("cat", OpenStdin=True))
            for text in (b"one", b"two"):
                session = await engine.containers.attach(container, ALL)
                await session.write(text)
                await session.close()
                assert engine.supervisor.read_stdin(container) == text
            with pytest.raises(BlockingIOError):
                engine.supervisor.read_stdin(container)

    async def test_a_hangup_ends_it_like_a_half_close(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine, request("cat", OpenStdin=True, StdinOnce=True))
            session = await engine.containers.attach(container, ALL)
            await session.close()
            assert engine.supervisor.read_stdin(container) == b""

    async def test_is_dropped_where_nobody_asked_for_it(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            session = await engine.containers.attach(container, ALL)
            await session.write(b"into the void")
            await session.close_stdin()
            await session.close()

    async def test_waits_while_the_program_does_not_read(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine, request("cat", OpenStdin=True))
            session = await engine.containers.attach(container, ALL)
            writing = asyncio.create_task(session.write(b"x" * 300_000))
            received = 0
            while received < 300_000:
                await asyncio.sleep(0)
                with contextlib.suppress(BlockingIOError):
                    received += len(engine.supervisor.read_stdin(container))
            await writing


class TestDetach:
    async def test_the_keys_end_the_session_and_not_the_program(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            body = request("sh", Tty=True, OpenStdin=True, StdinOnce=True)
            container = await started(engine, body)
            session = await engine.containers.attach(container, ALL)
            await session.write(b"ls\x10\x11rest")
            assert session.detached
            assert await read_all(session) == {}
            assert engine.supervisor.read_stdin(container) == b"ls"
            assert (await engine.containers.inspect(container)).State.Running
            assert [event.action for event in engine.events._past][-1] == "detach"

    async def test_bad_keys_are_refused(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await created(engine, request("sh", Tty=True))
            with pytest.raises(InvalidArgument, match="Invalid detach keys"):
                await engine.containers.attach(container, AttachOptions(detach_keys="ctrl-"))


class TestLogs:
    async def test_follow_goes_on_until_the_end(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            log = engine.containers.logs(container, LogOptions(follow=True))
            for n in range(5):
                engine.supervisor.write(container, b"%d\n" % n)
                assert (await anext(log)).data == b"%d\n" % n
            engine.supervisor.write(container, b"no newline")
            engine.supervisor.exit(container)
            assert [entry.data async for entry in log] == [b"no newline"]

    async def test_follow_of_what_does_not_run_ends_at_once(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await created(engine)
            assert [e async for e in engine.containers.logs(container, LogOptions(follow=True))] == []

    async def test_a_slow_follower_holds_up_nothing_and_misses_nothing(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            log = engine.containers.logs(container, LogOptions(follow=True))
            for n in range(2000):
                engine.supervisor.write(container, b"%d\n" % n)
            waiter = engine.containers.waiter(container)
            engine.supervisor.exit(container)
            await waiter
            assert [entry.data async for entry in log] == [b"%d\n" % n for n in range(2000)]

    async def test_streams_times_and_tail(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            before = time.time_ns()
            engine.supervisor.write(container, b"one\n")
            engine.supervisor.write(container, b"two\n", 2)
            between = time.time_ns()
            engine.supervisor.write(container, b"three\n")
            waiter = engine.containers.waiter(container)
            engine.supervisor.exit(container)
            await waiter

            async def found(options: LogOptions) -> list[bytes]:
                return [entry.data async for entry in engine.containers.logs(container, options)]

            assert await found(LogOptions(stderr=False)) == [b"one\n", b"three\n"]
            assert await found(LogOptions(since_ns=between)) == [b"three\n"]
            assert await found(LogOptions(until_ns=between)) == [b"one\n", b"two\n"]
            assert await found(LogOptions(until_ns=before)) == []
            assert await found(LogOptions(tail=2)) == [b"two\n", b"three\n"]
            assert await found(LogOptions(tail=0)) == []

    async def test_follow_ends_when_until_has_come(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            engine.supervisor.write(container, b"now\n")
            options = LogOptions(follow=True, until_ns=time.time_ns() + 300_000_000)
            assert [entry.data async for entry in engine.containers.logs(container, options)] == [b"now\n"]

    async def test_what_cannot_be_asked_for_is_refused_before_anything_is_sent(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await created(engine, request("x", host=HostConfig(LogConfig=LogConfig("none"))))
            with pytest.raises(NotImplementedHere):
                engine.containers.logs(container, LogOptions())
            with pytest.raises(InvalidArgument, match="at least one stream"):
                engine.containers.logs(container, LogOptions(stdout=False, stderr=False))

    async def test_without_a_log_the_output_still_flows(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await created(engine, request("x", host=HostConfig(LogConfig=LogConfig("none"))))
            session = await engine.containers.attach(container, ALL)
            await engine.containers.start(container)
            engine.supervisor.write(container, b"x" * 100_000)
            engine.supervisor.exit(container)
            assert await read_all(session) == {1: b"x" * 100_000}


EXEC = ExecCreateRequest(Cmd=["ls"], AttachStdout=True, AttachStderr=True, AttachStdin=True)


async def exec_started(engine: FakeEngine, container: str, body: ExecCreateRequest = EXEC) -> tuple[str, Session]:
    exec_id = await engine.execs.create(container, body)
    session = await engine.execs.start(exec_id, ExecStartRequest())
    assert session is not None
    return exec_id, session


class TestExec:
    async def test_one_that_is_forgotten_with_its_pipes_open_does_not_hold_up_the_containers_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``exec c sh -c 'server &'``: the record expires, what it started goes on."""
        monkeypatch.setattr("rundlet.engine.execs._KEPT_S", 0.01)
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            exec_id, session = await exec_started(engine, container)
            engine.supervisor.exit_exec(container, exec_id)
            await session.close()
            with contextlib.suppress(ExecNotFound):
                while engine.execs.inspect(exec_id):
                    await asyncio.sleep(0.005)
            waiter = engine.containers.waiter(container)
            engine.supervisor.exit(container, 3)
            assert (await asyncio.wait_for(waiter, 5)).StatusCode == 3

    async def test_a_full_disk_does_not_end_the_forgetting(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("rundlet.engine.execs._KEPT_S", 0.01)
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            with monkeypatch.context() as patch:
                full = asyncio.Event()

                async def fail(exec_ids: object) -> None:
                    full.set()
                    raise StorageFull("/x", "storing a record")

                patch.setattr(engine.core.store, "delete_execs", fail)
                exec_id, session = await exec_started(engine, container)
                engine.supervisor.close_exec_output(container, exec_id)
                engine.supervisor.exit_exec(container, exec_id)
                await asyncio.wait_for(full.wait(), 5)
            deleted: list[str] = []

            async def note(exec_ids: Iterable[str]) -> None:
                deleted.extend(exec_ids)

            monkeypatch.setattr(engine.core.store, "delete_execs", note)
            while exec_id not in deleted:
                await asyncio.sleep(0.005)
            await session.close()

    async def test_output_is_complete_and_the_code_is_known_before_it_ends(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            exec_id, session = await exec_started(engine, container)
            assert engine.execs.inspect(exec_id).Running
            assert engine.execs.inspect(exec_id).ExitCode is None
            assert (await engine.containers.inspect(container)).ExecIDs == [exec_id]
            engine.supervisor.write_exec(container, exec_id, b"out")
            engine.supervisor.write_exec(container, exec_id, b"err", 2)
            engine.supervisor.exit_exec(container, exec_id, 7)
            assert await read_all(session) == {1: b"out", 2: b"err"}
            found = engine.execs.inspect(exec_id)
            assert (found.Running, found.ExitCode) == (False, 7)
            await session.close()

    async def test_a_program_that_ends_before_its_start_is_answered_loses_nothing(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)

            def program(container_id: str, exec_id: str) -> None:
                engine.supervisor.write_exec(container_id, exec_id, b"quick")
                engine.supervisor.exit_exec(container_id, exec_id, 3)

            engine.supervisor.on_exec = program
            exec_id, session = await exec_started(engine, container)
            assert await read_all(session) == {1: b"quick"}
            assert engine.execs.inspect(exec_id).ExitCode == 3

    async def test_what_it_left_in_the_background_does_not_hold_up_its_end(self, tmp_path: Path) -> None:
        """Nor is it killed by its output: that is read on, and dropped."""
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            exec_id, session = await exec_started(engine, container)
            engine.supervisor.write_exec(container, exec_id, b"done")
            engine.supervisor.exit_exec(container, exec_id, 0)
            assert await read_all(session) == {1: b"done"}
            await session.close()
            for _ in range(20):
                engine.supervisor.write_exec(container, exec_id, b"x" * 30_000)
                await asyncio.sleep(0.002)
            assert engine.supervisor.holds(container, exec_id)
            engine.supervisor.close_exec_output(container, exec_id)
            while engine.supervisor.holds(container, exec_id):
                await asyncio.sleep(0.002)

    async def test_stdin_ends_with_the_clients_half_close(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            exec_id, session = await exec_started(engine, container)
            await session.write(b"typed")
            assert engine.supervisor.read_stdin(container, exec_id) == b"typed"
            await session.close_stdin()
            assert engine.supervisor.read_stdin(container, exec_id) == b""
            engine.supervisor.write_exec(container, exec_id, b"still here")
            engine.supervisor.exit_exec(container, exec_id)
            assert await read_all(session) == {1: b"still here"}

    @pytest.mark.parametrize(("error", "code"), [(StartFailed("no such file", 127), 127), (Conflict("odd"), 126)])
    async def test_a_program_that_cannot_be_started_says_so_in_the_stream(
        self, error: Exception, code: int, tmp_path: Path
    ) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            engine.supervisor.exec_error = error
            exec_id, session = await exec_started(engine, container)
            assert str(error).encode() in (await read_all(session))[1]
            assert engine.execs.inspect(exec_id).ExitCode == code

    async def test_detached_it_runs_and_nobody_waits(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            exec_id = await engine.execs.create(container, EXEC)
            assert await engine.execs.start(exec_id, ExecStartRequest(Detach=True)) is None
            engine.supervisor.write_exec(container, exec_id, b"x" * 60_000)
            engine.supervisor.exit_exec(container, exec_id, 2)
            while engine.execs.inspect(exec_id).ExitCode is None:
                await asyncio.sleep(0.002)

    async def test_it_runs_once(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            exec_id, session = await exec_started(engine, container)
            with pytest.raises(Conflict, match="is already running"):
                await engine.execs.start(exec_id, ExecStartRequest())
            engine.supervisor.exit_exec(container, exec_id)
            await read_all(session)
            with pytest.raises(Conflict, match="has already run"):
                await engine.execs.start(exec_id, ExecStartRequest())

    async def test_it_needs_a_command_and_a_container_that_runs(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await created(engine)
            with pytest.raises(ContainerNotRunning):
                await engine.execs.create(container, EXEC)
            await engine.containers.start(container)
            with pytest.raises(InvalidArgument, match="No exec command specified"):
                await engine.execs.create(container, ExecCreateRequest())
            exec_id = await engine.execs.create(container, EXEC)
            await engine.containers.pause(container)
            with pytest.raises(ContainerStateConflict):
                await engine.execs.create(container, EXEC)
            with pytest.raises(ContainerStateConflict):
                await engine.execs.start(exec_id, ExecStartRequest())
            with pytest.raises(ExecNotFound):
                engine.execs.inspect("nope")

    async def test_the_end_of_the_container_is_the_end_of_its_execs(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            exec_id, session = await exec_started(engine, container)
            engine.supervisor.write_exec(container, exec_id, b"last words")
            engine.supervisor.exit(container, 0)
            assert await read_all(session) == {1: b"last words"}
            assert engine.execs.inspect(exec_id).ExitCode == 137

    async def test_of_an_earlier_run_cannot_be_started(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            exec_id = await engine.execs.create(container, EXEC)
            await engine.containers.restart(container)
            with pytest.raises(ContainerNotRunning):
                await engine.execs.start(exec_id, ExecStartRequest())

    async def test_events_name_the_command(self, tmp_path: Path) -> None:
        async with running_engine(tmp_path) as engine:
            container = await started(engine)
            exec_id, session = await exec_started(engine, container)
            engine.supervisor.exit_exec(container, exec_id, 1)
            await read_all(session)
            await asyncio.sleep(0)
            events = [event for event in engine.events._past if event.action.startswith("exec_")]
            assert [event.action for event in events] == ["exec_create: ls", "exec_start: ls", "exec_die"]
            assert events[-1].attributes["exitCode"] == "1"

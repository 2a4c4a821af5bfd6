"""Waiters, restart policies, events, signals, detach keys and the words of ``docker ps``."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundlet.engine.container import State, Status
from rundlet.engine.detach_keys import KeyScanner, parse_keys
from rundlet.engine.events import Events
from rundlet.engine.image_uses import ImageUses
from rundlet.engine.restart import next_delay_s, restarts_after_exit, starts_with_daemon
from rundlet.engine.signals import parse_signal
from rundlet.engine.tasks import Tasks
from rundlet.engine.waiters import Waiters
from rundlet.engine.words import command_line, format_time, status_text
from rundlet.errors import EngineError, InvalidArgument
from rundlet.wire.documents import RestartPolicy, WaitError, WaitResponse
from tests.fakes.records import container


class TestWaiters:
    @pytest.mark.parametrize("condition", ["", "not-running"])
    async def test_what_does_not_run_is_answered_at_once(self, condition: str) -> None:
        state = State(status=Status.EXITED, exit_code=3)
        assert await Waiters(state).add(condition) == WaitResponse(3)

    async def test_next_exit_waits_even_when_nothing_runs(self) -> None:
        state = State(status=Status.EXITED, exit_code=3)
        waiters = Waiters(state)
        waiter = asyncio.ensure_future(waiters.add("next-exit"))
        await asyncio.sleep(0)
        assert not waiter.done()
        state.exit_code = 4
        waiters.exited()
        assert await waiter == WaitResponse(4)

    async def test_removed_is_told_with_the_exit_code(self) -> None:
        state = State(status=Status.RUNNING)
        waiters = Waiters(state)
        removed, exited = waiters.add("removed"), waiters.add("not-running")
        state.status, state.exit_code = Status.EXITED, 5
        waiters.exited()
        assert await exited == WaitResponse(5)
        waiters.removed()
        assert await removed == WaitResponse(5)
        assert await waiters.add("removed") == WaitResponse(5)

    async def test_a_container_removed_before_it_ran_ends_every_wait(self) -> None:
        waiters = Waiters(State())
        waiter = waiters.add("next-exit")
        waiters.removed()
        assert await waiter == WaitResponse(0)

    async def test_the_reason_comes_along(self) -> None:
        state = State(status=Status.EXITED, exit_code=137, error="lost")
        assert await Waiters(state).add("") == WaitResponse(137, WaitError("lost"))

    async def test_the_reason_is_no_error_of_the_wait_for_the_removal(self) -> None:
        waiters = Waiters(State(status=Status.CREATED, exit_code=127, error="no such program"))
        removed = waiters.add("removed")
        waiters.removed()
        assert await removed == WaitResponse(127)

    async def test_an_unknown_condition_is_refused(self) -> None:
        with pytest.raises(InvalidArgument, match='invalid condition: "done"'):
            Waiters(State()).add("done")


class TestRestart:
    @pytest.mark.parametrize(
        ("policy", "code", "count", "by_user", "after_exit", "with_daemon"),
        [
            (RestartPolicy(), 1, 0, False, False, False),
            (RestartPolicy("no"), 1, 0, False, False, False),
            (RestartPolicy("always"), 0, 99, False, True, True),
            (RestartPolicy("always"), 0, 0, True, False, True),
            (RestartPolicy("unless-stopped"), 0, 0, False, True, True),
            (RestartPolicy("unless-stopped"), 0, 0, True, False, False),
            (RestartPolicy("on-failure"), 0, 0, False, False, False),
            (RestartPolicy("on-failure"), 1, 99, False, True, True),
            (RestartPolicy("on-failure", 3), 1, 2, False, True, True),
            (RestartPolicy("on-failure", 3), 1, 3, False, False, False),
            (RestartPolicy("on-failure"), 1, 0, True, False, False),
        ],
    )
    def test_policies(
        self,
        policy: RestartPolicy,
        code: int,
        count: int,
        by_user: bool,
        after_exit: bool,
        with_daemon: bool,
    ) -> None:
        assert (
            restarts_after_exit(policy, exit_code=code, restart_count=count, stopped_by_user=by_user) is after_exit
        )
        assert (
            starts_with_daemon(policy, exit_code=code, restart_count=count, stopped_by_user=by_user) is with_daemon
        )

    def test_the_delay_doubles_up_to_a_minute_and_begins_anew_after_a_long_run(self) -> None:
        delays = [next_delay_s(0.0, 0.0)]
        for _ in range(12):
            delays.append(next_delay_s(delays[-1], 0.5))
        assert delays[:4] == [0.1, 0.2, 0.4, 0.8]
        assert delays[-1] == 60.0
        assert next_delay_s(60.0, 10.0) == 0.1


class TestEvents:
    async def test_past_then_live_then_the_end(self) -> None:
        events = Events()
        subject = container()
        subject.definition.config.Labels = {"app": "x"}
        events.emit_container("create", subject)
        stream = events.subscribe(since_ns=0, until_ns=time.time_ns() + 300_000_000)
        events.emit_container("die", subject, exitCode="1")
        found = [event async for event in stream]
        assert [event.action for event in found] == ["create", "die"]
        document = found[1].document()
        assert document["Actor"]["Attributes"] == {"app": "x", "image": "", "name": "web", "exitCode": "1"}
        assert (document["status"], document["id"]) == ("die", subject.id)
        assert document["time"] == document["timeNano"] // 10**9

    async def test_what_happens_after_subscribing_is_not_missed(self) -> None:
        events = Events()
        stream = events.subscribe(until_ns=time.time_ns() + 300_000_000)
        events.emit("image", "pull", "i", {})
        assert [event.action async for event in stream] == ["pull"]
        assert events.listeners == 0

    async def test_a_listener_that_falls_behind_is_told(self) -> None:
        events = Events()
        stream = events.subscribe()
        for _ in range(5000):
            events.emit("image", "pull", "i", {})
        with pytest.raises(EngineError, match="fell behind"):
            async for _ in stream:
                pass

    async def test_only_what_is_wanted(self) -> None:
        events = Events()
        stream = events.subscribe(
            until_ns=time.time_ns() + 200_000_000, wanted=lambda event: event.type == "container"
        )
        events.emit("image", "pull", "i", {})
        events.emit_container("start", container())
        assert [event.action async for event in stream] == ["start"]


class TestDetachKeys:
    @pytest.mark.parametrize(
        ("text", "keys"), [("", b"\x10\x11"), ("a", b"a"), ("ctrl-a,b", b"\x01b"), ("ctrl-@,ctrl-[", b"\x00\x1b")]
    )
    def test_the_notation(self, text: str, keys: bytes) -> None:
        assert parse_keys(text) == keys

    @pytest.mark.parametrize("text", ["ctrl-", "ctrl-ab", "ab", "a,,b", "ctrl-A", "é"])
    def test_nonsense_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidArgument, match="Invalid detach keys"):
            parse_keys(text)

    @given(st.lists(st.binary(max_size=5)), st.lists(st.binary(max_size=5)))
    def test_the_sequence_is_found_wherever_the_pieces_are_cut(
        self, before: list[bytes], after: list[bytes]
    ) -> None:
        typed = b"".join(before).replace(b"\x10\x11", b"").rstrip(b"\x10")
        stream = typed + b"\x10\x11" + b"".join(after)
        scanner = KeyScanner(b"\x10\x11")
        passed, found = b"", False
        for at in range(0, len(stream), 3):
            piece, found = scanner.feed(stream[at : at + 3])
            passed += piece
            if found:
                break
        assert found
        assert passed == typed

    def test_a_start_that_is_not_followed_up_reaches_the_program(self) -> None:
        scanner = KeyScanner(b"\x10\x11")
        assert scanner.feed(b"a\x10") == (b"a", False)
        assert scanner.feed(b"\x10b") == (b"\x10\x10b", False)


class TestWords:
    @pytest.mark.parametrize(
        ("state", "text"),
        [
            (State(), "Created"),
            (State(Status.RUNNING, started_ns=1), "Up 2 minutes"),
            (State(Status.PAUSED, started_ns=1), "Up 2 minutes (Paused)"),
            (State(Status.RESTARTING, exit_code=7, finished_ns=1), "Restarting (7) 2 minutes ago"),
            (State(Status.EXITED, exit_code=3, finished_ns=1), "Exited (3) 2 minutes ago"),
            (State(Status.REMOVING), "Removal In Progress"),
            (State(Status.DEAD), "Dead"),
        ],
    )
    def test_the_status_as_docker_ps_says_it(self, state: State, text: str) -> None:
        assert status_text(state, 1 + 120_000_000_000) == text

    def test_a_command_is_one_string_with_quotes_where_there_are_spaces(self) -> None:
        assert command_line(["sh", "-c", "echo a b", "x"]) == "sh -c 'echo a b' x"

    @pytest.mark.parametrize(
        ("time_ns", "text"),
        [
            (0, "0001-01-01T00:00:00Z"),
            (1_700_000_000_000_000_000, "2023-11-14T22:13:20Z"),
            (1_700_000_000_120_000_000, "2023-11-14T22:13:20.12Z"),
        ],
    )
    def test_times_as_go_writes_them(self, time_ns: int, text: str) -> None:
        assert format_time(time_ns) == text


@pytest.mark.parametrize(
    ("text", "number"), [("KILL", 9), ("sigterm", 15), ("9", 9), ("SIGRTMIN+3", 37), ("RTMAX-2", 62), ("CLD", 17)]
)
def test_signals_by_name_and_number(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["NOPE", "0", "65", "-1", "9.5", ""])
def test_signals_that_are_none(text: str) -> None:
    with pytest.raises(InvalidArgument, match="Invalid signal"):
        parse_signal(text)


class TestImageUses:
    def test_whoever_comes_first_wins(self) -> None:
        uses = ImageUses()
        assert uses.take("image", "c1")
        assert uses.users_or_condemn("image") == ["c1"]
        assert uses.take("image", "c2")
        uses.release("image", "c1")
        uses.release("image", "c2")
        assert uses.users_or_condemn("image") == []
        assert not uses.take("image", "c3")
        uses.pardon({"image"})
        assert uses.take("image", "c3")


class TestTasks:
    async def test_work_goes_on_when_its_caller_is_cancelled(self) -> None:
        tasks, done = Tasks(), asyncio.Event()
        go = asyncio.Event()

        async def work() -> None:
            await go.wait()
            done.set()

        caller = asyncio.create_task(tasks.run_to_end(work()))
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        go.set()
        await done.wait()
        tasks.close()

    async def test_what_a_spawned_task_raises_is_logged_with_its_name(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        tasks = Tasks()

        async def work() -> None:
            raise ValueError("broken stave")

        await tasks.spawn(work(), "hooping a barrel")
        assert "hooping a barrel failed" in caplog.text
        assert "broken stave" in caplog.text
        tasks.close()

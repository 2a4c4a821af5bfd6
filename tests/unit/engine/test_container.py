"""The state machine: which moves there are, and what each leaves behind."""

from __future__ import annotations

import itertools

import pytest

from rundlet.engine.container import Status
from rundlet.errors import ContainerStateConflict
from tests.fakes.records import container

LEGAL = {
    ("created", "starting"), ("created", "removing"),
    ("starting", "running"), ("starting", "created"), ("starting", "exited"),
    ("running", "paused"), ("running", "restarting"), ("running", "exited"),
    ("paused", "running"), ("paused", "restarting"), ("paused", "exited"),
    ("restarting", "starting"), ("restarting", "exited"),
    ("exited", "starting"), ("exited", "removing"),
    ("removing", "dead"), ("dead", "removing"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new"), list(itertools.product(Status, Status)))
def test_only_the_drawn_moves_are_legal(old: Status, new: Status) -> None:
    """An illegal move changes nothing, and the error names both states."""
    subject = container(old)
    if (old.value, new.value) in LEGAL:
        subject.move(new, "test")
        assert subject.state.status is new
    else:
        with pytest.raises(ContainerStateConflict, match=rf"test container web: it is .*{new.value}"):
            subject.move(new, "test")
        assert subject.state.status is old


def test_clients_see_the_state_before_starting() -> None:
    subject = container()
    subject.begin_start()
    assert subject.state.visible is Status.CREATED
    assert not subject.state.is_up


def test_a_container_that_is_being_restarted_stays_up_while_it_starts() -> None:
    subject = container(Status.RUNNING)
    subject.exited_for_restart(1, 5)
    subject.begin_start()
    assert subject.state.visible is Status.RESTARTING
    assert subject.state.is_up


def test_each_start_counts_as_a_run() -> None:
    subject = container()
    subject.begin_start()
    subject.started(7, 1)
    subject.exited(0, 2)
    subject.begin_start()
    assert subject.state.run == 2


def test_a_start_that_fails_goes_back_and_says_why() -> None:
    subject = container()
    subject.begin_start()
    subject.start_failed("no such program", 127)
    state = subject.state
    assert (state.status, state.error, state.exit_code) == (Status.CREATED, "no such program", 127)


def test_a_restart_that_fails_has_exited() -> None:
    subject = container(Status.RESTARTING)
    subject.begin_start()
    subject.start_failed("gone", 128)
    assert subject.state.status is Status.EXITED


def test_a_start_clears_what_the_last_end_left() -> None:
    subject = container(Status.RUNNING)
    subject.exited(137, 9, oom_killed=True, error="killed")
    subject.begin_start()
    subject.started(8, 10)
    state = subject.state
    assert (state.exit_code, state.oom_killed, state.error, state.pid) == (0, False, "", 8)


def test_an_end_records_code_time_and_oom() -> None:
    subject = container(Status.PAUSED)
    subject.exited(137, 99, oom_killed=True)
    state = subject.state
    assert (state.exit_code, state.finished_ns, state.oom_killed, state.pid) == (137, 99, True, 0)
    assert not state.is_up

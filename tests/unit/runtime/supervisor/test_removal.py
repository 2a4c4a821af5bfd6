"""A cgroup that cannot be removed is told of, not waited for without end."""

from __future__ import annotations

from typing import Any

import pytest

from rundlet.runtime.supervisor import removal
from rundlet.runtime.supervisor.loop import Loop


class Stubborn:
    path = "/x/box"

    def __init__(self, answers: list[bool | OSError]) -> None:
        self.answers = answers
        self.kills = 0

    def remove(self) -> bool:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    def kill(self) -> None:
        self.kills += 1


def remove(cgroup: Any) -> bool:
    loop = Loop()
    done: list[bool] = []

    def on_done(is_removed: bool) -> None:
        done.append(is_removed)
        loop.stop()

    loop.call_later(0.0, lambda: removal.remove_cgroup(loop, cgroup, on_done))
    loop.run()
    return done[0]


def test_what_is_left_in_it_is_killed_until_it_is_gone() -> None:
    cgroup = Stubborn([False, False, True])
    assert remove(cgroup)
    assert cgroup.kills == 2


def test_an_error_is_logged_and_tried_again(capfd: pytest.CaptureFixture[str]) -> None:
    assert remove(Stubborn([PermissionError(1, "Operation not permitted"), True]))
    assert "removing the cgroup /x/box: [Errno 1]" in capfd.readouterr().err


def test_it_ends_when_the_time_is_up(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(removal, "TIME_LIMIT_S", 0.01)
    assert not remove(Stubborn([False]))
    assert "/x/box is still in use" in capfd.readouterr().err

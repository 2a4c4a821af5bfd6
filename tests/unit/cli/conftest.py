"""A command line that talks to an engine that says what the test tells it to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rundlet.cli.main import main
from tests.unit.sdk.fake_engine import FakeEngine, reply


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


Rundlet = Callable[..., Outcome]


def json_reply(document: Any, status: str = "200 OK") -> bytes:
    return reply(status, json.dumps(document).encode(), "Content-Type: application/json")


def failure(status: str, message: str, **more: Any) -> bytes:
    return json_reply({"message": message, **more}, status)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    fake = FakeEngine(tmp_path / "engine.sock")
    monkeypatch.setenv("RUNDLET_HOST", fake.host)
    yield fake
    fake.close()


@pytest.fixture
def rundlet(capfd: pytest.CaptureFixture[str]) -> Rundlet:
    """Run a command line in this process: its exit status and what it wrote to the descriptors 1 and 2."""

    def run(*argv: str) -> Outcome:
        status = main(argv)
        captured = capfd.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run

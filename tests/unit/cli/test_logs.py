"""``logs`` asks for what its flags say, and prints it where it was written."""

from __future__ import annotations

import struct
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from rundlet.cli.commands.logs import point_in_time
from tests.unit.cli.conftest import Rundlet, json_reply
from tests.unit.sdk.fake_engine import FakeEngine, head

ID = "c" * 64


def inspected(*, tty: bool = False) -> bytes:
    return json_reply({"Id": ID, "Config": {"Tty": tty}})


def frame(stream: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(data)) + data


def test_stdout_and_stderr_stay_apart(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(inspected(), head("200 OK") + frame(1, b"out\n") + frame(2, b"err\n"))

    assert rundlet("logs", "web") == (0, "out\n", "err\n")


def test_a_terminals_output_has_no_frames(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(inspected(tty=True), head("200 OK") + b"raw\r\n")

    assert rundlet("logs", "web").out == "raw\r\n"


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        (("-f",), {"follow": "1"}),
        (("-t",), {"timestamps": "1"}),
        (("--details",), {"details": "1"}),
        (("-n", "5"), {"tail": "5"}),
        (("--tail=0",), {"tail": "0"}),
        (("--since", "1700000000.5"), {"since": "1700000000.5"}),
        (("--until", "2023-11-14T22:13:20Z"), {"until": "1700000000"}),
    ],
)
def test_flags_become_parameters(
    rundlet: Rundlet, engine: FakeEngine, argv: tuple[str, ...], asked: dict[str, str]
) -> None:
    engine.will(inspected(), head("200 OK"))

    rundlet("logs", *argv, "web")

    sent = parse_qs(urlsplit(engine.peers[1].target).query)
    assert {key: float(sent[key][0]) if key in ("since", "until") else sent[key][0] for key in asked} == {
        key: float(value) if key in ("since", "until") else value for key, value in asked.items()
    }


def test_all_is_asked_for_by_leaving_tail_out(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(inspected(), head("200 OK"))

    rundlet("logs", "--tail", "all", "web")

    assert "tail" not in engine.peers[1].target


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1700000000", 1700000000),
        ("2023-11-14T22:13:20Z", 1700000000),
        ("2023-11-14T23:13:20.123456789+01:00", 1700000000.123456),
    ],
)
def test_a_time_may_be_seconds_or_a_date(text: str, seconds: float) -> None:
    assert point_in_time(text) == pytest.approx(seconds, abs=1e-6)


def test_a_duration_is_so_long_ago() -> None:
    assert point_in_time("1h30m") == pytest.approx(time.time() - 5400, abs=5)


@pytest.mark.parametrize("text", ["", "soon", "2023-13-01", "10 parsecs"])
def test_what_is_no_time_is_refused(rundlet: Rundlet, text: str) -> None:
    outcome = rundlet("logs", f"--since={text}", "web")

    assert outcome.status == 125
    assert "is neither a time nor a duration" in outcome.err

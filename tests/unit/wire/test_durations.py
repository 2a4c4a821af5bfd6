"""Durations as Go writes them, and as people do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundlet.errors import InvalidArgument
from rundlet.wire import durations

S = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("-0", 0),
        ("5s", 5 * S),
        ("1h30m", 5400 * S),
        ("1.5s", 3 * S // 2),
        (".5s", S // 2),
        ("5.s", 5 * S),
        ("-1m", -60 * S),
        ("+1m", 60 * S),
        ("100ms", S // 10),
        ("1us", 1000),
        ("1µs", 1000),
        ("1μs", 1000),
        ("1ns", 1),
        ("2562047h47m16.854775807s", 2**63 - 1),
    ],
)
def test_durations_are_read_as_go_does(text: str, ns: int) -> None:
    assert ns == durations.parse(text)


@pytest.mark.parametrize(
    "text", ["", "-", "5", "s", ".s", "1d", "1h 30m", "1hm", "s5", "1s\n", "9" * 5000 + "s", "9999999h"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid duration"):
        durations.parse(text)


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999_999_999))
def test_no_nanosecond_is_lost(hours: int, minutes: int, seconds: int, ns: int) -> None:
    expected = ((hours * 60 + minutes) * 60 + seconds) * S + ns

    assert expected == durations.parse(f"{hours}h{minutes}m{seconds}.{ns:09}s")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.5, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (150, "2 minutes"),
        (3600, "About an hour"),
        (5 * 3600, "5 hours"),
        (3 * 86400, "3 days"),
        (20 * 86400, "2 weeks"),
        (90 * 86400, "3 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_people_read_docker_s_words(seconds: float, words: str) -> None:
    assert words == durations.format_human(seconds)

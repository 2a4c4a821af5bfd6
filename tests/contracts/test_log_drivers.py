"""What every log driver promises to the pump, and what every readable one promises to its readers."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from rundlet.engine.logs.driver import LogDriver, check_driver, open_driver, open_reader
from rundlet.engine.logs.entry import LogEntry, Position
from rundlet.errors import InvalidArgument, NotImplementedHere

DRIVERS: list[tuple[str, Mapping[str, str]]] = [
    ("json-file", {}),
    ("json-file", {"max-size": "2k", "max-file": "3"}),
    ("json-file", {"max-size": "1k", "max-file": "1"}),
    ("none", {}),
]
KEEPING = [driver for driver in DRIVERS if driver[0] != "none" and "max-size" not in driver[1]]
ROTATING = [driver for driver in DRIVERS if "max-size" in driver[1]]

Driver = tuple[str, Mapping[str, str]]


def entries(count: int, *, start: int = 0) -> list[LogEntry]:
    return [
        LogEntry(1 + n % 2, n * 1_000_000_007, f"line {n} \x00\u20ac\n".encode(), Position(1, n + 1, n // 2))
        for n in range(start, start + count)
    ]


def append_all(log: LogDriver, written: Sequence[LogEntry]) -> None:
    while written:
        count = log.append(written)
        assert count >= 1
        written = written[count:]


def read_all(driver: Driver, directory: Path, tail: int | None = None) -> list[LogEntry]:
    reader = open_reader(driver[0], directory, tail)
    found: list[LogEntry] = []
    while more := reader.read():
        found += more
    reader.close()
    return found


@pytest.mark.parametrize("driver", DRIVERS)
def test_its_options_are_accepted(driver: Driver) -> None:
    check_driver(*driver)


@pytest.mark.parametrize("driver", DRIVERS)
def test_it_takes_entries_and_can_be_opened_again(driver: Driver, tmp_path: Path) -> None:
    for start in (0, 5):
        log = open_driver(*driver, tmp_path, {})
        append_all(log, entries(5, start=start))
        log.close()


@pytest.mark.parametrize("driver", [d for d in DRIVERS if d[0] != "none"])
def test_the_position_is_that_of_the_last_entry_whatever_was_rotated(driver: Driver, tmp_path: Path) -> None:
    log = open_driver(*driver, tmp_path, {})
    assert log.position() == Position()
    for n in range(200):
        [entry] = entries(1, start=n)
        append_all(log, [entry])
        assert open_driver(*driver, tmp_path, {}).position() == entry.position
    log.close()


@pytest.mark.parametrize("driver", KEEPING)
def test_what_was_written_is_read_to_the_byte(driver: Driver, tmp_path: Path) -> None:
    written = [
        *entries(3),
        LogEntry(2, 4_000_000_000, b"\xff\xfe raw \x80\n", Position(1, 9, 9)),
        LogEntry(1, 5_000_000_000, b"no newline", Position(1, 10, 9)),
        LogEntry(1, 5_000_000_001, b"\r\n", Position(1, 11, 9)),
    ]
    log = open_driver(*driver, tmp_path, {})
    append_all(log, written)
    log.close()
    assert read_all(driver, tmp_path) == written


@pytest.mark.parametrize("driver", KEEPING)
@pytest.mark.parametrize(("tail", "expected"), [(0, 0), (1, 1), (7, 7), (100, 100), (1000, 100)])
def test_a_tail_is_the_last_entries(driver: Driver, tail: int, expected: int, tmp_path: Path) -> None:
    written = entries(100)
    log = open_driver(*driver, tmp_path, {})
    append_all(log, written)
    log.close()
    assert read_all(driver, tmp_path, tail) == written[100 - expected :]


@pytest.mark.parametrize("driver", KEEPING)
def test_a_reader_goes_on_with_what_is_written_meanwhile(driver: Driver, tmp_path: Path) -> None:
    log = open_driver(*driver, tmp_path, {})
    reader = open_reader(driver[0], tmp_path, None)
    assert reader.read() == []
    for n in range(3):
        batch = entries(2, start=2 * n)
        append_all(log, batch)
        assert reader.read() == batch
        assert reader.read() == []
    reader.close()
    log.close()


@pytest.mark.parametrize("driver", ROTATING)
def test_a_reader_that_keeps_up_misses_nothing_across_rotations(driver: Driver, tmp_path: Path) -> None:
    log = open_driver(*driver, tmp_path, {})
    reader = open_reader(driver[0], tmp_path, None)
    found: list[LogEntry] = []
    for n in range(300):
        append_all(log, entries(1, start=n))
        found += reader.read()
    while more := reader.read():
        found += more
    assert found == entries(300)
    reader.close()
    log.close()


@pytest.mark.parametrize("driver", ROTATING)
def test_a_long_batch_is_rotated_like_single_lines(driver: Driver, tmp_path: Path) -> None:
    log = open_driver(*driver, tmp_path, {})
    append_all(log, entries(500))
    log.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 8000
    found = read_all(driver, tmp_path)
    assert found == entries(len(found), start=500 - len(found))


@pytest.mark.parametrize("driver", ROTATING)
def test_rotation_bounds_the_disk_and_keeps_the_newest(driver: Driver, tmp_path: Path) -> None:
    log = open_driver(*driver, tmp_path, {})
    for n in range(500):
        append_all(log, entries(1, start=n))
    log.close()
    files = list(tmp_path.iterdir())
    assert len(files) <= int(driver[1]["max-file"])
    assert sum(path.stat().st_size for path in files) < 8000
    found = read_all(driver, tmp_path)
    assert found == entries(len(found), start=500 - len(found))
    assert found


@pytest.mark.parametrize("driver", ROTATING[:1])
def test_a_tail_reaches_into_rotated_files(driver: Driver, tmp_path: Path) -> None:
    log = open_driver(*driver, tmp_path, {})
    for n in range(100):
        append_all(log, entries(1, start=n))
    log.close()
    assert len(list(tmp_path.iterdir())) == 3
    for tail in (1, 5, 20, 30):
        assert read_all(driver, tmp_path, tail) == entries(tail, start=100 - tail)


@pytest.mark.parametrize("driver", ROTATING[:1])
def test_a_reader_slower_than_all_rotations_goes_on_with_the_oldest_that_is_left(
    driver: Driver, tmp_path: Path
) -> None:
    log = open_driver(*driver, tmp_path, {})
    append_all(log, entries(1))
    reader = open_reader(driver[0], tmp_path, None)
    assert reader.read() == entries(1)
    for n in range(1, 200):
        append_all(log, entries(1, start=n))
    found: list[LogEntry] = []
    while more := reader.read():
        found += more
    assert found[-1] == entries(1, start=199)[0]
    positions = [entry.position for entry in found]
    assert positions == sorted(positions)
    reader.close()
    log.close()


@pytest.mark.parametrize("driver", [d for d in DRIVERS if d[0] != "none"])
@pytest.mark.parametrize("torn", [b'{"log":"half a li', b"\x00\x00\x00", b'{"log":"x"}'])
def test_a_torn_last_line_is_cut_off_and_never_read(driver: Driver, torn: bytes, tmp_path: Path) -> None:
    log = open_driver(*driver, tmp_path, {})
    append_all(log, entries(3))
    log.close()
    with (tmp_path / "log.json").open("ab") as file:
        file.write(torn)
    assert read_all(driver, tmp_path) == entries(3)
    log = open_driver(*driver, tmp_path, {})
    assert log.position() == entries(3)[-1].position
    append_all(log, entries(1, start=3))
    log.close()
    assert read_all(driver, tmp_path)[-1] == entries(1, start=3)[0]


@pytest.mark.parametrize("driver", KEEPING)
def test_a_line_that_something_else_has_spoiled_is_passed_over(driver: Driver, tmp_path: Path) -> None:
    log = open_driver(*driver, tmp_path, {})
    append_all(log, entries(2))
    with (tmp_path / "log.json").open("ab") as file:
        file.write(b"not json\n")
    assert read_all(driver, tmp_path) == entries(2)
    assert log.position() == entries(2)[-1].position
    log.close()


@pytest.mark.parametrize("driver", KEEPING)
def test_attributes_are_kept_with_each_line(driver: Driver, tmp_path: Path) -> None:
    log = open_driver(*driver, tmp_path, {"app": "web"})
    append_all(log, entries(1))
    log.close()
    assert read_all(driver, tmp_path)[0].attributes == {"app": "web"}


@pytest.mark.parametrize("driver", KEEPING)
def test_a_reader_may_be_closed_while_it_reads(
    driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client goes when it likes. No descriptor is left open, and none is closed twice: it may be another's."""
    log = open_driver(*driver, tmp_path, {})
    append_all(log, entries(3))
    log.close()
    reader = open_reader(driver[0], tmp_path, None)
    is_reading, go_on = threading.Event(), threading.Event()
    pread, close = os.pread, os.close
    closed: list[int] = []

    def slow_pread(*arguments: int) -> bytes:
        is_reading.set()
        go_on.wait(5)
        return pread(*arguments)

    def noted_close(fd: int) -> None:
        closed.append(fd)
        close(fd)

    before = set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "pread", slow_pread)
    monkeypatch.setattr(os, "close", noted_close)
    thread = threading.Thread(target=reader.read)
    thread.start()
    assert is_reading.wait(5)
    reader.close()
    assert closed == []
    go_on.set()
    thread.join()
    assert len(closed) == len(set(closed)) > 0
    assert reader.read() == []
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_driver_that_keeps_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedHere, match="does not support reading"):
        open_reader("none", tmp_path, None)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("nope", {}, "no log driver named 'nope'"),
        ("json-file", {"max-size": "much"}, "invalid size"),
        ("json-file", {"max-file": "0"}, "max-file cannot be less than 1"),
        ("json-file", {"shout": "1"}, "unknown log opt 'shout'"),
    ],
)
def test_an_unknown_driver_or_option_is_refused(name: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        check_driver(name, options)


def test_max_file_alone_is_taken_as_docker_takes_it() -> None:
    check_driver("json-file", {"max-file": "3"})


@pytest.mark.parametrize("driver", KEEPING)
def test_a_reader_ends_with_what_it_has_when_the_container_is_removed(driver: Driver, tmp_path: Path) -> None:
    directory = tmp_path / "container"
    directory.mkdir()
    log = open_driver(*driver, directory, {})
    append_all(log, entries(3))
    log.close()
    reader, late = open_reader(driver[0], directory, None), open_reader(driver[0], directory, None)
    assert reader.read() == entries(3)
    shutil.rmtree(directory)
    assert reader.read() == []
    assert late.read() == []
    reader.close()
    late.close()

"""No byte is lost between spool and log, whatever the lines look like and whenever the daemon is killed."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from rundlet.engine.logs.driver import LogDriver, open_driver, open_reader
from rundlet.engine.logs.entry import LogEntry, LogOptions, Position, render
from rundlet.engine.logs.pump import LINE_BYTES, LineSplitter, Pump
from rundlet.errors import StorageFull
from rundlet.runtime.spool import Record, SpoolWriter

chunks = st.lists(
    st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=40) | st.sampled_from([b"\n", b"a\nb\n"])),
    max_size=30,
)


def records(parts: Sequence[tuple[int, bytes]]) -> list[Record]:
    ends = {1: 0, 2: 0}
    result = []
    for number, (stream, data) in enumerate(parts):
        ends[stream] += len(data)
        result.append(Record(stream, number, data, ends[stream]))
    return [*result, Record(1, 0, b"", ends[1], closed=True), Record(2, 0, b"", ends[2], closed=True)]


def split(parts: Sequence[tuple[int, bytes]]) -> list[LogEntry]:
    splitter = LineSplitter(Position(1))
    return [entry for record in records(parts) for entry in splitter.feed(record)]


def joined(entries: Sequence[LogEntry], stream: int) -> bytes:
    return b"".join(entry.data for entry in entries if entry.stream == stream)


@given(chunks)
def test_the_entries_of_a_stream_are_its_bytes(parts: list[tuple[int, bytes]]) -> None:
    entries = split(parts)
    for stream in (1, 2):
        assert joined(entries, stream) == b"".join(data for number, data in parts if number == stream)


@given(chunks)
def test_each_position_counts_exactly_what_came_before_it(parts: list[tuple[int, bytes]]) -> None:
    seen = {1: 0, 2: 0}
    for entry in split(parts):
        seen[entry.stream] += len(entry.data)
        assert entry.position == Position(1, seen[1], seen[2])


@given(chunks)
def test_an_entry_holds_at_most_one_line(parts: list[tuple[int, bytes]]) -> None:
    for entry in split(parts):
        assert b"\n" not in entry.data[:-1]
        assert len(entry.data) <= LINE_BYTES


def test_a_long_line_is_split_into_parts_of_16_kib() -> None:
    entries = split([(1, b"x" * (LINE_BYTES + 5)), (1, b"y" * LINE_BYTES + b"\n")])
    assert [len(entry.data) for entry in entries] == [LINE_BYTES, LINE_BYTES, 6]


def test_a_line_that_comes_in_pieces_is_one_entry() -> None:
    assert [entry.data for entry in split([(1, b"he"), (2, b"other\n"), (1, b"llo\n")])] == [
        b"other\n",
        b"hello\n",
    ]


class World:
    """A spool with its writer, and a log."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.spool = root / "spool"
        self.spool.mkdir()
        self.writer = SpoolWriter(str(self.spool))

    def write(self, stream: int, data: bytes) -> None:
        self.writer.make_room()
        self.writer.write(stream, data)

    def end(self) -> None:
        for stream in (1, 2):
            self.writer.end(stream)

    def driver(self) -> LogDriver:
        return open_driver("json-file", {}, self.root, {})

    def pump(self) -> Pump:
        """A new daemon's: it goes on where the log ends."""
        driver = self.driver()
        position = driver.position()
        return Pump(self.spool, driver, position if position.run else Position(1))

    def log(self) -> list[LogEntry]:
        reader = open_reader("json-file", self.root, None)
        found: list[LogEntry] = []
        while more := reader.read():
            found += more
        reader.close()
        return found


@settings(max_examples=40, deadline=None)
@given(parts=chunks, kills=st.sets(st.integers(0, 30)), torn=st.booleans())
def test_kills_between_any_two_steps_lose_and_double_nothing(
    parts: list[tuple[int, bytes]], kills: set[int], torn: bool
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory))
        pump = world.pump()
        for number, (stream, data) in enumerate(parts):
            world.write(stream, data)
            if number in kills:
                pump.step()
            if number + 1 in kills:
                pump.close()  # nothing else survives a kill than what is on disk
                if torn:
                    with (world.root / "log.json").open("ab") as file:
                        file.write(b'{"log":"torn')
                pump = world.pump()
        world.end()
        while not pump.step().is_finished:
            pass
        pump.close()
        entries = world.log()
        for stream in (1, 2):
            assert joined(entries, stream) == b"".join(data for number, data in parts if number == stream)
        world.writer.close()


def test_chunks_go_out_as_they_came_and_only_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    pump = world.pump()
    world.write(1, b"prompt> ")
    batch = pump.step()
    assert [(chunk.stream, chunk.data) for chunk in batch.chunks] == [(1, b"prompt> ")]
    assert batch.pending[1] == b"prompt> "
    assert batch.logged == Position(1)
    assert pump.step().chunks == []
    pump.close()


class FullDriver:
    """A log on a full disk, until there is room."""

    def __init__(self) -> None:
        self.has_room = False
        self.entries: list[LogEntry] = []

    def position(self) -> Position:
        return Position()

    def append(self, entries: Sequence[LogEntry]) -> int:
        if not self.has_room:
            raise StorageFull("/log", "writing")
        self.entries.append(entries[0])
        return 1

    def close(self) -> None:
        pass


def test_a_full_disk_keeps_the_bytes_until_there_is_room(tmp_path: Path) -> None:
    world, driver = World(tmp_path), FullDriver()
    pump = Pump(world.spool, driver, Position(1))
    world.write(1, b"one\ntwo\n")
    for _ in range(3):
        try:
            pump.step()
        except StorageFull:
            continue
        raise AssertionError("there was no room")
    driver.has_room = True
    batch = pump.step()
    assert [entry.data for entry in driver.entries] == [b"one\n", b"two\n"]
    assert [chunk.data for chunk in batch.chunks] == [b"one\ntwo\n"]
    pump.close()


def test_a_line_that_never_ends_does_not_hold_up_the_container(tmp_path: Path) -> None:
    """Without it the prompt would keep every spool segment, and the spool would fill up."""
    world = World(tmp_path)
    pump = world.pump()
    world.write(2, b"login: ")
    for _ in range(12):
        world.write(1, b"x" * 1023 + b"\n" + b"y" * (1024 * 1024) + b"\n")
        while pump.step().is_full:
            pass
    assert len(list(world.spool.iterdir())) <= 2
    assert joined(world.log(), 2) == b"login: "
    pump.close()


def test_without_a_writer_what_is_there_is_all(tmp_path: Path) -> None:
    """The supervisor has died: the streams never end, and the last line has no newline."""
    world = World(tmp_path)
    pump = world.pump()
    world.write(1, b"a\nhalf")
    batch = pump.step(is_last=True)
    assert batch.is_finished
    assert joined(world.log(), 1) == b"a\nhalf"
    pump.close()


def test_prefixes_are_dockers() -> None:
    entry = LogEntry(1, 1_700_000_000_000_000_005, b"hi\n", attributes={"b": "2 x", "a": "1"})
    assert render(entry, LogOptions()) == b"hi\n"
    assert render(entry, LogOptions(timestamps=True)) == b"2023-11-14T22:13:20.000000005Z hi\n"
    assert render(entry, LogOptions(details=True)) == b"a=1,b=2%20x hi\n"

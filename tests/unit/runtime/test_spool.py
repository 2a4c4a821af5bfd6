"""The spool loses no byte and repeats none, whoever is killed when."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rundlet.runtime import spool
from rundlet.runtime.spool import STDERR, STDOUT, Record, SpoolBlocked, SpoolReader, SpoolWriter


class Pipe:
    """A pipe whose read end does not block, as the supervisor has it."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def close_writer(self) -> None:
        os.close(self.writer)
        self.writer = -1

    def close(self) -> None:
        for fd in (self.reader, self.writer):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SpoolWriter]:
    writer = SpoolWriter(str(tmp_path))
    yield writer
    writer.close()


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 1000)


def text(records: list[Record], stream: int = STDOUT) -> bytes:
    return b"".join(record.data for record in records if record.stream == stream)


def feed(writer: SpoolWriter, pipe: Pipe, data: bytes, stream: int = STDOUT) -> None:
    os.write(pipe.writer, data)
    assert writer.splice(stream, pipe.reader) == len(data)


def everything(directory: Path, stdout_offset: int = 0, stderr_offset: int = 0) -> list[Record]:
    with SpoolReader(directory, stdout_offset, stderr_offset) as reader:
        return reader.read(1 << 30)


def test_bytes_come_out_as_they_went_in_with_stream_and_offset(
    tmp_path: Path, writer: SpoolWriter, pipe: Pipe
) -> None:
    feed(writer, pipe, b"one\n")
    feed(writer, pipe, b"two\n", STDERR)
    feed(writer, pipe, b"three\n")

    records = everything(tmp_path)

    assert [(r.stream, r.data, r.end_offset) for r in records] == [
        (STDOUT, b"one\n", 4),
        (STDERR, b"two\n", 4),
        (STDOUT, b"three\n", 10),
    ]
    assert [r.time_ns for r in records] == sorted(r.time_ns for r in records)


def test_an_empty_pipe_and_an_ended_one_differ(writer: SpoolWriter, pipe: Pipe) -> None:
    assert writer.splice(STDOUT, pipe.reader) is None
    pipe.close_writer()
    assert writer.splice(STDOUT, pipe.reader) == 0


def test_reading_before_anything_was_written_gives_nothing_and_then_everything(
    tmp_path: Path, writer: SpoolWriter, pipe: Pipe
) -> None:
    with SpoolReader(tmp_path) as reader:
        assert reader.read() == []
        feed(writer, pipe, b"late")
        assert text(reader.read()) == b"late"
        assert reader.read() == []


def test_the_reader_is_finished_when_both_streams_have_ended(
    tmp_path: Path, writer: SpoolWriter, pipe: Pipe
) -> None:
    feed(writer, pipe, b"out")
    writer.end(STDOUT)
    with SpoolReader(tmp_path) as reader:
        assert [r.closed for r in reader.read()] == [False, True]
        assert not reader.is_finished
        writer.end(STDERR)
        (last,) = reader.read()
        assert (last.stream, last.closed, last.end_offset) == (STDERR, True, 0)
        assert reader.is_finished


def test_a_reader_that_comes_back_gets_the_rest_even_in_the_middle_of_a_record(
    tmp_path: Path, writer: SpoolWriter, pipe: Pipe
) -> None:
    feed(writer, pipe, b"0123456789")
    feed(writer, pipe, b"abcdef", STDERR)
    assert text(everything(tmp_path, 4, 6)) == b"456789"
    assert text(everything(tmp_path, 10, 2), STDERR) == b"cdef"


@pytest.mark.usefixtures("small_segments")
def test_consumed_segments_go_and_a_later_reader_still_finds_its_place(
    tmp_path: Path, writer: SpoolWriter, pipe: Pipe
) -> None:
    lines = [b"%06d" % n * 20 for n in range(100)]
    seen = b""
    with SpoolReader(tmp_path) as reader:
        for line in lines[:90]:
            feed(writer, pipe, line)
            seen += text(reader.read())
            reader.discard_consumed()
        assert len(list(tmp_path.iterdir())) == 1
    for line in lines[90:]:
        feed(writer, pipe, line)

    seen += text(everything(tmp_path, len(seen)))

    assert seen == b"".join(lines)


@pytest.mark.usefixtures("small_segments")
def test_a_reader_that_lags_stops_the_writer_and_loses_nothing(
    tmp_path: Path, writer: SpoolWriter, pipe: Pipe
) -> None:
    block = bytes(range(250)) * 4
    written = 0
    os.write(pipe.writer, block)
    for _ in range(spool.BACKLOG_SEGMENTS + 1):
        written += writer.splice(STDOUT, pipe.reader) == len(block)
        os.write(pipe.writer, block)
    with pytest.raises(SpoolBlocked, match="backlog"):
        writer.splice(STDOUT, pipe.reader)

    with SpoolReader(tmp_path) as reader:
        assert text(reader.read()) == block * written
        reader.discard_consumed()
        assert writer.splice(STDOUT, pipe.reader) == len(block)
        assert text(reader.read()) == block


def test_the_reader_stops_at_its_bound_and_goes_on_from_there(
    tmp_path: Path, writer: SpoolWriter, pipe: Pipe
) -> None:
    for _ in range(10):
        feed(writer, pipe, b"x" * 1000)
    with SpoolReader(tmp_path) as reader:
        assert len(reader.read(max_bytes=2500)) == 3
        assert len(reader.read(max_bytes=1)) == 1
        assert len(reader.read()) == 6


@pytest.mark.parametrize("length", [0, 1, 8, 15])
def test_a_header_that_is_visible_in_part_is_no_record_yet(
    tmp_path: Path, writer: SpoolWriter, pipe: Pipe, length: int
) -> None:
    feed(writer, pipe, b"whole")
    feed(writer, pipe, b"torn")
    segment = tmp_path / "00000001"
    data = bytearray(segment.read_bytes())
    second = 24 + len(b"whole")
    header = bytes(data[second : second + 24])
    data[second : second + 24] = header[:length].ljust(24, b"\0")
    segment.write_bytes(data)
    with SpoolReader(tmp_path) as reader:
        assert text(reader.read()) == b"whole"
        data[second : second + 24] = header
        segment.write_bytes(data)
        assert text(reader.read()) == b"torn"


def test_what_a_crash_of_the_machine_cut_off_ends_the_spool(
    tmp_path: Path, writer: SpoolWriter, pipe: Pipe
) -> None:
    feed(writer, pipe, b"whole")
    feed(writer, pipe, b"cut off")
    segment = tmp_path / "00000001"
    os.truncate(segment, segment.stat().st_size - 1)
    assert text(everything(tmp_path)) == b"whole"


def test_a_spool_that_is_not_empty_is_never_overwritten(tmp_path: Path, writer: SpoolWriter, pipe: Pipe) -> None:
    (tmp_path / "00000001").write_bytes(b"an earlier run")
    os.write(pipe.writer, b"x")
    with pytest.raises(SpoolBlocked, match="File exists"):
        writer.splice(STDOUT, pipe.reader)


def test_each_commit_is_notified(tmp_path: Path, pipe: Pipe) -> None:
    notify = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    writer = SpoolWriter(str(tmp_path), notify)
    feed(writer, pipe, b"a")
    feed(writer, pipe, b"b")
    writer.write(STDOUT, b"c")
    assert os.eventfd_read(notify) == 3
    os.eventfd_write(notify, 2**64 - 2)
    feed(writer, pipe, b"a notification too many does not hurt")
    writer.close()
    os.close(notify)


def test_the_reader_may_be_killed_at_any_point(tmp_path: Path, pipe: Pipe) -> None:
    """Readers die, again and again, while a writer floods; what each has put into its log,
    together with the offsets in the log, adds up to exactly what was written."""
    directory = tmp_path / "spool"
    directory.mkdir()
    log = tmp_path / "log"
    log.touch()
    total = 6_000_000
    writer = os.fork()
    if writer == 0:
        os._exit(_flood(str(directory), pipe, total))
    kills = 0
    while log.stat().st_size < total:
        reader = os.fork()
        if reader == 0:
            # Death by a timer on its own CPU time: at no point in particular, however busy the machine is.
            signal.setitimer(signal.ITIMER_PROF, 0.004)
            os._exit(_copy_to_log(str(directory), log, total))
        kills += os.waitstatus_to_exitcode(os.waitpid(reader, 0)[1]) == -signal.SIGPROF
    assert os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]) == 0
    assert kills >= 3
    assert log.read_bytes() == _pattern(total)


def _pattern(total: int) -> bytes:
    return b"".join(b"%07d\n" % n for n in range(total // 8))


def _flood(directory: str, pipe: Pipe, total: int) -> int:
    writer = SpoolWriter(directory)
    data = memoryview(_pattern(total))
    sizes = [1, 17, 4096, 3, 9000, 200, 65_536, 2000, 5, 700]
    while data:
        sizes.append(sizes.pop(0))
        data = data[os.write(pipe.writer, data[: sizes[0]]) :]
        while True:
            try:
                if writer.splice(STDOUT, pipe.reader) is None:
                    break
            except SpoolBlocked:
                os.sched_yield()
    return 0


def _copy_to_log(directory: str, log: Path, total: int) -> int:
    """What the daemon does, with the size of the log as the offset that is stored with it."""
    fd = os.open(log, os.O_WRONLY | os.O_APPEND)
    with SpoolReader(directory, stdout_offset=os.fstat(fd).st_size) as reader:
        while os.fstat(fd).st_size < total:
            for record in reader.read(50_000):
                os.write(fd, record.data)
            reader.discard_consumed()
    return 0

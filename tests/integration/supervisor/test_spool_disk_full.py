"""A full disk stops the writer of a spool and loses nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rundlet.runtime.messages import Stdio
from rundlet.runtime.spool import STDERR, STDOUT, SpoolBlocked, SpoolReader, SpoolWriter
from rundlet.runtime.supervisor.loop import Loop
from rundlet.runtime.supervisor.pump import Pump
from rundlet.runtime.supervisor.stdio import Streams, close_child_ends

pytestmark = pytest.mark.privileged


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tiny", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("block_size", [1, 100, 4072, 4073, 10_000, 65_536])
def test_every_byte_arrives_once_there_is_room_again(tiny_disk: Path, block_size: int) -> None:
    """Blocks that end just before, at and after a page's boundary: the header's own page may be refused."""
    directory = tiny_disk / "spool"
    directory.mkdir()
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(200_000))
    reader_end, writer_end = os.pipe()
    os.set_blocking(reader_end, False)
    os.set_blocking(writer_end, False)
    writer = SpoolWriter(str(directory))
    sent = bytearray()

    def produce_until_blocked() -> None:
        for n in range(100_000):
            block = b"%d" % (n % 10) * block_size
            sent.extend(block[: os.write(writer_end, block)])
            if writer.splice(STDOUT, reader_end) is None:
                raise AssertionError("the pipe was empty after a write")

    with pytest.raises(SpoolBlocked, match="No space left"):
        produce_until_blocked()
    ballast.unlink()
    while writer.splice(STDOUT, reader_end) is not None:
        pass
    writer.end(STDOUT)
    writer.close()
    with SpoolReader(directory) as reader:
        assert b"".join(record.data for record in reader.read(1 << 30)) == bytes(sent)
    os.close(reader_end)
    os.close(writer_end)


def test_terminal_output_that_was_read_already_is_kept(tiny_disk: Path) -> None:
    directory = tiny_disk / "spool"
    directory.mkdir()
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(200_000))
    writer = SpoolWriter(str(directory))
    block = bytes(range(256)) * 16
    sent = 0

    def produce_until_blocked() -> None:
        nonlocal sent
        for _ in range(1000):
            writer.make_room()
            writer.write(STDOUT, block)
            sent += 1

    with pytest.raises(SpoolBlocked, match="No space left"):
        produce_until_blocked()
    ballast.unlink()
    writer.end(STDOUT)
    writer.end(STDERR)
    writer.close()
    with SpoolReader(directory) as reader:
        assert b"".join(record.data for record in reader.read(1 << 30)) == block * sent
        assert reader.is_finished


@pytest.mark.parametrize("room", [0, 24, 48])
def test_the_ends_of_the_streams_are_recorded_once_there_is_room_again(tiny_disk: Path, room: int) -> None:
    """``room``: bytes up to the page that the disk refuses; each end is a header of 24."""
    directory = tiny_disk / "spool"
    directory.mkdir()
    streams, loop = Streams(Stdio()), Loop()
    program = streams.open_pipes()
    assert program.stdout is not None
    os.write(program.stdout, bytes(4096 - 24 - room))
    pump = Pump(loop, "box", streams, SpoolWriter(str(directory)))
    loop.call_later(0.0, loop.stop)
    loop.run()  # the data is in the spool
    _fill(tiny_disk / "ballast")
    close_child_ends(program)

    pump.finish()
    (tiny_disk / "ballast").unlink()
    with SpoolReader(directory) as reader:
        ended: list[int] = []
        loop.call_later(5.0, loop.stop)

        def look() -> None:
            ended.extend(record.stream for record in reader.read() if record.closed)
            loop.stop() if reader.is_finished else loop.call_later(0.01, look)

        loop.call_later(0.0, look)
        loop.run()
    assert ended == [STDOUT, STDERR]
    pump.close()


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass

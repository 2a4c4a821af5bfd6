"""What only the sync colour can promise: loops round ``select``, threads, and signals while it waits."""

from __future__ import annotations

import select
import signal
import threading
from types import FrameType

import pytest

from rundlet import Engine, errors
from rundlet.wire import stdcopy
from rundlet.wire.stdcopy import STDERR, STDOUT
from tests.unit.sdk.fake_engine import UPGRADED, FakeEngine, Peer, reply


def echo(peer: Peer) -> None:
    peer.send(UPGRADED + stdcopy.encode(STDERR, b"early"))
    while data := peer.input.read(65536):
        peer.send(stdcopy.encode(STDOUT, data))


def test_one_thread_can_copy_both_ways_with_select(fake: FakeEngine) -> None:
    """More bytes than the sockets hold go round: a blocking write, or a frame left unseen, would hang here."""
    unsent = memoryview(bytes(range(256)) * 4096 * 8)
    sent, received = bytes(unsent), bytearray()
    fake.will(echo)

    with Engine(fake.host).containers.attach("web", stdin=True) as stream:
        frames = stream.receive()
        assert frames == [(STDERR, b"early")] or frames == []
        while frames is not None:
            received += b"".join(data for channel, data in frames if channel == STDOUT)
            readable, writable, _ = select.select([stream], [stream] if unsent else [], [])
            if writable:
                unsent = unsent[stream.write_some(unsent) :]
                if not unsent:
                    stream.close_write()
            frames = stream.receive() if readable else []

    assert sent == received


def test_a_second_thread_may_write(fake: FakeEngine) -> None:
    sent = bytes(range(256)) * 4096 * 8
    fake.will(echo)

    with Engine(fake.host).containers.attach("web", stdin=True) as stream:

        def write() -> None:
            stream.write(sent)
            stream.close_write()

        writer = threading.Thread(target=write)
        writer.start()
        received = b"".join(data for channel, data in stream if channel == STDOUT)
        writer.join()

    assert sent == received


def test_closing_wakes_the_thread_that_waits(fake: FakeEngine) -> None:
    fake.will(echo)
    heard: list[errors.ConnectionLost] = []
    with Engine(fake.host).containers.attach("web", stdin=True) as stream:
        assert stream.read_frame() == (STDERR, b"early")

        def read() -> None:
            try:
                stream.read_frame()
            except errors.ConnectionLost as lost:
                heard.append(lost)

        reader = threading.Thread(target=read)
        reader.start()
        stream.close()
        reader.join(10)

    assert len(heard) == 1
    assert stream.fileno() == -1


def test_a_signal_handler_that_raises_ends_the_wait_and_the_connection(fake: FakeEngine) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    hung_up = threading.Event()

    def signal_main_thread(peer: Peer) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        assert peer.read(1) == b""
        hung_up.set()

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        fake.will(signal_main_thread)
        with pytest.raises(Interrupted):
            Engine(fake.host, timeout_s=None).system.info()
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert hung_up.wait(10)


def test_an_engine_object_serves_many_threads(fake: FakeEngine) -> None:
    fake.will(*[reply("200 OK", b'{"n":%d}' % n) for n in range(20)])
    engine = Engine(fake.host)
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(engine.system.info()["n"])) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(seen) == list(range(20))

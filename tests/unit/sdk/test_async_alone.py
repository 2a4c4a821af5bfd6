"""What only the async colour can promise: cancellation, two tasks on one stream, other event loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
import uvloop

from rundlet import errors
from rundlet.async_ import Engine
from rundlet.wire import stdcopy
from rundlet.wire.stdcopy import STDOUT
from tests.unit.sdk.fake_engine import UPGRADED, FakeEngine, Peer, reply


def hang(peer: Peer) -> None:
    """Answer nothing; end when the client hangs up."""
    while peer.input.read(65536):
        pass


def echo(peer: Peer) -> None:
    """Send everything back as stdout, until the input ends."""
    peer.send(UPGRADED)
    while data := peer.input.read(65536):
        peer.send(stdcopy.encode(STDOUT, data))


async def test_cancelling_a_call_closes_its_connection(fake: FakeEngine) -> None:
    arrived, hung_up = threading.Event(), threading.Event()

    def watch(peer: Peer) -> None:
        arrived.set()
        hang(peer)
        hung_up.set()

    fake.will(watch)
    call = asyncio.create_task(Engine(fake.host).system.info())
    await asyncio.to_thread(arrived.wait, 10)
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(hung_up.wait, 10)


async def test_a_cancelled_read_leaves_no_stream_that_lies_about_its_position(fake: FakeEngine) -> None:
    fake.will(echo)
    async with await Engine(fake.host).containers.attach("web", stdin=True) as stream:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.read_frame(), 0.01)

        assert stream.fileno() == -1
        with pytest.raises(errors.ConnectionLost, match="closed here"):
            await stream.read_frame()


async def test_one_task_writes_while_another_reads(fake: FakeEngine) -> None:
    """The bytes exceed what the sockets hold: without the reader, writer and echo would wait for each other."""
    sent = bytes(range(256)) * 4096 * 8
    fake.will(echo)

    async with await Engine(fake.host).containers.attach("web", stdin=True) as stream:

        async def write() -> None:
            await stream.write(sent)
            stream.close_write()

        writer = asyncio.create_task(write())
        received = b"".join([data async for _, data in stream])
        await writer

    assert sent == received


async def test_closing_wakes_the_task_that_waits(fake: FakeEngine) -> None:
    fake.will(echo)
    stream = await Engine(fake.host).containers.attach("web", stdin=True)
    reading = asyncio.create_task(stream.read_frame())
    await asyncio.sleep(0)
    stream.close()

    with pytest.raises(errors.ConnectionLost, match="closed here"):
        await asyncio.wait_for(reading, 10)
    assert stream.fileno() == -1


async def test_many_calls_at_once_have_a_connection_each(fake: FakeEngine) -> None:
    fake.will(*[reply("200 OK", b'{"n":%d}' % n) for n in range(50)])
    engine = Engine(fake.host)
    replies = await asyncio.gather(*[engine.system.info() for _ in range(50)])

    assert sorted(reply["n"] for reply in replies) == list(range(50))


async def test_a_body_may_come_from_an_async_source(fake: FakeEngine) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one "
        await asyncio.sleep(0)
        yield b"two"

    fake.will(reply("200 OK", b'{"stream":"done"}'))
    messages = await Engine(fake.host).images.load(pieces())

    assert [message async for message in messages] == [{"stream": "done"}]
    assert fake.requests[0][1] == b"one two"


def test_uvloop_serves_as_well(fake: FakeEngine) -> None:
    async def converse() -> None:
        await test_one_task_writes_while_another_reads(fake)
        await test_closing_wakes_the_task_that_waits(fake)
        await test_cancelling_a_call_closes_its_connection(fake)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(converse())

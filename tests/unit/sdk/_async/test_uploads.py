"""Archives on their way to the engine: streamed, chunked, and never in each other's way with the reply."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from rundlet import errors
from rundlet.async_ import Engine
from rundlet.wire import http
from tests.unit.sdk.fake_engine import CHUNKED, FakeEngine, Peer, reply

DONE = reply("200 OK", b'{"stream":"Loaded image: a:b\\n"}\r\n')


async def test_a_file_is_sent_as_it_is_read(fake: FakeEngine) -> None:
    archive = bytes(range(256)) * 4096
    fake.will(DONE)

    messages = await Engine(fake.host).images.load(io.BytesIO(archive))

    assert [message async for message in messages] == [{"stream": "Loaded image: a:b\n"}]
    assert fake.requests == [("POST /images/load?quiet=1", archive)]
    assert fake.peers[0].headers["content-type"] == "application/x-tar"


async def test_an_iterable_may_hold_empty_pieces(fake: FakeEngine) -> None:
    fake.will(DONE)

    messages = await Engine(fake.host).images.import_(
        [b"a", b"", b"b"], reference="x:1", changes=["CMD a", "ENV b=c"], message="m"
    )

    assert len([message async for message in messages]) == 1
    query = "fromSrc=-&repo=docker.io%2Flibrary%2Fx&tag=1&message=m&changes=CMD%20a&changes=ENV%20b%3Dc"
    assert fake.requests == [(f"POST /images/create?{query}", b"ab")]


async def test_an_engine_that_talks_while_it_reads_does_not_wait_for_ever(fake: FakeEngine) -> None:
    """Each chunk is answered at once with more than the socket holds: neither side may wait for the other."""
    lines = b'{"status":"working"}\r\n' * 4000

    def talk(peer: Peer) -> None:
        peer.send(CHUNKED)
        while peer.read_chunk():
            peer.send(http.chunk(lines))
        peer.send(http.LAST_CHUNK)

    fake.will(talk)

    messages = await Engine(fake.host).images.load(iter([b"x" * 2**20] * 20))

    assert len([message async for message in messages]) == 20 * 4000


async def test_a_refusal_in_the_middle_of_an_upload_is_what_the_caller_hears(fake: FakeEngine) -> None:
    def refuse(peer: Peer) -> None:
        peer.read_chunk()
        peer.send(reply("400 Bad Request", b'{"message":"not a tar"}', "Connection: close"))

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    fake.will(refuse)

    with pytest.raises(errors.InvalidArgument, match="not a tar"):
        await Engine(fake.host).images.load(endless())


async def test_a_source_that_fails_is_no_end_of_the_archive(fake: FakeEngine) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise OSError("the disk is gone")

    def expect_no_end(peer: Peer) -> None:
        assert peer.read_chunk() == b"half"
        assert peer.read(1) == b""

    fake.will(expect_no_end)

    with pytest.raises(OSError, match="the disk is gone"):
        await Engine(fake.host).images.load(broken())


async def test_what_is_no_body_is_refused(fake: FakeEngine) -> None:
    fake.will(lambda peer: None)

    with pytest.raises(TypeError, match="not int"):
        await Engine(fake.host).images.load(7)  # type: ignore[arg-type]  # the promise under test

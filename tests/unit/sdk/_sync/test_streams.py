# Generated from tests/unit/sdk/_async/test_streams.py by tools/unasync.py; do not edit.
"""What outlasts a call: logs, hijacked streams, waiting, progress."""

from __future__ import annotations

import threading

import pytest

from rundlet import Engine, errors
from rundlet.wire import http, stdcopy
from rundlet.wire.stdcopy import STDERR, STDOUT, SYSTEM_ERROR
from tests.unit.sdk.fake_engine import CHUNKED, UPGRADED, FakeEngine, Peer, head, reply

RAW = head("200 OK", "Content-Type: application/vnd.docker.raw-stream")


def frames(*pieces: tuple[int, bytes]) -> bytes:
    return b"".join(stdcopy.encode(stream, data) for stream, data in pieces)


def test_logs_come_stream_by_stream(fake: FakeEngine) -> None:
    wire = frames((STDOUT, b"out\n"), (STDERR, b"err\n"), (STDOUT, b"more\n"))
    fake.will(CHUNKED + http.chunk(wire[:5]) + http.chunk(wire[5:20]) + http.chunk(wire[20:]) + http.LAST_CHUNK)

    logs = Engine(fake.host).containers.logs("web", tail=10, since=1.5, timestamps=True)
    received = {STDOUT: b"", STDERR: b""}
    for stream, data in logs:
        received[stream] += data

    assert received == {STDOUT: b"out\nmore\n", STDERR: b"err\n"}
    assert fake.requests[0][0] == (
        "GET /containers/web/logs?stdout=1&stderr=1&tail=10&since=1.500000000&timestamps=1"
    )
    assert logs.fileno() == -1


def test_logs_of_a_terminal_have_no_frames(fake: FakeEngine) -> None:
    fake.will(RAW + b"$ ls\r\n")

    with Engine(fake.host).containers.logs("web", tty=True) as logs:
        assert logs.read_frame() == (STDOUT, b"$ ls\r\n")
        assert logs.read_frame() is None


def test_logs_that_break_off_are_an_error(fake: FakeEngine) -> None:
    fake.will(CHUNKED + http.chunk(frames((STDOUT, b"all"))), RAW + frames((STDOUT, b"all"))[:-1])

    for _ in range(2):
        with Engine(fake.host).containers.logs("web") as logs:
            assert (logs.read_frame() or (0, b""))[1].startswith(b"al")
            with pytest.raises(errors.ConnectionLost):
                logs.read_frame()


def test_an_engine_s_complaint_in_the_stream_is_raised_after_what_came_before_it(fake: FakeEngine) -> None:
    wire = frames((STDOUT, b"fine"), (SYSTEM_ERROR, b"the log is damaged\n"))
    fake.will(CHUNKED + http.chunk(wire) + http.LAST_CHUNK, RAW + wire[:-5])

    for words in (r"^the log is damaged$", r"^the log is dam$"):
        with Engine(fake.host).containers.logs("web") as logs:
            assert logs.read_frame() == (STDOUT, b"fine")
            with pytest.raises(errors.EngineError, match=words):
                logs.read_frame()


def test_terminal_output_taken_for_frames_is_a_protocol_error(fake: FakeEngine) -> None:
    fake.will(RAW + b"$ ls -la\r\n")

    with Engine(fake.host).containers.logs("web", tty=False) as logs:
        with pytest.raises(errors.ProtocolError, match="is it a terminal's output"):
            logs.read_frame()


@pytest.mark.parametrize("opening", [UPGRADED, RAW])
def test_output_that_comes_with_the_headers_is_not_lost(fake: FakeEngine, opening: bytes) -> None:
    fake.will(opening + frames((STDOUT, b"first")) + frames((STDERR, b"second")))

    with Engine(fake.host).containers.attach("web", logs=True) as stream:
        assert list(stream) == [(STDOUT, b"first"), (STDERR, b"second")]

    assert fake.requests[0][0] == "POST /containers/web/attach?stdout=1&stderr=1&logs=1&stream=1"
    assert fake.peers[0].headers["upgrade"] == "tcp"
    assert fake.peers[0].headers["connection"] == "Upgrade"


def test_half_closing_ends_the_input_and_not_the_output(fake: FakeEngine) -> None:
    def echo(peer: Peer) -> None:
        peer.read_body()
        peer.send(UPGRADED)
        received = peer.input.read()
        while piece := peer.input.read():
            received += piece
        peer.send(frames((STDOUT, received)))

    fake.will(echo)

    with Engine(fake.host).execs.start("x", console_size=(24, 80)) as stream:
        stream.write(b"hello ")
        stream.write(b"world")
        stream.close_write()

        assert stream.read_frame() == (STDOUT, b"hello world")
        assert stream.read_frame() is None


def test_output_is_still_there_when_the_input_is_refused(fake: FakeEngine) -> None:
    stopped = threading.Event()

    def refuse(peer: Peer) -> None:
        peer.send(UPGRADED + frames((STDOUT, b"last words")))
        peer.socket.shutdown(2)
        stopped.set()

    fake.will(refuse)

    with Engine(fake.host).containers.attach("web", stdin=True) as stream:
        assert stopped.wait(10)
        with pytest.raises(errors.ConnectionLost):
            stream.write(b"too late")

        assert stream.read_frame() == (STDOUT, b"last words")


def test_what_is_not_read_makes_the_engine_wait(fake: FakeEngine) -> None:
    blocked = threading.Event()

    def flood(peer: Peer) -> None:
        peer.socket.settimeout(0.1)
        try:
            peer.send(UPGRADED + stdcopy.header(STDOUT, 2**30))
            while True:
                peer.send(b"y" * 65536)
        except TimeoutError:
            blocked.set()

    fake.will(flood)

    with Engine(fake.host).containers.attach("web") as stream:
        assert stream.read_frame() is not None
        assert blocked.wait(10)


def test_writing_some_never_waits(fake: FakeEngine) -> None:
    def never_read(peer: Peer) -> None:
        peer.send(UPGRADED)
        full.wait(10)

    full = threading.Event()
    fake.will(never_read)

    with Engine(fake.host).containers.attach("web", stdin=True) as stream:
        while stream.write_some(b"x" * 65536):
            pass
        full.set()


def test_a_refused_attach_is_the_error_it_says(fake: FakeEngine) -> None:
    fake.will(reply("409 Conflict", b'{"message":"it is paused"}'))

    with pytest.raises(errors.Conflict, match="it is paused"):
        Engine(fake.host).containers.attach("web")


def test_wait_returns_when_the_engine_watches_and_its_result_when_the_exit_comes(fake: FakeEngine) -> None:
    exited = threading.Event()

    def watch(peer: Peer) -> None:
        peer.send(CHUNKED)
        exited.wait(10)
        peer.send(http.chunk(b'{"StatusCode":3}\n') + http.LAST_CHUNK)

    fake.will(watch)

    with Engine(fake.host, timeout_s=5).containers.wait("web", "next-exit") as waiter:
        exited.set()

        assert waiter.result() == (3, None)
    assert fake.peers[0].target == "/containers/web/wait?condition=next-exit"


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b'{"StatusCode":0,"Error":null}', (0, None)),
        (b'{"StatusCode":0,"Error":{"Message":""}}', (0, None)),
        (b'{"StatusCode":125,"Error":{"Message":"lost it"}}', (125, "lost it")),
    ],
)
def test_a_wait_that_failed_says_why(fake: FakeEngine, body: bytes, result: tuple[int, str | None]) -> None:
    fake.will(reply("200 OK", body))

    assert (Engine(fake.host).containers.wait("web")).result() == result


def test_a_wait_without_a_code_or_an_end_is_an_error(fake: FakeEngine) -> None:
    fake.will(reply("200 OK", b"{}"), CHUNKED)
    containers = Engine(fake.host).containers

    with pytest.raises(errors.ProtocolError, match="no status code"):
        (containers.wait("web")).result()
    with pytest.raises(errors.ConnectionLost):
        (containers.wait("web")).result()


def test_progress_comes_object_by_object(fake: FakeEngine) -> None:
    fake.will(
        CHUNKED
        + http.chunk(b'{"status":"a"}\r\n{"sta')
        + http.chunk(b'tus":"b"}\n{"status":"c"}')
        + http.LAST_CHUNK
    )

    messages = Engine(fake.host).images.pull("quay.io/a/b")
    received = [message["status"] for message in messages]

    assert received == ["a", "b", "c"]
    assert fake.requests[0][0] == "POST /images/create?fromImage=quay.io%2Fa%2Fb&tag=latest"
    assert messages.fileno() == -1


def test_failure_reported_in_the_progress_is_raised(fake: FakeEngine) -> None:
    fake.will(
        CHUNKED
        + http.chunk(b'{"status":"a"}\r\n{"errorDetail":{"code":1,"message":"no space"},"error":"x"}\r\n')
        + http.LAST_CHUNK
    )

    with Engine(fake.host).images.pull(f"a@sha256:{'a' * 64}") as messages:
        with pytest.raises(errors.EngineError, match=r"^no space$"):
            list(messages)
    assert fake.requests[0][0].endswith(f"tag=sha256%3A{'a' * 64}")


def test_progress_that_breaks_off_is_no_success(fake: FakeEngine) -> None:
    fake.will(CHUNKED + http.chunk(b'{"status":"a"}\r\n'), reply("200 OK", b"[1]\n"))
    images = Engine(fake.host).images

    with images.pull("a") as messages:
        with pytest.raises(errors.ConnectionLost):
            list(messages)
    with images.assemble(reference="a", programs=["git", "jq"]) as messages:
        with pytest.raises(errors.ProtocolError):
            list(messages)
    assert fake.requests[1][0] == "POST /images/assemble?reference=a&program=git&program=jq"

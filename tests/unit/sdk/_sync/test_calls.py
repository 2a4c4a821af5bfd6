# Generated from tests/unit/sdk/_async/test_calls.py by tools/unasync.py; do not edit.
"""Calls that answer with a document: what goes out, what comes back, and how they fail."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from rundlet import Engine, errors
from rundlet.wire import http
from tests.unit.sdk.fake_engine import CHUNKED, FakeEngine, Peer, head, reply


def test_a_document_is_asked_for_and_read(fake: FakeEngine) -> None:
    fake.will(reply("200 OK", b'{"Id":"abc"}'))

    assert Engine(fake.host).containers.inspect("/web", size=True) == {"Id": "abc"}
    assert fake.requests == [("GET /containers/web/json?size=1", b"")]


def test_a_body_is_sent_as_json(fake: FakeEngine) -> None:
    fake.will(reply("201 Created", b'{"Id":"abc","Warnings":[]}'))

    made = Engine(fake.host).containers.create({"Image": "busybox"}, name="a b")

    assert made == {"Id": "abc", "Warnings": []}
    assert fake.requests == [("POST /containers/create?name=a%20b", b'{"Image":"busybox"}')]
    assert fake.peers[0].headers["content-type"] == "application/json"
    assert fake.peers[0].headers["host"] == "localhost"


def test_lists_may_be_chunked_and_null_is_empty(fake: FakeEngine) -> None:
    fake.will(
        CHUNKED + http.chunk(b'[{"Id":') + http.chunk(b'"a"}]') + http.LAST_CHUNK,
        reply("200 OK", b"null"),
    )
    engine = Engine(fake.host)

    assert engine.containers.list(all=True, limit=3, filters={"label": ["a=b"]}) == [{"Id": "a"}]
    assert engine.images.list() == []
    assert fake.requests[0][0] == (
        "GET /containers/json?all=1&limit=3&filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%7D%7D"
    )


def test_start_and_stop_say_whether_anything_changed(fake: FakeEngine) -> None:
    fake.will(reply("204 No Content"), head("304 Not Modified"), reply("204 No Content"), head("304 Not Modified"))
    containers = Engine(fake.host).containers

    assert containers.start("web") is True
    assert containers.start("web") is False
    assert containers.stop("web", timeout_s=-1, signal="INT") is True
    assert containers.stop("web") is False
    assert fake.requests[2][0] == "POST /containers/web/stop?t=-1&signal=INT"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("400 Bad Request", errors.InvalidArgument),
        ("403 Forbidden", errors.Forbidden),
        ("404 Not Found", errors.NotFound),
        ("409 Conflict", errors.Conflict),
        ("501 Not Implemented", errors.NotImplementedHere),
        ("500 Internal Server Error", errors.EngineError),
        ("301 Moved Permanently", errors.EngineError),
    ],
)
def test_the_status_decides_which_error_and_the_engine_s_words_are_kept(
    fake: FakeEngine, status: str, kind: type[errors.RundletError]
) -> None:
    fake.will(reply(status, b'{"message":"in the engine\'s words"}'))

    with pytest.raises(kind, match=r"^in the engine's words$"):
        Engine(fake.host).containers.kill("web", 9)


def test_a_start_that_failed_has_the_exit_code_of_the_program(fake: FakeEngine) -> None:
    fake.will(reply("400 Bad Request", b'{"message":"no such program","exitCode":127}'))

    with pytest.raises(errors.StartFailed, match="no such program") as caught:
        Engine(fake.host).containers.start("web")

    assert caught.value.exit_code == 127
    assert caught.value.kind is errors.Kind.INVALID


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (head("404 Not Found") + b"plain text\r\n", "^plain text$"),
        (reply("404 Not Found"), "answered 404 Not Found and said no more"),
        (reply("404 Not Found", b'{"cause":"x"}'), "answered 404 Not Found and said no more"),
    ],
)
def test_an_error_without_json_still_says_something(fake: FakeEngine, answer: bytes, words: str) -> None:
    fake.will(answer)

    with pytest.raises(errors.NotFound, match=words):
        Engine(fake.host).system.info()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        reply("200 OK", b"[1, 2]"),
        reply("200 OK", b"not json"),
        CHUNKED + b"zz\r\n",
    ],
)
def test_garbage_is_a_protocol_error(fake: FakeEngine, answer: bytes) -> None:
    fake.will(answer)

    with pytest.raises(errors.ProtocolError):
        Engine(fake.host).system.version()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        head("200 OK", "Content-Length: 20") + b'{"a":1}',
        CHUNKED + http.chunk(b'{"a":1}'),
    ],
)
def test_a_reply_cut_short_is_never_taken_for_a_whole_one(fake: FakeEngine, answer: bytes) -> None:
    fake.will(answer)

    with pytest.raises(errors.ConnectionLost, match=fake.host):
        Engine(fake.host).system.version()


def test_an_engine_that_does_not_answer_is_given_up_in_time(fake: FakeEngine) -> None:
    hung_up = threading.Event()

    def be_silent(peer: Peer) -> None:
        assert peer.read(1) == b""
        hung_up.set()

    fake.will(be_silent)

    with pytest.raises(errors.EngineTimeout, match=r"did not answer within 0\.05 s"):
        Engine(fake.host, timeout_s=0.05).system.info()

    assert hung_up.wait(10)


def test_the_deadline_is_for_the_whole_call_however_steadily_bytes_trickle_in(fake: FakeEngine) -> None:
    given_up = threading.Event()

    def trickle(peer: Peer) -> None:
        peer.send(head("200 OK", "Content-Length: 1000000"))
        while not given_up.wait(0.02):
            peer.send(b" ")

    fake.will(trickle)

    with pytest.raises(errors.EngineTimeout):
        Engine(fake.host, timeout_s=0.2).system.info()
    given_up.set()


def test_work_that_takes_its_time_is_waited_for(fake: FakeEngine) -> None:
    def take_long(peer: Peer) -> None:
        threading.Event().wait(0.2)
        peer.send(reply("204 No Content"))

    fake.will(take_long)

    assert Engine(fake.host, timeout_s=0.05).containers.stop("web") is True


def test_no_socket_says_so_and_what_to_do(tmp_path: Path) -> None:
    engine = Engine(f"unix://{tmp_path}/none")

    with pytest.raises(errors.EngineUnavailable, match=r"there is no such socket; start the engine"):
        engine.system.ping()


def test_a_socket_that_nobody_listens_to_says_so(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "s"))

    with pytest.raises(errors.EngineUnavailable, match="nothing listens on the socket"):
        Engine(f"unix://{tmp_path}/s").system.ping()


def test_tcp_works_too_and_a_closed_port_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"tcp://127.0.0.1:{listener.getsockname()[1]}"

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(4096)
                sock.sendall(reply("200 OK", b"OK"))

        thread = threading.Thread(target=serve)
        thread.start()
        Engine(host).system.ping()
        thread.join()

    with pytest.raises(errors.EngineUnavailable, match="connection refused"):
        Engine(host).system.ping()


def test_a_full_backlog_is_waited_for_until_the_deadline(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
        busy.bind(str(tmp_path / "s"))
        busy.listen(0)
        first.connect(str(tmp_path / "s"))

        with pytest.raises(errors.EngineTimeout):
            Engine(f"unix://{tmp_path}/s", timeout_s=0.05).system.ping()


@pytest.mark.parametrize("name", ["", " ", "..", "a/../b", "a//b", "/"])
def test_a_name_cannot_lead_to_another_resource(fake: FakeEngine, name: str) -> None:
    with pytest.raises(errors.InvalidArgument, match="not a name"):
        Engine(fake.host).containers.remove(name)


def test_all_calls_ask_for_the_documented_paths(fake: FakeEngine) -> None:
    fake.will(*[reply("200 OK", b'{"Id":"x"}')] * 18, *[reply("200 OK", b"[]")] * 2)
    engine = Engine(fake.host)
    engine.containers.restart("web", timeout_s=0)
    engine.containers.kill("web")
    engine.containers.kill("web", "TERM")
    engine.containers.pause("web")
    engine.containers.unpause("web")
    engine.containers.rename("web", "other")
    engine.containers.remove("web", force=True, volumes=True)
    engine.containers.resize("web", height=24, width=80)
    engine.execs.create("web", {"Cmd": ["true"]})
    engine.execs.start_detached("x")
    engine.execs.inspect("x")
    engine.execs.resize("x", height=24, width=80)
    engine.images.inspect("localhost:5000/a/b:c")
    engine.images.tag("busybox", "localhost:5000/a/b")
    engine.images.tag("busybox", "a:1")
    engine.system.ping()
    engine.system.version()
    engine.system.info()
    engine.images.history("busybox")
    engine.images.remove("busybox", force=True)

    assert [line for line, _ in fake.requests] == [
        "POST /containers/web/restart?t=0",
        "POST /containers/web/kill",
        "POST /containers/web/kill?signal=TERM",
        "POST /containers/web/pause",
        "POST /containers/web/unpause",
        "POST /containers/web/rename?name=other",
        "DELETE /containers/web?force=1&v=1",
        "POST /containers/web/resize?h=24&w=80",
        "POST /containers/web/exec",
        "POST /exec/x/start",
        "GET /exec/x/json",
        "POST /exec/x/resize?h=24&w=80",
        "GET /images/localhost:5000/a/b:c/json",
        "POST /images/busybox/tag?repo=localhost%3A5000%2Fa%2Fb&tag=latest",
        "POST /images/busybox/tag?repo=docker.io%2Flibrary%2Fa&tag=1",
        "GET /_ping",
        "GET /version",
        "GET /info",
        "GET /images/busybox/history",
        "DELETE /images/busybox?force=1",
    ]


def test_an_exec_without_an_id_is_a_protocol_error(fake: FakeEngine) -> None:
    fake.will(reply("201 Created", b"{}"))

    with pytest.raises(errors.ProtocolError, match="no ID"):
        Engine(fake.host).execs.create("web", {})

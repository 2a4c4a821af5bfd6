"""``run``, ``start -a``, ``exec``: the calls in their order, the streams byte for byte, Docker's statuses."""

from __future__ import annotations

import json
import os
import signal
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Rundlet, failure, json_reply
from tests.unit.sdk.fake_engine import FakeEngine, Peer, head, reply

ID = "c" * 64
CREATED = json_reply({"Id": ID, "Warnings": []}, "201 Created")
NO_CONTENT = reply("204 No Content")
UPGRADED = head("101 UPGRADED", "Connection: Upgrade", "Upgrade: tcp")


def frame(stream: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(data)) + data


def exited(status: int, **more: Any) -> bytes:
    return json_reply({"StatusCode": status, **more})


def attached(*pieces: bytes) -> bytes:
    return UPGRADED + b"".join(pieces)


def calls(engine: FakeEngine) -> list[str]:
    return [f"{peer.method} {peer.target.partition('?')[0].replace(ID, 'ID')}" for peer in engine.peers]


@pytest.fixture
def typed() -> Iterator[Callable[[bytes], None]]:
    """Puts bytes on descriptor 0, and then its end."""
    saved = os.dup(0)

    def type_in(data: bytes) -> None:
        read, write = os.pipe()
        os.dup2(read, 0)
        os.close(read)
        with os.fdopen(write, "wb") as pipe:
            pipe.write(data)

    yield type_in
    os.dup2(saved, 0)
    os.close(saved)


def test_run_attaches_and_waits_before_it_starts(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(CREATED, attached(frame(1, b"out\n"), frame(2, b"err\n")), exited(3), NO_CONTENT)

    assert rundlet("run", "busybox", "sh") == (3, "out\n", "err\n")
    assert calls(engine) == [
        "POST /containers/create",
        "POST /containers/ID/attach",
        "POST /containers/ID/wait",
        "POST /containers/ID/start",
    ]
    assert "condition=next-exit" in engine.peers[2].target


def test_run_rm_waits_for_the_removal(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(CREATED, attached(), exited(0), NO_CONTENT)

    assert rundlet("run", "--rm", "--name", "web", "busybox").status == 0
    assert engine.peers[0].target == "/containers/create?name=web"
    assert "condition=removed" in engine.peers[2].target
    assert json.loads(engine.requests[0][1])["HostConfig"]["AutoRemove"] is True


def test_run_d_starts_and_prints_the_id(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(CREATED, NO_CONTENT)

    assert rundlet("run", "-d", "busybox") == (0, f"{ID}\n", "")
    assert calls(engine) == ["POST /containers/create", "POST /containers/ID/start"]
    assert json.loads(engine.requests[0][1])["AttachStdout"] is False


def test_warnings_of_the_engine_are_told(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(json_reply({"Id": ID, "Warnings": ["loopback only"]}, "201 Created"), NO_CONTENT)

    assert rundlet("run", "-d", "busybox").err == "WARNING: loopback only\n"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (failure("400 Bad Request", 'exec: "x": executable file not found in $PATH', exitCode=127), 127),
        (failure("400 Bad Request", "exec failed", exitCode=126), 126),
        (failure("500 Internal Server Error", "no cgroup"), 125),
        (failure("500 Internal Server Error", "no cgroup", exitCode=128), 125),
        # engines that have no field for it say it in these words
        (failure("400 Bad Request", 'exec: "x": executable file not found in $PATH: unknown'), 127),
        (failure("400 Bad Request", 'exec: "/x": permission denied: unknown'), 126),
    ],
)
@pytest.mark.parametrize("flags", [(), ("--rm",), ("-d",)])
def test_a_container_that_cannot_be_started_has_dockers_status(
    rundlet: Rundlet, engine: FakeEngine, answer: bytes, status: int, flags: tuple[str, ...]
) -> None:
    before = [] if "-d" in flags else [attached(), exited(status)]
    engine.will(CREATED, *before, answer)

    outcome = rundlet("run", *flags, "busybox", "x")

    assert (outcome.status, outcome.out) == (status, "")
    assert outcome.err.startswith("rundlet: ")
    assert outcome.err.count("\n") == 1


def test_a_container_that_cannot_be_created_is_125(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(failure("409 Conflict", 'Conflict. The container name "/web" is already in use'))

    assert rundlet("run", "--name", "web", "busybox") == (
        125,
        "",
        'rundlet: Conflict. The container name "/web" is already in use\n',
    )


def test_an_image_that_is_missing_is_got_and_the_create_repeated(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(
        failure("404 Not Found", "No such image: rundlet/host:latest"),
        reply("200 OK", b'{"status":"Copying python"}\r\n{"status":"x","progressDetail":{"current":1}}\r\n'),
        CREATED,
        NO_CONTENT,
    )

    outcome = rundlet("run", "-d", "rundlet/host")

    assert outcome == (0, f"{ID}\n", "Unable to find image 'rundlet/host:latest' locally\nCopying python\n")
    assert calls(engine)[1] == "POST /images/create"
    assert "fromImage=docker.io%2Frundlet%2Fhost&tag=latest" in engine.peers[1].target


@pytest.mark.parametrize(
    ("flags", "answers", "status"),
    [
        (("--pull", "never"), (failure("404 Not Found", "No such image: b:latest"),), 125),
        (
            ("--quiet",),
            (failure("404 Not Found", "No such image: b:latest"), failure("404 Not Found", "no pulls")),
            125,
        ),
        (("--pull", "always"), (reply("200 OK", b'{"status":"ok"}\r\n'), CREATED, NO_CONTENT), 0),
    ],
)
def test_pull_says_when_an_image_is_got(
    rundlet: Rundlet, engine: FakeEngine, flags: tuple[str, ...], answers: tuple[bytes, ...], status: int
) -> None:
    engine.will(*answers)

    assert rundlet("run", "-d", *flags, "b").status == status
    assert len(engine.peers) == len(answers)


def test_stdin_goes_to_the_container_to_its_end_and_output_goes_on(
    rundlet: Rundlet, engine: FakeEngine, typed: Callable[[bytes], None]
) -> None:
    """The half-close means the end of stdin, and nothing else."""

    def echo(peer: Peer) -> None:
        peer.send(UPGRADED)
        data = peer.read(1 << 20)
        peer.send(frame(1, data) + frame(1, b"after the end\n"))

    engine.will(CREATED, echo, exited(0), NO_CONTENT)
    typed(b"x" * 60_000 + b"\n")

    assert rundlet("run", "-i", "busybox", "cat").out == "x" * 60_000 + "\nafter the end\n"


def test_run_without_i_ends_stdin_at_once(
    rundlet: Rundlet, engine: FakeEngine, typed: Callable[[bytes], None]
) -> None:
    def tell(peer: Peer) -> None:
        peer.send(UPGRADED)
        peer.send(frame(1, b"%d bytes" % len(peer.read(100))))

    engine.will(CREATED, tell, exited(0), NO_CONTENT)
    typed(b"not for the container")

    assert rundlet("run", "busybox").out == "0 bytes"


def test_an_engine_that_dies_is_told(rundlet: Rundlet, engine: FakeEngine) -> None:
    def die(peer: Peer) -> None:
        peer.send(UPGRADED + frame(1, b"cut")[:-1])

    engine.will(CREATED, die, exited(0), NO_CONTENT)

    outcome = rundlet("run", "busybox")

    assert outcome.status == 125
    assert "the stream ended inside a frame" in outcome.err


def test_a_failed_wait_is_125(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(CREATED, attached(), exited(0, Error={"Message": "the disk is gone"}), NO_CONTENT)

    assert rundlet("run", "busybox") == (125, "", "rundlet: the disk is gone\n")


def test_signals_are_passed_on_by_name(rundlet: Rundlet, engine: FakeEngine) -> None:
    killed = threading.Event()

    def kill(peer: Peer) -> None:
        peer.send(NO_CONTENT)
        killed.set()

    started = threading.Event()

    def start(peer: Peer) -> None:
        peer.send(NO_CONTENT)
        started.set()

    def attach(peer: Peer) -> None:
        peer.send(UPGRADED)
        assert started.wait(5)
        os.kill(os.getpid(), signal.SIGTERM)
        assert killed.wait(5)

    engine.will(CREATED, attach, exited(143), start, kill)

    assert rundlet("run", "busybox").status == 143
    assert "signal=TERM" in engine.peers[4].target


def test_signals_have_their_usual_meaning_afterwards(rundlet: Rundlet, engine: FakeEngine) -> None:
    before = signal.getsignal(signal.SIGTERM)
    engine.will(CREATED, attached(), exited(0), NO_CONTENT)

    rundlet("run", "busybox")

    assert signal.getsignal(signal.SIGTERM) is before


def test_the_id_goes_into_the_cidfile(rundlet: Rundlet, engine: FakeEngine, tmp_path: Path) -> None:
    engine.will(CREATED, NO_CONTENT)
    cidfile = tmp_path / "cid"

    rundlet("run", "-d", "--cidfile", str(cidfile), "busybox")

    assert cidfile.read_text() == ID


def test_a_cidfile_that_is_there_already_keeps_the_container_from_being_made(
    rundlet: Rundlet, engine: FakeEngine, tmp_path: Path
) -> None:
    cidfile = tmp_path / "cid"
    cidfile.write_text("another")

    outcome = rundlet("run", "--cidfile", str(cidfile), "busybox")

    assert outcome.status == 125
    assert str(cidfile) in outcome.err
    assert engine.peers == []


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (("run", "-d", "-a", "stdout", "b"), "conflicting options: cannot specify both --attach and --detach"),
        (("run", "-it", "b"), "the input device is not a TTY"),
        (("exec", "-it", "c", "sh"), "the input device is not a TTY"),
        (("run", "-t", "-i", "--detach-keys", "ctrl-ä", "b"), "the input device is not a TTY"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(
    rundlet: Rundlet, engine: FakeEngine, typed: Callable[[bytes], None], argv: tuple[str, ...], line: str
) -> None:
    typed(b"")

    assert rundlet(*argv).err == f"rundlet: {line}\n"
    assert engine.peers == []


def test_create_prints_the_id_and_starts_nothing(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(CREATED)

    assert rundlet("create", "busybox", "true") == (0, f"{ID}\n", "")


INSPECTED = json_reply({"Id": ID, "Config": {"Tty": False, "OpenStdin": False}, "State": {"Running": True},
                        "HostConfig": {"AutoRemove": False}})  # fmt: skip


def test_create_has_docker_status_1_for_what_the_engine_refuses(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(failure("409 Conflict", "the name is in use"))

    assert rundlet("create", "--name", "web", "busybox") == (1, "", "rundlet: the name is in use\n")


def test_start_a_attaches_and_has_the_containers_status(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(INSPECTED, attached(frame(1, b"again\n")), exited(5), NO_CONTENT)

    assert rundlet("start", "-a", "web") == (5, "again\n", "")
    assert calls(engine)[1:] == [
        "POST /containers/ID/attach",
        "POST /containers/ID/wait",
        "POST /containers/ID/start",
    ]


def test_attach_waits_first_and_starts_nothing(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(INSPECTED, exited(0), attached(frame(1, b"on\n")))

    assert rundlet("attach", "web").out == "on\n"
    assert calls(engine)[1:] == ["POST /containers/ID/wait", "POST /containers/ID/attach"]


def test_exec_has_the_programs_output_and_status(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(
        json_reply({"Id": "e" * 64}, "201 Created"),
        attached(frame(1, b"out"), frame(2, b"err")),
        json_reply({"ExitCode": 126}),
    )

    outcome = rundlet("exec", "-e", "A=1", "-u", "1", "-w", "/tmp", "--privileged", "web", "ls", "-l")

    assert outcome == (126, "out", "err")
    assert json.loads(engine.requests[0][1]) == {
        "AttachStdout": True,
        "AttachStderr": True,
        "Cmd": ["ls", "-l"],
        "Env": ["A=1"],
        "Privileged": True,
        "User": "1",
        "WorkingDir": "/tmp",
    }


def test_exec_d_says_nothing(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(json_reply({"Id": "e" * 64}, "201 Created"), reply("200 OK"))

    assert rundlet("exec", "-d", "web", "true") == (0, "", "")
    assert json.loads(engine.requests[1][1])["Detach"] is True


def test_exec_in_no_container_is_1(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(failure("404 Not Found", "No such container: web"))

    assert rundlet("exec", "web", "true") == (1, "", "rundlet: No such container: web\n")


@contextmanager
def _closed_stdout() -> Iterator[None]:
    saved = os.dup(1)
    read, write = os.pipe()
    os.dup2(write, 1)
    os.close(write)
    os.close(read)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)


def test_a_reader_that_has_gone_ends_the_client(engine: FakeEngine, rundlet: Rundlet) -> None:
    engine.will(INSPECTED, head("200 OK") + frame(1, b"x" * 100))

    with _closed_stdout():
        outcome = rundlet("logs", "web")

    assert outcome.status == 128 + signal.SIGPIPE


def test_wait_prints_a_status_a_line(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(exited(1), failure("404 Not Found", "No such container: b"), exited(0))

    assert rundlet("wait", "a", "b", "c") == (1, "1\n0\n", "rundlet: No such container: b\n")


def test_inspect_looks_for_containers_and_then_images(rundlet: Rundlet, engine: FakeEngine) -> None:
    missing = failure("404 Not Found", "No such thing")
    engine.will(json_reply({"Id": "1"}), missing, json_reply({"Id": "2"}), missing, missing)

    outcome = rundlet("inspect", "--format", "{{.Id}}", "web", "busybox", "nothing")

    assert outcome == (1, "1\n2\n", "rundlet: No such object: nothing\n")


def test_inspect_prints_a_list(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(json_reply({"Id": "1", "Name": "/ä"}))

    assert (
        rundlet("inspect", "--type", "container", "web").out
        == '[\n    {\n        "Id": "1",\n        "Name": "/ä"\n    }\n]\n'
    )

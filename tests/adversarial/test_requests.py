"""Requests that no client sends: each gets an answer of Docker's kind, and leaves nothing behind."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
import types
import typing
from collections.abc import Iterator
from typing import Any

import pytest

from rundlet.wire.documents import ContainerCreateRequest, ExecCreateRequest
from tests.adversarial.arena import HOST_IMAGE, PRELUDE, Arena
from tests.support.engines import wait_until

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(120)]

TEXTS = ("", "\0", "a\0b", "/a\0b", "x" * 70_000, "/../..", "-1", "a:b:c:d", "\u202e\n=%s")
NUMBERS = (-1, 1, 2**31, 2**63 - 1, -(2**63), 2**63, 10**30, 1.5)
OTHERS: tuple[Any, ...] = (None, True, [], {}, [None], [[]], [{}])


def hostile(hint: Any) -> Iterator[Any]:
    """Values for a field annotated like this: of the right type with hostile contents, and of wrong types."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        yield from hostile(next(each for each in arguments if each is not types.NoneType))
        return
    yield from OTHERS
    if hint in (str, Any):
        yield from TEXTS
    elif hint is int:
        yield from NUMBERS
    elif origin is list:
        yield from ([value] for value in hostile(arguments[0]))
    elif origin is dict:
        yield from ({"key": value} for value in hostile(arguments[1]))
        yield from ({text: {} if dataclasses.is_dataclass(arguments[1]) else "x"} for text in TEXTS)
    elif dataclasses.is_dataclass(hint):
        yield from ({name: value} for name, each in typing.get_type_hints(hint).items() for value in hostile(each))


def documents(cls: type) -> Iterator[dict[str, Any]]:
    return ({name: value} for name, hint in typing.get_type_hints(cls).items() for value in hostile(hint))


def walks_the_whole_disk(document: dict[str, Any]) -> bool:
    """A device that is a directory stands for everything in it: right, and slow."""
    return any(text in json.dumps(document.get("HostConfig") or {}) for text in ('"PathOnHost": "/../.."',))


def test_every_field_of_create_with_every_hostile_value(arena: Arena) -> None:
    """Each container that can be created is started and removed, and that is always possible."""
    client = arena.daemon.client
    wrong: list[tuple[Any, ...]] = []
    numbered = [each for each in documents(ContainerCreateRequest) if not walks_the_whole_disk(each)]
    for number, document in enumerate(numbered):
        host = {"NetworkMode": "none", **(document.get("HostConfig") or {})} if _is_object(document) else None
        body = {"Image": "busybox", "Cmd": ["true"], **document, **({} if host is None else {"HostConfig": host})}
        created = client.post("/containers/create", body)
        if created.status != 201:
            if created.status not in (400, 404, 409):
                wrong.append(("create", document, created.status, created.body))
            continue
        container = created.json()["Id"]
        if number % 3 == 0:
            started = client.post(f"/containers/{container}/start")
            # 500 is for what this machine refuses (a capability that is not there), never for a surprise.
            if started.status not in (204, 400, 404, 409, 500) or b"Error:" in started.body:
                wrong.append(("start", document, started.status, started.body))
        if (removed := client.delete(f"/containers/{container}", force="1", v="1")).status != 204:
            wrong.append(("remove", document, removed.status, removed.body))
    assert not wrong, wrong[:5]
    assert client.get("/containers/json", all="1").json() == []


def _is_object(document: dict[str, Any]) -> bool:
    return isinstance(document.get("HostConfig", {}), dict)


def test_every_field_of_exec_with_every_hostile_value(arena: Arena) -> None:
    client = arena.daemon.client
    container = arena.spawn("busybox", ["sleep", "600"])
    for document in documents(ExecCreateRequest):
        created = client.post(f"/containers/{container}/exec", {"Cmd": ["true"], "AttachStdout": True, **document})
        assert created.status in (201, 400), (document, created)
        if created.status == 201:
            started = client.post(f"/exec/{created.json()['Id']}/start", {"Detach": False})
            assert started.status in (200, 400, 409, 500), (document, started)
            assert b"internal error" not in started.body, (document, started)
    assert arena.state(container)["Running"]


@pytest.mark.parametrize(
    ("command", "environment"),
    [
        (["echo", "x" * 200_000], []),
        (["echo", *["x" * 1000] * 3000], []),
        (["echo"], [f"V{number}={'x' * 1000}" for number in range(3000)]),
    ],
    ids=["one argument", "all arguments", "environment"],
)
def test_more_than_the_kernel_takes_is_one_clear_error(
    arena: Arena, command: list[str], environment: list[str]
) -> None:
    container = arena.create("busybox", command, Env=environment)
    reply = arena.start(container)
    assert reply.status == 400
    assert "argument list too long" in reply.message


def test_text_of_every_kind_arrives_as_it_was_sent(arena: Arena) -> None:
    text = "\u202eürün \U0001f980 \x01\x7f\n\t\\\"'"
    script = f"{PRELUDE}\nimport sys; tell([sys.argv[1], os.environ['TEXT'], os.environ['TWICE']])"
    variables = [f"TEXT={text}", "TWICE=1", "TWICE=2"]
    container = arena.spawn(HOST_IMAGE, ["python3", "-c", script, text], Env=variables, Labels={text: text})
    assert arena.outcome(container).json() == [text, text, "2"]
    assert arena.daemon.client.get(f"/containers/{container}/json").json()["Config"]["Labels"] == {text: text}


GARBAGE = {
    "noise": os.urandom(4096),
    "TLS": bytes.fromhex("16030100fa010000f60303") + os.urandom(240),
    "NULs": bytes(5000),
    "HTTP 0.9": b"GET /\r\n\r\n",
    "no host": b"GET /_ping HTTP/1.1\r\n\r\n",
    "negative length": b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    "endless length": b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 50 + b"\r\n\r\n",
    "no chunk": b"POST /containers/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    "endless header": b"GET /_ping HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 1_000_000,
    "many headers": b"GET /_ping HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 50_000 + b"\r\n",
    "pipelined": b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n" * 2000,
    "nested": b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 99999\r\n\r\n" + b"[" * 99999,
}  # fmt: skip


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_no_request_costs_its_connection_and_nothing_else(arena: Arena, name: str) -> None:
    with arena.connect() as sock:
        try:
            sock.sendall(GARBAGE[name])
            sock.shutdown(1)
            while sock.recv(65536):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert arena.daemon.client.get("/_ping").status == 200


def test_a_thousand_stalled_clients_hold_up_nobody(arena: Arena) -> None:
    """Half a head, half a body, or a session of which nothing is read; then they all vanish."""
    container = arena.spawn("busybox", ["sh", "-c", "while :; do echo output; done"], OpenStdin=True)
    before = arena.descriptors()
    stalled = [arena.open(f"POST /containers/{container}/attach?stream=1&stdin=1&stdout=1") for _ in range(400)]
    for number in range(600):
        stalled.append(sock := arena.connect())
        head = b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        sock.sendall(head + (b'Content-Length: 5000000\r\n\r\n{"Image":"' if number % 2 else b"Conte"))
    for _ in range(3):
        assert arena.shell("echo fine").stdout == "fine\n"
    for sock in stalled:
        sock.close()
    wait_until(lambda: arena.descriptors() <= before + 5, "the engine to let go of its clients", 20)


def test_a_burst_of_clients_is_served(arena: Arena) -> None:
    """Each with a timeout: such a client fails at once when there is no place in the queue."""
    failures: list[OSError] = []

    def ping() -> None:
        try:
            assert arena.daemon.client.get("/_ping").status == 200
        except OSError as error:
            failures.append(error)

    clients = [threading.Thread(target=ping) for _ in range(300)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert not failures

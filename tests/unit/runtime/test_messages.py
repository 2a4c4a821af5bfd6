"""The protocol's codec: what goes in comes out, and nothing else comes in."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from rundlet.errors import ProtocolError
from rundlet.runtime import messages as m

STATE = m.TaskState("c", "e", 12, 345, m.Stdio(True, True, (24, 80)), m.ExitStatus(137, 9, True, 5))
EVERY_MESSAGE: list[m.Message] = [
    m.Hello(1),
    m.Start(2, "c", {"root": {"path": "/r"}}, m.Stdio(), "/s", m.Overlay(["/l"], "/u", "/w", True), '{"a":1}'),
    m.Start(2, "c", {}, m.Stdio(stdin=True), "/s"),
    m.Exec(3, "c", "e", {"args": ["true"]}, m.Stdio(terminal=True, console_size=(1, 2))),
    m.Reopen(4, "c"),
    m.Reopen(4, "c", "e"),
    m.Signal(5, "c", 15),
    m.CloseStdin(6, "c", "e"),
    m.Forget(7, "c", "e"),
    m.Delete(8, "c", True),
    m.Shutdown(9),
    m.Welcome(10, 1, 99, [STATE, m.TaskState("d", None, 1, 2, m.Stdio())]),
    m.Started(11, STATE),
    m.Done(12),
    m.Failed(13, "no-program", "exec", "exec: “ü”", 2),
    m.Exited(STATE),
]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with_peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for sock in with_peer:
        sock.setblocking(False)
    yield with_peer
    for sock in with_peer:
        sock.close()


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("message", EVERY_MESSAGE, ids=lambda message: type(message).__name__)
def test_every_message_survives_the_way(message: m.Message) -> None:
    assert m.decode(m.encode(message)) == message


def test_every_message_is_tested_here() -> None:
    assert {type(message) for message in EVERY_MESSAGE} == set(m.Message.__args__)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"7",
        b'{"type":["Hello"],"serial":1}',
        b'{"type":"Hello","serial":null}',
        b'{"type":"Hello","serial":true}',
        b'{"type":"Hello","serial":1.0}',
        b'{"type":"Stdio"}',
        b'{"type":"Signal","serial":1,"container_id":"c","signal":"9"}',
        b'{"type":"Exec","serial":1,"container_id":"c","exec_id":"e","process":[],"stdio":{}}',
        b'{"type":"Exec","serial":1,"container_id":"c","exec_id":"e","process":{},"stdio":{"terminal":1}}',
        b'{"type":"Exec","serial":1,"container_id":"c","exec_id":"e","process":{},"stdio":{"more":1}}',
        b'{"type":"Exec","serial":1,"container_id":"c","exec_id":"e","process":{},"stdio":{"console_size":[1]}}',
        b'{"type":"Welcome","serial":1,"version":1,"pid":1,"tasks":[7]}',
        b"\xff\xfe\x00",
    ],
)
def test_what_is_not_exactly_a_message_is_an_error_of_the_protocol(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="not a message"):
        m.decode(data)


@pytest.mark.parametrize("size", [10, m.INLINE_LIMIT, 3 * m.INLINE_LIMIT])
def test_descriptors_come_along_whatever_the_length(pair: tuple[socket.socket, socket.socket], size: int) -> None:
    one, other = pair
    read_end, write_end = os.pipe()
    before = open_descriptors()
    message = m.Start(1, "c", {"filler": "x" * size}, m.Stdio(), "/s")
    m.send(one, message, [write_end])
    received, fds = m.receive(other) or (None, [])
    assert received == message
    (fd,) = fds
    assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    os.write(fd, b"x")
    assert os.read(read_end, 1) == b"x"
    os.close(fd)
    assert open_descriptors() == before
    os.close(read_end)
    os.close(write_end)


def test_nothing_there_and_the_end_differ(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    with pytest.raises(BlockingIOError):
        m.receive(other)
    one.close()
    assert m.receive(other) is None


def _packet(one: socket.socket, data: bytes, fds: list[int]) -> None:
    socket.send_fds(one, [data], fds)


@pytest.mark.parametrize("data", [b"J{", b"X", b"M", b"J" + b" " * (m.INLINE_LIMIT + 10)])
def test_a_bad_packet_leaves_no_descriptor_open(pair: tuple[socket.socket, socket.socket], data: bytes) -> None:
    one, other = pair
    read_end, write_end = os.pipe()
    before = open_descriptors()
    _packet(one, data, [read_end, write_end])
    with pytest.raises(ProtocolError):
        m.receive(other)
    assert open_descriptors() == before
    os.close(read_end)
    os.close(write_end)


def test_a_memfd_that_could_change_is_refused(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    memfd = os.memfd_create("x", os.MFD_ALLOW_SEALING)
    os.write(memfd, m.encode(m.Hello(1)))
    _packet(one, b"M", [memfd])
    with pytest.raises(ProtocolError, match="sealed"):
        m.receive(other)
    fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, 0xF)
    _packet(one, b"M", [memfd])
    assert m.receive(other) == (m.Hello(1), [])
    os.close(memfd)


def test_a_full_queue_does_not_block(pair: tuple[socket.socket, socket.socket]) -> None:
    one, _ = pair
    message: Any = m.Reopen(1, "c" * 10_000)
    with pytest.raises(BlockingIOError):
        _send_forever(one, message)


def _send_forever(sock: socket.socket, message: m.Message) -> None:
    while True:
        m.send(sock, message)

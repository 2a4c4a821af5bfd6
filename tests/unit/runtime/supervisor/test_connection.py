"""A connection never waits for its peer and never fails whoever sends."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator

import pytest

from rundlet.runtime.messages import Done
from rundlet.runtime.supervisor.connection import QUEUE_LIMIT, Connection
from rundlet.runtime.supervisor.loop import Loop


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def test_a_peer_that_does_not_read_is_disconnected(ends: tuple[socket.socket, socket.socket]) -> None:
    closed: list[Connection] = []
    connection = Connection(Loop(), ends[0], lambda *_: None, closed.append)
    for serial in range(QUEUE_LIMIT * 3):
        connection.send(Done(serial))
    assert closed == [connection]
    assert not connection.is_open


def test_want_of_descriptors_costs_the_connection_and_leaks_none(
    ends: tuple[socket.socket, socket.socket], capfd: pytest.CaptureFixture[str]
) -> None:
    connection = Connection(Loop(), ends[0], lambda *_: None, lambda _: None)
    while not connection._queue:
        connection.send(Done(0))
    before = len(os.listdir("/proc/self/fd"))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = os.open(os.devnull, os.O_RDONLY)
    os.close(spare)
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare + 1, limits[1]))
    try:
        connection.send(Done(1), [1, 2])  # there is room for one copy
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert not connection.is_open
    assert len(os.listdir("/proc/self/fd")) == before - 1, "the connection's own"
    assert "Too many open files" in capfd.readouterr().err

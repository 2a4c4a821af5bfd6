"""Sockets of the daemon: who may connect, what is taken over, what is left behind."""

from __future__ import annotations

import contextlib
import grp
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rundlet.daemon.listeners import bound
from rundlet.errors import InvalidArgument


@pytest.fixture
def path() -> Iterator[Path]:
    """In a short directory: a socket's path has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="rundlet-") as directory:
        yield Path(directory) / "run" / "rundlet.sock"


def listen(path: Path) -> contextlib.AbstractContextManager[list[socket.socket]]:
    return bound((f"unix://{path}",), None)


def test_unix_socket_is_for_owner_and_group_only(path: Path) -> None:
    with listen(path) as (sock,):
        sock.listen()
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another group")
def test_unix_socket_belongs_to_the_group_asked_for(path: Path) -> None:
    group = grp.getgrall()[-1]
    with bound((f"unix://{path}",), group.gr_name):
        assert path.stat().st_gid == group.gr_gid


def test_unknown_group_is_refused(path: Path) -> None:
    with pytest.raises(InvalidArgument, match="no group"), bound((f"unix://{path}",), "no-such-group"):
        pass


def test_socket_is_gone_afterwards(path: Path) -> None:
    with listen(path):
        assert path.exists()
    assert not path.exists()


def test_stale_socket_of_a_killed_daemon_is_taken_over(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with listen(path) as (sock,):
        sock.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_socket_on_which_another_process_listens_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(InvalidArgument, match="another process"), listen(path):
            pass
    assert path.exists()


def test_file_that_is_no_socket_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("precious")
    with pytest.raises(InvalidArgument, match="no socket"), listen(path):
        pass
    assert path.read_text() == "precious"


def test_socket_of_a_later_daemon_is_not_removed(path: Path) -> None:
    with listen(path):
        path.rename(path.with_suffix(".moved"))
        with socket.socket(socket.AF_UNIX) as later:
            later.bind(str(path))
    assert path.exists()


def test_tcp_listens_on_loopback() -> None:
    with bound(("tcp://127.0.0.1:0", "tcp://localhost:0"), None) as sockets:
        assert [sock.getsockname()[0] for sock in sockets] == ["127.0.0.1", "127.0.0.1"]


@pytest.mark.parametrize("host", ["tcp://0.0.0.0:2375", "tcp://192.0.2.1:2375", "tcp://[::]:2375"])
def test_tcp_off_loopback_is_refused(host: str) -> None:
    with pytest.raises(InvalidArgument, match="loopback"), bound((host,), None):
        pass


@pytest.mark.parametrize(
    "host",
    [
        *("", "x", "unix://", "unix://relative", f"unix:///{'x' * 200}", "fd://", "tcp://", "tcp://x:1"),
        *("tcp://127.0.0.1", "tcp://127.0.0.1:x", "tcp://127.0.0.1:99999", "tcp://127.0.0.1:1/path"),
    ],
)
def test_other_addresses_are_refused_by_name(host: str) -> None:
    with pytest.raises(InvalidArgument, match="cannot listen on"), bound((host,), None):
        pass


def test_nothing_is_left_when_one_of_several_addresses_cannot_be_had(path: Path) -> None:
    with pytest.raises(InvalidArgument), bound((f"unix://{path}", "tcp://0.0.0.0:1"), None):
        pass
    assert not path.exists()

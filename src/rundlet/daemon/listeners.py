"""Bound sockets for the addresses that a daemon is to listen on.

Whoever may connect is as good as root on this machine. A Unix socket has mode 0660 from its first moment on;
TCP is refused off loopback, because nothing here can tell one TCP client from another yet.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import ipaddress
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from rundlet.errors import InvalidArgument


@contextlib.contextmanager
def bound(hosts: tuple[str, ...], group: str | None) -> Iterator[list[socket.socket]]:
    """Sockets for ``hosts``, closed in the end, and the paths of those of ours removed.

    Raises :class:`InvalidArgument` for an address that cannot be had, with the reason.
    """
    with contextlib.ExitStack() as undo:
        yield [undo.enter_context(_bound(host, group)) for host in hosts]


def _bound(host: str, group: str | None) -> contextlib.AbstractContextManager[socket.socket]:
    scheme, separator, address = host.partition("://")
    if scheme == "unix" and address.startswith("/"):
        return _unix(Path(address), group)
    if scheme == "tcp" and separator:
        return _tcp(host)
    raise InvalidArgument(f'cannot listen on "{host}": neither unix:///path nor tcp://address:port')


@contextlib.contextmanager
def _unix(path: Path, group: str | None) -> Iterator[socket.socket]:
    gid = -1 if group is None else _gid(group)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(path)
    with socket.socket(socket.AF_UNIX) as sock:
        mask = os.umask(0o177)
        try:
            sock.bind(str(path))
        except OSError as error:
            raise InvalidArgument(f"cannot listen on {path}: {error.strerror or error}") from error
        finally:
            os.umask(mask)
        inode = path.stat().st_ino
        try:
            os.chown(path, -1, gid)
            path.chmod(0o660)
            yield sock
        finally:
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == inode:  # not the socket of a daemon that came after
                    path.unlink()


def _remove_stale(path: Path) -> None:
    """Remove the socket that a killed daemon left behind; leave anything else alone."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise InvalidArgument(f"cannot listen on {path}: it exists and is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
            raise InvalidArgument(f"cannot listen on {path}: another process does")
    path.unlink()


def _gid(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise InvalidArgument(f'no group "{group}" on this machine') from None


@contextlib.contextmanager
def _tcp(host: str) -> Iterator[socket.socket]:
    try:
        parts = urlsplit(host)
        address = ipaddress.ip_address("127.0.0.1" if parts.hostname == "localhost" else parts.hostname or "")
        port = parts.port
    except ValueError as error:
        raise InvalidArgument(f'cannot listen on "{host}": {error}') from error
    if port is None or parts.path not in ("", "/"):
        raise InvalidArgument(f'cannot listen on "{host}": an address and a port are needed')
    if not address.is_loopback:
        raise InvalidArgument(
            f'cannot listen on "{host}": every TCP client is root on this machine, so only loopback addresses '
            "are allowed; forward the Unix socket by ssh instead"
        )
    with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((str(address), port))
        except OSError as error:
            raise InvalidArgument(f"cannot listen on {host}: {error.strerror or error}") from error
        yield sock

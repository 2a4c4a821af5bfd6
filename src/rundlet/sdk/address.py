"""Where an engine listens: ``unix:///run/rundlet/rundlet.sock`` or ``tcp://host:port``.

``RUNDLET_HOST`` names another engine than this machine's own. ``DOCKER_HOST`` is not read: a program that
means to run containers on Rundlet shall not end up on Docker because of a variable set for another tool.
"""

from __future__ import annotations

import errno
import os

from rundlet.errors import EngineUnavailable, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

__all__ = ["DEFAULT", "ENVIRONMENT_VARIABLE", "Address", "find", "unreachable"]

DEFAULT: Final = "unix:///run/rundlet/rundlet.sock"
ENVIRONMENT_VARIABLE: Final = "RUNDLET_HOST"

_DEFAULT_PORT = 2375  # Docker's, without TLS
_MAX_UNIX_PATH_BYTES = 107  # sun_path of unix(7), with its final NUL


class Address:
    """A parsed address. ``path`` is set for a unix socket, ``host`` and ``port`` for tcp; ``str`` is the URL."""

    __slots__ = ("host", "path", "port")

    path: Final[str]
    host: Final[str]
    port: Final[int]

    def __init__(self, *, path: str = "", host: str = "", port: int = 0) -> None:
        self.path = path
        self.host = host
        self.port = port

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises InvalidArgument for anything but the two forms above (the port may be left out: 2375)."""
        scheme, separator, rest = text.partition("://")
        if separator and scheme == "unix" and rest.startswith("/"):
            return cls._unix(rest)
        if separator and scheme == "tcp" and rest:
            return cls._tcp(text, rest)
        raise InvalidArgument(
            f'not an engine\'s address: "{text}" (write unix:///path/of/socket or tcp://host:port)'
        )

    @classmethod
    def _unix(cls, path: str) -> Address:
        if len(os.fsencode(path)) > _MAX_UNIX_PATH_BYTES or "\0" in path:
            raise InvalidArgument(f'the path of a unix socket has at most {_MAX_UNIX_PATH_BYTES} bytes: "{path}"')
        return cls(path=path)

    @classmethod
    def _tcp(cls, text: str, rest: str) -> Address:
        host, colon, port = rest.rpartition(":")
        if not colon or rest.endswith("]"):  # "host" or "[::1]" alone
            host, port = rest, str(_DEFAULT_PORT)
        bare = host.removeprefix("[").removesuffix("]")
        bracketed = host.startswith("[") and host.endswith("]")
        wrong_host = not bare or (":" in bare) != bracketed or set("/@?# []") & set(bare)
        if wrong_host or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
            raise InvalidArgument(f'not an engine\'s address: "{text}" (write tcp://host:port)')
        return cls(host=bare, port=int(port))

    @property
    def authority(self) -> str:
        """What goes into the ``Host`` header."""
        if self.path:
            return "localhost"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"unix://{self.path}" if self.path else f"tcp://{self.authority}"

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"


def find(host: str | None, environment: Mapping[str, str] = os.environ) -> Address:
    """The address that is meant: ``host``, else ``RUNDLET_HOST``, else this machine's engine."""
    return Address.parse(host or environment.get(ENVIRONMENT_VARIABLE) or DEFAULT)


def unreachable(address: Address, error: OSError) -> EngineUnavailable:
    """Why a connection could not be made, and what to do about it."""
    local = bool(address.path)
    match error.errno:
        case errno.ENOENT if local:
            why = "there is no such socket; start the engine (rundlet daemon) or set RUNDLET_HOST"
        case errno.ECONNREFUSED if local:
            why = "nothing listens on the socket; the engine has ended: start it again (rundlet daemon)"
        case errno.EACCES | errno.EPERM if local:
            why = "permission denied; run as root or as a member of the group that owns the socket"
        case errno.ENOTSOCK if local:
            why = "that file is not a socket"
        case errno.ECONNREFUSED:
            why = "connection refused; is the engine listening on that port?"
        case _:
            why = error.strerror or str(error)
    return EngineUnavailable(str(address), why)

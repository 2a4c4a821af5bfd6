# Generated from src/rundlet/sdk/_async/execs.py by tools/unasync.py; do not edit.
"""Further programs in a running container: https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Exec

All methods raise what the engine's status stands for, EngineUnavailable, EngineTimeout, ConnectionLost and
ProtocolError.
"""

from __future__ import annotations

from rundlet.errors import ProtocolError
from rundlet.sdk import reply as replies
from rundlet.sdk._sync.streams import Stream
from rundlet.sdk.request import Request, container, path_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rundlet.sdk._sync.transport import Transport

__all__ = ["Execs"]


class Execs:
    """An exec is created, then started once, and can be inspected for its exit code afterwards."""

    __slots__ = ("_transport",)

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, ref: str, body: Mapping[str, Any]) -> str:
        """Make an exec of an ExecCreateRequest in container ``ref``: its ID. Conflict when that is not running."""
        reply = replies.document(self._transport.call(Request("POST", container(ref, "exec"), document=body)))
        exec_id = reply.get("Id")
        if not isinstance(exec_id, str) or not exec_id:
            raise ProtocolError("the engine's reply to exec create has no ID")
        return exec_id

    def start(self, exec_id: str, *, tty: bool = False, console_size: tuple[int, int] | None = None) -> Stream:
        """Start it and stay attached: its output, and its stdin if created with ``AttachStdin``.

        ``tty`` must be what the exec was created with; ``console_size`` is rows and columns. That a program cannot
        be run comes as output, with exit code 126 or 127, as in Docker.
        """
        request = Request(
            "POST", path_of("exec", exec_id, "start"), document=_start(tty, console_size), upgrade=True
        )
        return Stream(self._transport.open(request), tty=tty)

    def start_detached(
        self, exec_id: str, *, tty: bool = False, console_size: tuple[int, int] | None = None
    ) -> None:
        """Start it and leave it to itself: its output goes nowhere."""
        document = {**_start(tty, console_size), "Detach": True}
        self._transport.call(Request("POST", path_of("exec", exec_id, "start"), document=document))

    def inspect(self, exec_id: str) -> dict[str, Any]:
        """Everything about one exec; ``ExitCode`` is None until it has ended."""
        return replies.document(self._transport.call(Request("GET", path_of("exec", exec_id, "json"))))

    def resize(self, exec_id: str, *, height: int, width: int) -> None:
        """Tell its terminal how many rows and columns there are."""
        query = {"h": height, "w": width}
        self._transport.call(Request("POST", path_of("exec", exec_id, "resize"), query))


def _start(tty: bool, console_size: tuple[int, int] | None) -> dict[str, Any]:
    size = {"ConsoleSize": list(console_size)} if console_size else {}
    return {"Detach": False, "Tty": tty, **size}

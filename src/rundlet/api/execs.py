"""/containers/{id}/exec and /exec: further programs in a running container.

https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Exec
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rundlet.api.containers import content_type, hijack_for, read_size
from rundlet.api.hijack import HijackedStream, write_message
from rundlet.api.reply import EMPTY, AnyReply, Hijack, json_reply
from rundlet.api.request import Request
from rundlet.api.routing import Route
from rundlet.errors import Conflict, InvalidArgument
from rundlet.wire.documents import ExecCreateRequest, ExecStartRequest

if TYPE_CHECKING:
    from rundlet.engine.engine import Engine


def routes(engine: Engine) -> list[Route]:
    api = _Execs(engine)
    return [
        Route("POST", "/containers/{name}/exec", api.create),
        Route("POST", "/exec/{name}/start", api.start),
        Route("POST", "/exec/{name}/resize", api.resize),
        Route("GET", "/exec/{name}/json", api.inspect),
    ]


class _Execs:
    def __init__(self, engine: Engine) -> None:
        self._execs = engine.execs

    async def create(self, request: Request) -> AnyReply:
        body = await request.document(ExecCreateRequest)
        if not body.Cmd:
            raise InvalidArgument("No exec command specified")
        return json_reply({"Id": await self._execs.create(request.name, body)}, 201)

    async def start(self, request: Request) -> AnyReply:
        """Framing follows the Tty of this body, whatever the exec was created with."""
        body = await request.document(ExecStartRequest)
        framed = not body.Tty
        try:
            session = await self._execs.start(request.name, body)
        except Conflict as error:
            if body.Detach or not self._has_run(request.name):
                raise
            return _message_for(request, str(error), framed=framed)
        if session is None:
            return EMPTY
        return hijack_for(request, session, framed=framed)

    def _has_run(self, exec_id: str) -> bool:
        inspected = self._execs.inspect(exec_id)
        return inspected.Running or inspected.ExitCode is not None

    async def resize(self, request: Request) -> AnyReply:
        await self._execs.resize(request.name, *read_size(request))
        return EMPTY

    async def inspect(self, request: Request) -> AnyReply:
        return json_reply(self._execs.inspect(request.name))


def _message_for(request: Request, text: str, *, framed: bool) -> Hijack:
    """Docker says "has already run" inside the stream: it has switched protocols before it looks."""

    async def run(stream: HijackedStream) -> None:
        await write_message(stream, text, framed=framed)

    return Hijack(content_type(request, framed=framed and request.wants_upgrade), run)

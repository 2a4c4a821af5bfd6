"""/_ping, /version and /info."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rundlet.api.reply import TEXT, AnyReply, Reply, json_reply
from rundlet.api.request import Request
from rundlet.api.routing import Route

if TYPE_CHECKING:
    from rundlet.engine.engine import Engine

_PING_HEADERS = (
    (b"Builder-Version", b"1"),
    (b"Swarm", b"inactive"),
    (b"Cache-Control", b"no-cache, no-store, must-revalidate"),
    (b"Pragma", b"no-cache"),
)


def routes(engine: Engine) -> list[Route]:
    async def ping(request: Request) -> AnyReply:
        return Reply(200, b"OK" if request.method == "GET" else b"", TEXT, _PING_HEADERS)

    async def version(request: Request) -> AnyReply:
        return json_reply(engine.version())

    async def info(request: Request) -> AnyReply:
        return json_reply(await engine.info())

    return [
        Route("GET", "/_ping", ping),
        Route("HEAD", "/_ping", ping),
        Route("GET", "/version", version),
        Route("GET", "/info", info, abandonable=True),
    ]

"""/volumes: what containers have made. Making and removing them by themselves is not offered yet
(:mod:`rundlet.api.absent`).

https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Volume
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rundlet.api.reply import AnyReply, json_reply
from rundlet.api.request import Request
from rundlet.api.routing import Route
from rundlet.wire import filters

if TYPE_CHECKING:
    from rundlet.engine.engine import Engine


def routes(engine: Engine) -> list[Route]:
    volumes = engine.volumes

    async def list_(request: Request) -> AnyReply:
        return json_reply({"Volumes": volumes.list(filters.parse(request.text("filters"))), "Warnings": None})

    async def inspect(request: Request) -> AnyReply:
        return json_reply(volumes.inspect(request.name))

    return [
        Route("GET", "/volumes", list_),
        Route("GET", "/volumes/{name}", inspect),
    ]

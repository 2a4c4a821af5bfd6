"""/networks: the three that are always there. Making others is not offered yet (:mod:`rundlet.api.absent`).

https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Network
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rundlet.api.reply import AnyReply, json_reply
from rundlet.api.request import Request
from rundlet.api.routing import Route
from rundlet.errors import NotImplementedHere
from rundlet.wire import filters

if TYPE_CHECKING:
    from rundlet.engine.engine import Engine


def routes(engine: Engine) -> list[Route]:
    networks = engine.networks

    async def list_(request: Request) -> AnyReply:
        return json_reply(networks.list(filters.parse(request.text("filters"))))

    async def inspect(request: Request) -> AnyReply:
        return json_reply(networks.inspect(request.name, request.text("scope")))

    async def remove(request: Request) -> AnyReply:
        raise networks.refusal_to_remove(request.name)

    async def join(request: Request) -> AnyReply:
        networks.inspect(request.name)
        raise NotImplementedHere(f"this version of Rundlet does not offer {request.method} {request.path}")

    async def prune(request: Request) -> AnyReply:
        filters.parse(request.text("filters"))
        return json_reply({"NetworksDeleted": None})

    return [
        Route("GET", "/networks", list_),
        Route("GET", "/networks/", list_),
        Route("GET", "/networks/{name}", inspect),
        Route("DELETE", "/networks/{name}", remove),
        Route("POST", "/networks/{name}/connect", join),
        Route("POST", "/networks/{name}/disconnect", join),
        Route("POST", "/networks/prune", prune),
    ]

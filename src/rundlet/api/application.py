"""The Engine API over one engine: every route, the headers of every reply, and what becomes of an error."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rundlet.api import absent, containers, events, execs, images, networks, system, volumes
from rundlet.api.reply import EMPTY, AnyReply, Headers, error_reply, json_reply
from rundlet.api.request import ClientDisconnected, Request
from rundlet.api.routing import API_VERSION, Router
from rundlet.errors import Forbidden, RundletError

if TYPE_CHECKING:
    from rundlet.engine.engine import Engine

_logger = logging.getLogger(__name__)


class EngineApi:
    """The application that :class:`rundlet.api.server.ApiServer` serves."""

    def __init__(self, engine: Engine) -> None:
        resources = (system, containers, execs, images, networks, volumes, events)
        self._router = Router([route for each in resources for route in each.routes(engine)] + absent.routes())

        self.headers: Headers = (
            (b"Server", f"Docker/{engine.version()['Version']} (linux)".encode()),
            (b"Api-Version", API_VERSION.encode()),
            (b"Ostype", b"linux"),
            (b"Docker-Experimental", b"false"),
        )
        """Clients take the name in ``Server`` for the dialect that is spoken."""

    async def __call__(self, request: Request) -> AnyReply:
        try:
            if request.method == "OPTIONS":
                return EMPTY
            route = self._router.route(request)
            request.abandonable = route.abandonable
            return await route.handler(request)
        except ClientDisconnected:
            raise
        except RundletError as error:
            return error_reply(error)
        except Exception as error:  # the request boundary
            _logger.exception("%s %s failed", request.method, request.path)
            return json_reply({"message": f"internal error: {type(error).__name__}: {error}"}, 500)


class GuardedFromBrowsers:
    """``api`` for a TCP port. Any page that a browser on this machine shows can send requests to a loopback
    port; such a request carries an Origin, or the page's own host name (DNS rebinding), and is refused."""

    def __init__(self, api: EngineApi) -> None:
        self._api = api
        self.headers = api.headers

    async def __call__(self, request: Request) -> AnyReply:
        host = (request.header(b"host") or "").rpartition(":")[0] or request.header(b"host")
        if request.header(b"origin") is not None or host not in ("127.0.0.1", "[::1]", "localhost"):
            return error_reply(Forbidden("requests of web pages are refused"))
        return await self._api(request)

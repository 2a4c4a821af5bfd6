"""What this version has not got, answered so that clients which ask in passing are content.

``docker inspect x`` looks for containers, images, networks, volumes and plugins in turn and goes on only at
a clean 404; docker-py's suite wants 503 of swarm. No engine is needed to say no.
"""

from __future__ import annotations

from rundlet.api.reply import AnyReply, json_reply
from rundlet.api.request import Request
from rundlet.api.routing import Route
from rundlet.errors import EngineUnavailable, NotFound, NotImplementedHere, RundletError

_TO_COME = {
    "GET": (
        *(f"/containers/{{name}}/{verb}" for verb in ("top", "stats", "changes", "export", "archive")),
        *("/images/get", "/images/{name}/get", "/images/search", "/distribution/{name}/json", "/system/df"),
    ),
    "HEAD": ("/containers/{name}/archive",),
    "PUT": ("/containers/{name}/archive",),
    "POST": (
        *("/containers/{name}/update", "/commit", "/images/{name}/push", "/images/prune", "/build"),
        *("/build/prune", "/auth", "/networks/create", "/volumes/create", "/volumes/prune"),
    ),
    "DELETE": ("/volumes/{name}",),
}
"""Calls that this engine knows and does not offer yet: a 501 that says so is kinder than a 404."""

_SWARM = ("swarm", "nodes", "services", "tasks", "secrets", "configs")


class _NotASwarm(RundletError):
    kind = EngineUnavailable.kind

    def __init__(self) -> None:
        super().__init__(
            "This node is not a swarm manager. Use another engine to run a swarm: this one never will."
        )


async def _swarm(request: Request) -> AnyReply:
    raise _NotASwarm


async def _no_plugins(request: Request) -> AnyReply:
    return json_reply([])


async def _plugin(request: Request) -> AnyReply:
    raise NotFound(f'plugin "{request.name}" not found')


async def _not_yet(request: Request) -> AnyReply:
    raise NotImplementedHere(f"this version of Rundlet does not offer {request.method} {request.path}")


def routes() -> list[Route]:
    return [
        *(
            Route(method, pattern, _swarm)
            for noun in _SWARM
            for pattern in (f"/{noun}", f"/{noun}/{{name}}")
            for method in ("GET", "POST", "DELETE")
        ),
        *(Route(method, pattern, _not_yet) for method, patterns in _TO_COME.items() for pattern in patterns),
        Route("GET", "/plugins", _no_plugins),
        Route("GET", "/plugins/{name}/json", _plugin),
    ]

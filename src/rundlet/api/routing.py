"""Finds the handler of a request.

    GET /v1.47/images/localhost:5000/team/app/json?…
        └─────┘└─────┘└──────────────────────┘└───┘
        version  noun   name, greedy           verb

Every path exists bare, which means the newest version, and below ``/v<digits.dots>``. A name may hold
slashes, colons and percent-escapes, so it is matched greedily and the last segment decides (as moby's
``{name:.*}``). An unknown path and a wrong method are the same to Docker: 404 ``page not found``.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from rundlet.api.reply import AnyReply
from rundlet.api.request import Request, Version
from rundlet.errors import InvalidArgument, NotFound

MAX_VERSION: Version = (1, 47)
MIN_VERSION: Version = (1, 24)
"""Why these: clients from CLI 17.06 to 29 and docker-py's suite agree with 1.45–1.51 (newer ones drop fields
that clients still read), and a higher minimum locks out Traefik and testcontainers-java."""

Handler: TypeAlias = Callable[[Request], Awaitable[AnyReply]]

_VERSIONED = re.compile(r"/v([0-9]{1,9}(?:\.[0-9]{1,9}){0,2})(/.*)")


@dataclass(frozen=True, slots=True)
class Route:
    """``pattern``: ``/noun/verb``, ``/noun/{name}`` or ``/noun/{name}/verb``."""

    method: str
    pattern: str
    handler: Handler
    abandonable: bool = False
    """The handler is cancelled when its client goes away: for what only waits or only reads."""


class Router:
    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[tuple[str, str], Route] = {}
        self._named: dict[tuple[str, str, str], Route] = {}
        for route in routes:
            noun, name, verb = route.pattern.partition("/{name}")
            if name:
                self._named[route.method, noun, verb] = route
            else:
                self._exact[route.method, route.pattern] = route

    def route(self, request: Request) -> Route:
        """The request's route; fills in its version, its bare path and its name.

        Raises :class:`InvalidArgument` for a version that is not spoken here, else :class:`NotFound`.
        """
        request.version, request.path = split_version(request.path)
        if route := self._exact.get((request.method, request.path)):
            return route
        noun, slash, rest = request.path[1:].partition("/")
        if slash:
            name, slash, verb = rest.rpartition("/")
            if name and (route := self._named.get((request.method, f"/{noun}", f"/{verb}"))):
                request.name = name
                return route
            if rest and (route := self._named.get((request.method, f"/{noun}", ""))):
                request.name = rest
                return route
        raise NotFound("page not found")


def split_version(path: str) -> tuple[Version, str]:
    match = _VERSIONED.fullmatch(path)
    if match is None:
        return MAX_VERSION, path
    text, bare = match.groups()
    version = tuple(int(part) for part in text.split("."))
    if version > MAX_VERSION:
        raise InvalidArgument(
            f"client version {text} is too new. Maximum supported API version is {_text(MAX_VERSION)}"
        )
    if version < MIN_VERSION:
        raise InvalidArgument(
            f"client version {text} is too old. Minimum supported API version is {_text(MIN_VERSION)}, "
            "please upgrade your client to a newer version"
        )
    return version, bare


def _text(version: Version) -> str:
    return ".".join(map(str, version))


API_VERSION = _text(MAX_VERSION)
MIN_API_VERSION = _text(MIN_VERSION)

"""Rundlet: a container engine and sandbox platform that installs with pip.

    from rundlet import Engine

    for container in Engine().containers.list():
        print(container["Names"])

The same names, async, are in :mod:`rundlet.async_`; what can go wrong is in :mod:`rundlet.errors`. Names are
loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rundlet import errors as errors
    from rundlet.sdk._sync.engine import Engine as Engine

__all__ = ["Engine", "errors"]

_HOMES = {"Engine": "rundlet.sdk._sync.engine"}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "errors":
        return import_module("rundlet.errors")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)

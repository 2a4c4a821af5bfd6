"""The client of an engine: Rundlet, Docker 20.10 or newer, Podman 4 or newer, over the Engine API.

    _async/    the source: short methods "build, send, read"
    _sync/     generated from it by ``tools/unasync.py``
    _twins/    the few things that need two bodies: waiting, sleeping, resolving, reading files
    *.py       what has one: addresses, requests, replies. No I/O

Every operation has a connection of its own and nothing is remembered between two of them, so an engine
object may be shared by threads and tasks, survives ``fork``, and needs no closing.

The standard library alone, and of that little: a program that asks for the sync names gets neither asyncio nor
ssl with them. This package holds no engine, and asks nothing of the machine on which an engine runs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rundlet.sdk._sync.engine import Engine as Engine
    from rundlet.sdk._sync.streams import Frames as Frames
    from rundlet.sdk._sync.streams import Messages as Messages
    from rundlet.sdk._sync.streams import Stream as Stream
    from rundlet.sdk._sync.streams import Waiter as Waiter

__all__ = ["Engine", "Frames", "Messages", "Stream", "Waiter"]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "rundlet.sdk._sync.engine" if name == "Engine" else "rundlet.sdk._sync.streams"
    found: object = getattr(import_module(home), name)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)

"""The Docker Engine API: route, parse, call the engine, word the reply.

    connection ─▶ application ─▶ routing ─▶ containers | execs | images | events | system | absent ─▶ engine
      h11, body     errors        table       one module per resource

Nothing here knows how a container is run, and nothing below knows HTTP.
"""

from rundlet.api.application import EngineApi, GuardedFromBrowsers
from rundlet.api.server import ApiServer

__all__ = ["ApiServer", "EngineApi", "GuardedFromBrowsers"]

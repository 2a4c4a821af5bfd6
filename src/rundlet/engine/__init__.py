"""The engine: containers, execs, images, logs and events, over the supervisor and the store.

It knows nothing of HTTP; its requests and replies are the dataclasses of :mod:`rundlet.wire.documents`, its
failures those of :mod:`rundlet.errors`.
"""

from rundlet.engine.config import EngineConfig
from rundlet.engine.engine import Engine
from rundlet.engine.events import Event, Events
from rundlet.engine.logs.entry import LogEntry, LogOptions
from rundlet.engine.session import AttachOptions, Session

__all__ = ["AttachOptions", "Engine", "EngineConfig", "Event", "Events", "LogEntry", "LogOptions", "Session"]

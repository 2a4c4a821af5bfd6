"""What happened to whom: the engine's events, kept in a ring and handed to whoever listens.

A listener that does not keep up is cut off rather than waited for: it holds a bounded queue and learns by
:class:`~rundlet.errors.EngineError` that it missed something. Events do not survive the daemon, as in Docker.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rundlet.engine.container import Container
from rundlet.errors import EngineError

__all__ = ["Event", "Events"]

_KEPT = 1024
"""Docker keeps 256 past events; clients only rely on that many."""
_QUEUE = 4096

_LEGACY_TYPES = frozenset({"container", "image"})


@dataclass(frozen=True, slots=True)
class Event:
    type: str
    """``container``, ``image``, ``volume``, ``network``, ``daemon``."""
    action: str
    actor_id: str
    attributes: Mapping[str, str]
    time_ns: int

    def document(self) -> dict[str, Any]:
        """The API's object. Clients older than CLI 25 and compose v1 need ``status``, ``id`` and ``from``."""
        body: dict[str, Any] = {}
        if self.type in _LEGACY_TYPES:
            body = {"status": self.action, "id": self.actor_id}
            if image := self.attributes.get("image"):
                body["from"] = image
        return body | {
            "Type": self.type,
            "Action": self.action,
            "Actor": {"ID": self.actor_id, "Attributes": dict(self.attributes)},
            "scope": "local",
            "time": self.time_ns // 1_000_000_000,
            "timeNano": self.time_ns,
        }


class Events:
    """The bus. One loop, one thread."""

    def __init__(self) -> None:
        self._past: deque[Event] = deque(maxlen=_KEPT)
        self._listeners: set[asyncio.Queue[Event | None]] = set()

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def emit(self, type_: str, action: str, actor_id: str, attributes: Mapping[str, str]) -> None:
        event = Event(type_, action, actor_id, attributes, time.time_ns())
        self._past.append(event)
        for queue in tuple(self._listeners):
            if queue.qsize() >= _QUEUE:
                self._listeners.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    def emit_container(self, action: str, container: Container, **attributes: str) -> None:
        """With the labels, the image and the name of the container, as Docker's events have them."""
        definition = container.definition
        common = {**(definition.config.Labels or {}), "image": definition.config.Image, "name": definition.name}
        self.emit("container", action, definition.id, common | attributes)

    def subscribe(
        self,
        *,
        since_ns: int | None = None,
        until_ns: int | None = None,
        wanted: Callable[[Event], bool] = lambda event: True,
    ) -> AsyncIterator[Event]:
        """Past events since ``since_ns`` (None: none), then live ones until ``until_ns`` (None: for ever).

        The listener is registered before this returns, so nothing that happens afterwards is missed.
        Raises EngineError, while iterating, when the reader fell too far behind.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        past = [event for event in self._past if since_ns is not None and event.time_ns >= since_ns]
        self._listeners.add(queue)
        return self._stream(queue, past, until_ns, wanted)

    async def _stream(
        self,
        queue: asyncio.Queue[Event | None],
        past: list[Event],
        until_ns: int | None,
        wanted: Callable[[Event], bool],
    ) -> AsyncIterator[Event]:
        try:
            for event in past:
                if (until_ns is None or event.time_ns <= until_ns) and wanted(event):
                    yield event
            while (event_or_none := await _next_before(queue, until_ns)) is not None:
                if wanted(event_or_none):
                    yield event_or_none
        finally:
            self._listeners.discard(queue)


async def _next_before(queue: asyncio.Queue[Event | None], until_ns: int | None) -> Event | None:
    """The next event, or None once ``until_ns`` has come."""
    timeout = None if until_ns is None else (until_ns - time.time_ns()) / 1e9
    if timeout is not None and timeout <= 0 and queue.empty():
        return None
    try:
        async with asyncio.timeout(timeout):
            event = await queue.get()
    except TimeoutError:
        return None
    if event is None:
        raise EngineError("event stream: the reader fell behind and missed events")
    return event

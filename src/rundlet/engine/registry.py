"""Every container of the engine, in memory: found by id, by name and by prefix; its lock; who waits for it.

The registry says what is; the store says what will still be after a kill. Loop thread only.
"""

from __future__ import annotations

import asyncio
import itertools
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from rundlet.engine.container import Container
from rundlet.engine.names import check_name, generate_name
from rundlet.engine.output import Output
from rundlet.engine.waiters import Waiters
from rundlet.errors import ContainerNotFound, InvalidArgument, NameInUse

__all__ = ["Entry", "Registry"]


@dataclass(slots=True, eq=False)
class Entry:
    """A container and what belongs to it while the daemon lives."""

    container: Container
    output: Output
    waiters: Waiters = field(init=False)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by whoever changes the container; never while waiting for a program to end."""
    is_restarting_by_hand: bool = False
    """A restart asked for by a client: the exit in its middle must not remove the container."""
    is_ending: bool = False
    """The engine ends it, not a person: it is not restarted, and its policy is not overruled."""
    is_held: bool = False
    """The supervisor has it: it runs, or its exit has not been acknowledged yet."""
    restart_delay_s: float = 0.0
    restart_timer: asyncio.Task[None] | None = None
    exec_ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.waiters = Waiters(self.container.state)

    @property
    def id(self) -> str:
        return self.container.id


class Registry:
    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._sorted_ids: list[str] = []
        self._ids_by_name: dict[str, str] = {}

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, container_id: str) -> Entry | None:
        return self._entries.get(container_id)

    def resolve(self, ref: str) -> Entry:
        """By full id, then by name, then by unique prefix of an id. ContainerNotFound, InvalidArgument."""
        if entry := self._entries.get(ref):
            return entry
        if (container_id := self._ids_by_name.get(ref.removeprefix("/"))) and container_id in self._entries:
            return self._entries[container_id]
        if not ref:
            raise ContainerNotFound(ref)
        first = bisect_left(self._sorted_ids, ref)
        found = [id_ for id_ in self._sorted_ids[first : first + 2] if id_.startswith(ref)]
        if not found:
            raise ContainerNotFound(ref)
        if len(found) > 1:
            raise InvalidArgument(f'Multiple IDs found with provided prefix: "{ref}"')
        return self._entries[found[0]]

    def reserve_name(self, name: str | None, container_id: str) -> str:
        """Take ``name`` (or a free one) for the container. NameInUse, InvalidArgument."""
        if name:
            name = check_name(name)
            if holder := self._ids_by_name.get(name):
                raise NameInUse(name, holder)
        else:
            free = (generate_name(attempt) for attempt in itertools.count())
            name = next(name for name in free if name not in self._ids_by_name)
        self._ids_by_name[name] = container_id
        return name

    def release_name(self, name: str) -> None:
        self._ids_by_name.pop(name, None)

    def add(self, entry: Entry) -> None:
        self._entries[entry.id] = entry
        self._ids_by_name[entry.container.name] = entry.id
        insort(self._sorted_ids, entry.id)

    def remove(self, entry: Entry) -> None:
        del self._entries[entry.id]
        del self._sorted_ids[bisect_left(self._sorted_ids, entry.id)]
        self._ids_by_name.pop(entry.container.name, None)

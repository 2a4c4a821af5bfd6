"""What the engine knows of a container: its definition, which seldom changes, and its state, which moves.

               ┌──────────────── remove ───────────────────────────────┐
               │                                                       ▼
    created ──start──► starting ──exec'd──► running ◄──pause──► paused │ removing ──► (gone)
       ▲                │   │ ▲                │                  │    │    │  ▲
       └──not exec'd────┘   │ └──start──┐      └──────exit────────┤    │    ▼  │
                            │           │                         │    │   dead
                            │      exited / restarting ◄──────────┘    │
                            └─not exec'd──► exited ────────────────────┘

``starting`` is the intent, stored before the supervisor hears of it; clients see the state before it. Both
parts are plain data that the store writes as JSON. No I/O here, no locks, no clocks.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from rundlet.engine.mounts import MountSpec
from rundlet.errors import ContainerStateConflict
from rundlet.wire.documents import ContainerConfig, HostConfig, NetworkingConfig

__all__ = ["Container", "Definition", "State", "Status"]


class Status(enum.Enum):
    """Docker's seven words, and ``starting``, which never leaves the engine."""

    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


_MOVES: Mapping[Status, frozenset[Status]] = {
    Status.CREATED: frozenset({Status.STARTING, Status.REMOVING}),
    Status.STARTING: frozenset({Status.RUNNING, Status.CREATED, Status.EXITED}),
    Status.RUNNING: frozenset({Status.PAUSED, Status.RESTARTING, Status.EXITED}),
    Status.PAUSED: frozenset({Status.RUNNING, Status.RESTARTING, Status.EXITED}),
    Status.RESTARTING: frozenset({Status.STARTING, Status.EXITED}),
    Status.EXITED: frozenset({Status.STARTING, Status.REMOVING}),
    Status.REMOVING: frozenset({Status.DEAD}),
    Status.DEAD: frozenset({Status.REMOVING}),
}

_UP = frozenset({Status.RUNNING, Status.PAUSED, Status.RESTARTING})


@dataclass(slots=True)
class State:
    status: Status = Status.CREATED
    starting_from: Status | None = None
    """While ``starting``: what it was, and what clients still see."""
    run: int = 0
    """Counts the starts. Names the bytes of one run in the log."""
    pid: int = 0
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    started_ns: int = 0
    """Unix time; 0 is never."""
    finished_ns: int = 0
    restart_count: int = 0
    removes_volumes: bool = False
    """While ``removing``: its anonymous volumes go as well."""
    stopped_by_user: bool = False
    """A person ended it: ``unless-stopped`` leaves it alone when the daemon comes back."""

    @property
    def visible(self) -> Status:
        """The status that clients see."""
        if self.status is Status.STARTING:
            return self.starting_from or Status.CREATED
        return self.status

    @property
    def is_up(self) -> bool:
        """Docker's ``Running``: true while paused and while waiting for its next start, too."""
        return self.visible in _UP

    @property
    def has_process(self) -> bool:
        return self.status in (Status.RUNNING, Status.PAUSED)


@dataclass(slots=True)
class LogSettings:
    driver: str = "json-file"
    options: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Definition:
    """Made by create out of the request and the image, both merged in. Only rename and update touch it later."""

    id: str
    name: str
    """Without the slash."""
    created_ns: int
    image_id: str
    image_layers: list[str]
    """Directories of the image's layers, topmost first, relative to the data root."""
    config: ContainerConfig
    host: HostConfig
    networking: NetworkingConfig
    args: list[str]
    """Entrypoint and command: what is exec'd."""
    mounts: list[MountSpec]
    log: LogSettings
    platform: str = "linux"


@dataclass(slots=True)
class Container:
    definition: Definition
    state: State

    @property
    def id(self) -> str:
        return self.definition.id

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def is_tty(self) -> bool:
        return self.definition.config.Tty

    def move(self, to: Status, doing: str) -> None:
        """Change the status. ContainerStateConflict, naming both states, when that is not a legal move."""
        state = self.state
        if to not in _MOVES[state.status]:
            raise ContainerStateConflict(self.name, state.visible.value, doing, f"it cannot become {to.value}")
        state.starting_from = state.status if to is Status.STARTING else None
        state.status = to

    def begin_start(self) -> None:
        self.move(Status.STARTING, "start")
        self.state.run += 1

    def started(self, pid: int, at_ns: int) -> None:
        self.move(Status.RUNNING, "start")
        state = self.state
        state.pid = pid
        state.started_ns = at_ns
        state.exit_code = 0
        state.oom_killed = False
        state.error = ""

    def start_failed(self, message: str, exit_code: int) -> None:
        """Back to what it was, with the reason; a container that was being restarted has exited."""
        was = self.state.starting_from
        self.move(Status.CREATED if was is Status.CREATED else Status.EXITED, "start")
        self.state.error = message
        self.state.exit_code = exit_code
        self.state.pid = 0

    def restart_given_up(self, message: str) -> None:
        """A restart that did not get as far as to begin. Its exit code stays that of its last end."""
        self.move(Status.EXITED, "restart")
        self.state.error = message

    def exited(self, exit_code: int, at_ns: int, *, oom_killed: bool = False, error: str = "") -> None:
        self._ended(Status.EXITED, exit_code, at_ns, oom_killed)
        self.state.error = error

    def exited_for_restart(self, exit_code: int, at_ns: int, *, oom_killed: bool = False) -> None:
        self._ended(Status.RESTARTING, exit_code, at_ns, oom_killed)
        self.state.restart_count += 1

    def _ended(self, to: Status, exit_code: int, at_ns: int, oom_killed: bool) -> None:
        self.move(to, "end")
        state = self.state
        state.pid = 0
        state.exit_code = exit_code
        state.oom_killed = oom_killed
        state.finished_ns = at_ns

"""An engine without a kernel: real store, logs, streams and services over a supervisor that only pretends.

    async with running_engine(tmp_path) as engine:
        container, _ = await engine.containers.create(request("true"))
        await engine.containers.start(container)
        engine.supervisor.exit(container, 3)

Programs do what the test says: :meth:`FakeSupervisor.write`, :meth:`FakeSupervisor.exit`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rundlet.cgroups import Cgroup, Hierarchies
from rundlet.engine.config import EngineConfig
from rundlet.engine.core import Core
from rundlet.engine.engine import Engine
from rundlet.engine.events import Events
from rundlet.engine.image_uses import ImageUses
from rundlet.engine.registry import Registry
from rundlet.engine.store import Store
from rundlet.engine.supervisor import Running, Supervisor, SupervisorLost
from rundlet.engine.tasks import Tasks
from rundlet.engine.volumes import Volumes
from rundlet.errors import Conflict, ImageNotFound, NotFound
from rundlet.images import Image, ImageStore, Snapshots, Users
from rundlet.runtime import messages
from rundlet.runtime.messages import ExitStatus, Stdio, TaskState
from rundlet.runtime.spool import SpoolBlocked, SpoolWriter
from rundlet.wire.documents import ContainerCreateRequest, HostConfig, ImageDeleteItem

IMAGE = Image(
    id="sha256:" + "ab" * 32,
    references=("busybox:latest",),
    digests=(),
    config={
        "config": {
            "Cmd": ["sh"],
            "Env": ["PATH=/bin"],
            "Labels": {"maker": "cooper"},
            "WorkingDir": "/srv",
            "Volumes": {},
        },
        "rootfs": {"type": "layers", "diff_ids": []},
        "created": "2024-01-01T00:00:00Z",
    },
    layers=(),
    size=1000,
)


def request(*command: str, host: HostConfig | None = None, **config: Any) -> ContainerCreateRequest:
    return ContainerCreateRequest(
        Image="busybox", Cmd=list(command) or None, HostConfig=host or HostConfig(), **config
    )


@dataclass(eq=False)
class Program:
    """A container's init or an exec that pretends to run."""

    task: TaskState
    spool: SpoolWriter | None = None
    notify: int = -1
    stdin: int = -1
    """The program's end."""
    stdin_kept: int = -1
    """The supervisor's copy of the other end."""
    stdout: int = -1
    stderr: int = -1
    readers: list[int] = field(default_factory=list)
    """The supervisor's copies of the read ends of an exec's output."""

    def close(self) -> None:
        for fd in (self.notify, self.stdin, self.stdin_kept, self.stdout, self.stderr, *self.readers):
            if fd >= 0:
                os.close(fd)
        self.notify = self.stdin = self.stdin_kept = self.stdout = self.stderr = -1
        self.readers = []
        if self.spool:
            self.spool.close()


class FakeSupervisor(Supervisor):
    def __init__(self) -> None:
        super().__init__(Path("/nowhere/supervisor.sock"))
        self.requests: list[messages.Start | messages.Exec] = []
        self.signals: list[tuple[str, int]] = []
        self.deleted: list[str] = []
        self.start_error: Exception | None = None
        self.exec_error: Exception | None = None
        self.on_start: Callable[[str], None] = lambda container_id: None
        """Called when a container's program begins, before the engine hears of it."""
        self.on_exec: Callable[[str, str], None] = lambda container_id, exec_id: None
        self.deadly: frozenset[int] = frozenset({9, 15})
        """Signals that the programs die of."""
        self.is_dead = False
        self._programs: dict[tuple[str, str | None], Program] = {}
        self._pid = 1000

    # what tests do

    def write(self, container_id: str, data: bytes, stream: int = 1) -> None:
        spool = self._programs[container_id, None].spool
        assert spool is not None
        spool.make_room()
        spool.write(stream, data)

    def write_exec(self, container_id: str, exec_id: str, data: bytes, stream: int = 1) -> None:
        program = self._programs[container_id, exec_id]
        os.write(program.stdout if stream == 1 else program.stderr, data)

    def read_stdin(self, container_id: str, exec_id: str | None = None) -> bytes:
        """What the program finds on stdin; b"" at its end. BlockingIOError when it would wait."""
        return os.read(self._programs[container_id, exec_id].stdin, 65536)

    def exit(
        self, container_id: str, code: int = 0, *, signal: int | None = None, oom_killed: bool = False
    ) -> None:
        program = self._programs[container_id, None]
        if program.task.exit is not None:
            return
        self.end_output(container_id)
        self._end(program, ExitStatus(code, signal, oom_killed, time.time_ns()))

    def end_output(self, container_id: str) -> None:
        """What the real one goes on trying by itself while the disk is full."""
        spool = self._programs[container_id, None].spool
        assert spool is not None
        with contextlib.suppress(SpoolBlocked):
            for stream in (1, 2):
                spool.end(stream)

    def exit_exec(self, container_id: str, exec_id: str, code: int = 0) -> None:
        program = self._programs[container_id, exec_id]
        self._end(program, ExitStatus(code, at_ns=time.time_ns()))

    def close_exec_output(self, container_id: str, exec_id: str) -> None:
        """The last process that held the exec's pipes lets go of them."""
        program = self._programs[container_id, exec_id]
        os.close(program.stdout)
        os.close(program.stderr)
        program.stdout = program.stderr = -1

    def holds(self, container_id: str, exec_id: str | None = None) -> bool:
        return (container_id, exec_id) in self._programs

    def die(self) -> None:
        """As if it were killed: its containers are forgotten, and the engine finds the socket closed."""
        for program in self._programs.values():
            program.close()
        self._programs.clear()
        self._on_lost()

    def close(self) -> None:
        for program in self._programs.values():
            program.close()

    # the client's interface

    async def connect(self) -> Sequence[TaskState]:
        self.is_dead = False
        return [program.task for program in self._programs.values()]

    def disconnect(self) -> None:
        self.listen(lambda task: None, lambda: None)

    async def start(self, request: messages.Start) -> Running:
        self.requests.append(request)
        if self.start_error:
            raise self.start_error
        if self.holds(request.container_id):
            raise Conflict(f"container {request.container_id} exists already")
        program = Program(self._task(request.container_id, None, request.stdio))
        program.notify = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        program.spool = SpoolWriter(request.spool, program.notify)
        if request.stdio.stdin:
            program.stdin, program.stdin_kept = _pipe()
        self._programs[request.container_id, None] = program
        self.on_start(request.container_id)
        return self._running(program)

    async def exec(self, request: messages.Exec) -> Running:
        self.requests.append(request)
        if self.exec_error:
            raise self.exec_error
        program = Program(self._task(request.container_id, request.exec_id, request.stdio))
        if request.stdio.stdin:
            program.stdin, program.stdin_kept = _pipe()
        out, program.stdout = _pipe()
        err, program.stderr = _pipe()
        program.readers = [out, err]
        self._programs[request.container_id, request.exec_id] = program
        self.on_exec(request.container_id, request.exec_id)
        return self._running(program)

    async def reopen(self, container_id: str, exec_id: str | None = None) -> Running:
        return self._running(self._find(container_id, exec_id))

    async def signal(self, container_id: str, signal: int, exec_id: str | None = None) -> None:
        self._find(container_id, exec_id)
        self.signals.append((container_id, signal))
        if signal in self.deadly:
            self.exit(container_id, 128 + signal, signal=signal)

    async def close_stdin(self, container_id: str, exec_id: str | None = None) -> None:
        program = self._find(container_id, exec_id)
        if program.stdin_kept >= 0:
            os.close(program.stdin_kept)
            program.stdin_kept = -1

    async def forget(self, container_id: str, exec_id: str) -> None:
        self._find(container_id, exec_id).close()
        del self._programs[container_id, exec_id]

    async def delete(self, container_id: str, *, force: bool = False) -> None:
        self._find(container_id, None)
        self.deleted.append(container_id)
        for key in [key for key in self._programs if key[0] == container_id]:
            self._programs.pop(key).close()

    async def shutdown(self) -> None:
        if self.is_dead:
            raise SupervisorLost
        if self._programs:
            raise Conflict("it holds containers")

    def _find(self, container_id: str, exec_id: str | None) -> Program:
        if self.is_dead:
            raise SupervisorLost
        program = self._programs.get((container_id, exec_id))
        if program is None:
            raise NotFound(f"no such task: {container_id} {exec_id}")
        return program

    def _task(self, container_id: str, exec_id: str | None, stdio: Stdio) -> TaskState:
        self._pid += 1
        return TaskState(container_id, exec_id, self._pid, 1, stdio)

    def _end(self, program: Program, exit_: ExitStatus) -> None:
        program.task = replace(program.task, exit=exit_)
        self._on_exit(program.task)

    def _running(self, program: Program) -> Running:
        fds = [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)]
        kept = [program.notify] if program.task.exec_id is None else []
        kept += [program.stdin_kept] if program.task.stdio.stdin and program.stdin_kept >= 0 else []
        kept += program.readers
        return Running(program.task, fds + [os.dup(fd) for fd in kept])


def _pipe() -> tuple[int, int]:
    return os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)


class FakeImages(ImageStore):
    """Knows :data:`IMAGE` until it is removed."""

    def __init__(self) -> None:
        self.images = [IMAGE]

    def close(self) -> None:
        pass

    def resolve(self, name: str) -> Image:
        for image in self.images:
            if name in (image.id, *image.references) or f"{name}:latest" in image.references:
                return image
        raise ImageNotFound(name)

    def lower_dirs(self, image: Image) -> list[Path]:
        return []

    def remove(
        self, name: str, *, force: bool = False, users: Callable[[str], Users] = lambda _: Users()
    ) -> list[ImageDeleteItem]:
        image = self.resolve(name)
        if in_use := users(image.id):
            raise Conflict(f"used by {'running' if in_use.running else 'stopped'} {in_use.first}")
        self.images.remove(image)
        return [ImageDeleteItem(Deleted=image.id)]

    def list(self) -> list[Image]:
        return self.images


@dataclass
class FakeCgroup:
    """Only what the engine itself asks of a cgroup."""

    path: str
    calls: list[tuple[str, str]]
    freeze_error: OSError | None = None

    def freeze(self) -> None:
        self.calls.append((self.path, "freeze"))
        if self.freeze_error:
            raise self.freeze_error

    def thaw(self) -> None:
        self.calls.append((self.path, "thaw"))

    def kill(self) -> None:
        self.calls.append((self.path, "kill"))

    def remove(self) -> bool:
        self.calls.append((self.path, "remove"))
        return True


@dataclass(frozen=True)
class FakeHierarchies(Hierarchies):
    controllers: Mapping[str, str] = field(default_factory=dict)
    unified: str | None = None
    calls: list[tuple[str, str]] = field(default_factory=list)

    def cgroup(self, path: str) -> Cgroup:
        fake: Any = FakeCgroup(path, self.calls)
        cgroup: Cgroup = fake
        return cgroup


class FakeEngine(Engine):
    """The whole engine, but for the kernel and the images."""

    def __init__(self, config: EngineConfig, supervisor: FakeSupervisor) -> None:
        super().__init__(config)
        self.supervisor = supervisor
        self.hierarchies = FakeHierarchies()
        self.image_store = FakeImages()

    @property
    def core(self) -> Core:
        return self._core

    def _make_core(self) -> Core:
        config = self.config
        store = Store(config.database)
        store.open()
        return Core(
            config=config,
            registry=Registry(),
            store=store,
            supervisor=self.supervisor,
            images=self.image_store,
            uses=ImageUses(),
            snapshots=Snapshots(config.data_root),
            volumes=Volumes(config.volumes_dir),
            events=Events(),
            tasks=Tasks(),
            hierarchies=self.hierarchies,
        )

    async def _connect(self) -> list[TaskState]:
        return list(await self.supervisor.connect())


@contextlib.asynccontextmanager
async def running_engine(
    root: Path, supervisor: FakeSupervisor | None = None, **options: Any
) -> AsyncIterator[FakeEngine]:
    """A started engine, stopped at the end as a daemon stops. With the same ``root`` and ``supervisor`` it is the
    next daemon of the same engine."""
    own = supervisor is None
    supervisor = supervisor or FakeSupervisor()
    config = EngineConfig(instance="test", data_root=root / "data", run_root=root / "run", **options)
    engine = FakeEngine(config, supervisor)
    try:
        await engine.start()
        try:
            yield engine
        finally:
            await engine.stop()
    finally:
        if own:
            supervisor.close()

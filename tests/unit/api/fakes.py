"""An engine that remembers what it was asked and answers what the test told it to.

The fakes override the methods of the real services, so the type checker sees to it that they fit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from rundlet.engine.containers import Containers
from rundlet.engine.engine import Engine
from rundlet.engine.events import Events
from rundlet.engine.execs import Execs
from rundlet.engine.images import Images
from rundlet.engine.logs.entry import LogEntry, LogOptions
from rundlet.engine.networks import Networks
from rundlet.engine.registry import Registry
from rundlet.engine.session import AttachOptions, Session
from rundlet.engine.volume_listing import VolumeListing
from rundlet.engine.volumes import Volumes
from rundlet.errors import ContainerNotFound, ImageNotFound, RundletError
from rundlet.wire.documents import (
    ContainerConfig,
    ContainerCreateRequest,
    ContainerInspect,
    ContainerState,
    ContainerSummary,
    ExecCreateRequest,
    ExecInspect,
    ExecProcessConfig,
    ExecStartRequest,
    GraphDriver,
    HostConfig,
    ImageDeleteItem,
    ImageHistoryItem,
    ImageInspect,
    ImageSummary,
    NetworkSettings,
    SummaryHostConfig,
    SummaryNetworkSettings,
    WaitResponse,
)

CONTAINER_ID = "c" * 64
EXEC_ID = "e" * 64
IMAGE_ID = "sha256:" + "a" * 64


class Recorder:
    """``calls``: what was called, with its arguments. ``error``: raised by the next call."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.error: RundletError | None = None

    def note(self, *call: Any) -> None:
        self.calls.append(call)
        if self.error is not None:
            error, self.error = self.error, None
            raise error


class FakeSession(Session):
    """Yields ``output`` and ends at once."""

    def __init__(self, output: Sequence[tuple[int, bytes]] = (), *, tty: bool = False) -> None:
        self.tty = tty
        self.stdin = b""
        self._items = output

    @property
    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        return self._output()

    async def _output(self) -> AsyncIterator[tuple[int, bytes]]:
        for item in self._items:
            yield item

    async def write(self, data: bytes) -> None:
        self.stdin += data

    async def close_stdin(self) -> None:
        pass

    async def close(self) -> None:
        pass


class FakeContainers(Containers):
    def __init__(self, recorder: Recorder) -> None:
        self._note = recorder.note
        self.tty = False
        self.session: Session = FakeSession([(1, b"out"), (2, b"err")])
        self.exit: asyncio.Future[WaitResponse] | WaitResponse = WaitResponse(0)
        self.log: list[LogEntry] = []

    async def create(
        self, request: ContainerCreateRequest, name: str | None = None, *, platform: str = ""
    ) -> tuple[str, list[str]]:
        self._note("create", request, name, *filter(None, [platform]))
        if request.Image == "missing":
            raise ImageNotFound("missing:latest")
        return CONTAINER_ID, []

    async def start(self, ref: str) -> None:
        self._note("start", ref)

    async def stop(self, ref: str, timeout_s: int | None = None, signal: str | None = None) -> None:
        self._note("stop", ref, timeout_s, signal)

    async def restart(self, ref: str, timeout_s: int | None = None, signal: str | None = None) -> None:
        self._note("restart", ref, timeout_s, signal)

    async def kill(self, ref: str, signal: str | None = None) -> None:
        self._note("kill", ref, signal)

    async def pause(self, ref: str) -> None:
        self._note("pause", ref)

    async def unpause(self, ref: str) -> None:
        self._note("unpause", ref)

    async def rename(self, ref: str, new_name: str) -> None:
        self._note("rename", ref, new_name)

    async def remove(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        self._note("remove", ref, force, volumes)

    async def prune(self, filters: Mapping[str, Sequence[str]]) -> tuple[list[str], int]:
        self._note("prune", filters)
        return [], 0

    async def resize(self, ref: str, height: int, width: int) -> None:
        self._note("resize", ref, height, width)

    def waiter(self, ref: str, condition: str = "") -> Awaitable[WaitResponse]:
        self._note("wait", ref, condition)
        if isinstance(self.exit, asyncio.Future):
            return self.exit
        done = asyncio.get_running_loop().create_future()
        done.set_result(self.exit)
        return done

    async def inspect(self, ref: str, *, size: bool = False) -> ContainerInspect:
        self._note("inspect", ref, size)
        if ref == "missing":
            raise ContainerNotFound(ref)
        return _inspected(ref, self.tty)

    def has_terminal(self, ref: str) -> bool:
        if ref == "missing":
            raise ContainerNotFound(ref)
        return self.tty

    async def list(
        self,
        *,
        all: bool = False,  # noqa: A002  the overridden method's
        limit: int = 0,
        filters: Mapping[str, Sequence[str]] | None = None,
        size: bool = False,
    ) -> list[ContainerSummary]:
        self._note("list", all, limit, filters, size)
        return [
            ContainerSummary(
                Id=CONTAINER_ID,
                Names=["/web"],
                Image="x",
                ImageID=IMAGE_ID,
                Command="sh",
                Created=1700000000,
                Ports=[],
                Labels={},
                State="running",
                Status="Up 2 seconds",
                HostConfig=SummaryHostConfig("default"),
                NetworkSettings=SummaryNetworkSettings({}),
                Mounts=[],
            )
        ]

    def logs(self, ref: str, options: LogOptions) -> AsyncIterator[LogEntry]:
        self._note("logs", ref, options)
        return self._logs()

    async def _logs(self) -> AsyncIterator[LogEntry]:
        for entry in self.log:
            yield entry

    async def attach(self, ref: str, options: AttachOptions) -> Session:
        self._note("attach", ref, options)
        return self.session


class FakeExecs(Execs):
    def __init__(self, recorder: Recorder) -> None:
        self._note = recorder.note
        self.session: Session | None = FakeSession([(1, b"out")])
        self.running = False

    async def create(self, container_ref: str, request: ExecCreateRequest) -> str:
        self._note("exec create", container_ref, request)
        return EXEC_ID

    async def start(self, exec_id: str, request: ExecStartRequest) -> Session | None:
        self._note("exec start", exec_id, request)
        return None if request.Detach else self.session

    def inspect(self, exec_id: str) -> ExecInspect:
        self._note("exec inspect", exec_id)
        return ExecInspect(
            ID=exec_id,
            ContainerID=CONTAINER_ID,
            Running=self.running,
            ExitCode=None,
            ProcessConfig=ExecProcessConfig(tty=False, entrypoint="sh", arguments=[], privileged=False, user=""),
            OpenStdin=False,
            OpenStdout=True,
            OpenStderr=True,
            CanRemove=False,
            DetachKeys="",
            Pid=0,
        )

    async def resize(self, exec_id: str, height: int, width: int) -> None:
        self._note("exec resize", exec_id, height, width)


class FakeImages(Images):
    def __init__(self, recorder: Recorder) -> None:
        self._note = recorder.note
        self.progress: list[dict[str, Any] | RundletError] = []
        self.uploaded = b""

    async def inspect(self, name: str) -> ImageInspect:
        self._note("image inspect", name)
        raise ImageNotFound(name)

    async def history(self, name: str) -> Sequence[ImageHistoryItem]:
        self._note("history", name)
        return [ImageHistoryItem(IMAGE_ID, 1, "CMD", None, 0, "")]

    async def tag(self, name: str, reference: str) -> None:
        self._note("tag", name, reference)

    async def remove(self, name: str, *, force: bool = False) -> list[ImageDeleteItem]:
        self._note("image remove", name, force)
        return [ImageDeleteItem(Untagged="a:b"), ImageDeleteItem(Deleted=IMAGE_ID)]

    async def list(self, filters: object = None) -> list[ImageSummary]:
        self._note("image list", filters)
        return [
            ImageSummary(
                Id=IMAGE_ID,
                ParentId="",
                RepoTags=[],
                RepoDigests=[],
                Created=1,
                Size=2,
                SharedSize=-1,
                VirtualSize=2,
                Labels=None,
                Containers=-1,
            )
        ]

    def load(self, stream: BinaryIO) -> AsyncIterator[dict[str, Any]]:
        self._note("load")
        return self._progress(stream)

    def import_(
        self,
        stream: BinaryIO,
        *,
        reference: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
    ) -> AsyncIterator[dict[str, Any]]:
        self._note("import", reference, message, list(changes), *filter(None, [platform]))
        return self._progress(stream)

    def pull(self, reference: str, *, platform: str = "") -> AsyncIterator[dict[str, Any]]:
        self._note("pull", reference, *filter(None, [platform]))
        return self._progress(None)

    def assemble(self, *, reference: str = "", programs: Sequence[str] = ()) -> AsyncIterator[dict[str, Any]]:
        self._note("assemble", reference, list(programs))
        return self._progress(None)

    async def _progress(self, stream: BinaryIO | None) -> AsyncIterator[dict[str, Any]]:
        if stream is not None:
            self.uploaded = await asyncio.to_thread(stream.read)
        for item in self.progress:
            if isinstance(item, RundletError):
                raise item
            yield item


class FakeEngine:
    """``recorder`` is shared by all its services."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.containers = FakeContainers(self.recorder)
        self.execs = FakeExecs(self.recorder)
        self.images = FakeImages(self.recorder)
        self.networks = Networks(Registry(), Path("/data"))
        self.volumes = VolumeListing(Volumes(Path("/data/volumes")), Registry())
        self.events = Events()

    def version(self) -> dict[str, Any]:
        return {"Version": "0.0.1", "ApiVersion": "1.47"}

    async def info(self) -> dict[str, Any]:
        return {"ID": "x", "Swarm": {"LocalNodeState": "inactive"}}

    @property
    def as_engine(self) -> Engine:
        return cast(Engine, self)


def _inspected(ref: str, tty: bool) -> ContainerInspect:
    return ContainerInspect(
        Path="",
        ResolvConfPath="",
        HostnamePath="",
        HostsPath="",
        LogPath="",
        Driver="",
        Platform="",
        MountLabel="",
        ProcessLabel="",
        AppArmorProfile="",
        Id=CONTAINER_ID,
        Created="2024-01-01T00:00:00Z",
        Args=[],
        State=ContainerState(),
        Image=IMAGE_ID,
        Name=f"/{ref}",
        RestartCount=0,
        ExecIDs=None,
        HostConfig=HostConfig(),
        GraphDriver=GraphDriver("overlay2", None),
        Mounts=[],
        Config=ContainerConfig(Tty=tty),
        NetworkSettings=NetworkSettings(),
    )

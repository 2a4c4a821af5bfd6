"""The daemon's end of the supervisor's socket, against a peer that the test plays."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from rundlet.engine.supervisor import Supervisor, SupervisorLost
from rundlet.errors import Conflict, EngineError, InvalidArgument, NotFound, RundletError, StartFailed, Unsupported
from rundlet.runtime import messages
from rundlet.runtime.messages import (
    Delete,
    Done,
    Exited,
    ExitStatus,
    Failed,
    FailureKind,
    Hello,
    Message,
    Signal,
    Start,
    Started,
    Stdio,
    TaskState,
    Welcome,
)

TASK = TaskState("c1", None, 42, 7, Stdio())


class Peer:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)

    async def receive(self) -> Message:
        while True:
            with contextlib.suppress(BlockingIOError):
                received = messages.receive(self.sock)
                assert received is not None
                return received[0]
            await asyncio.sleep(0.001)

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        messages.send(self.sock, message, fds)


@contextlib.asynccontextmanager
async def connected(tmp_path: Path, tasks: Sequence[TaskState] = ()) -> AsyncIterator[tuple[Supervisor, Peer]]:
    path = tmp_path / "supervisor.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        client = Supervisor(path)
        connecting = asyncio.create_task(client.connect())
        await asyncio.sleep(0)
        peer = Peer(listener.accept()[0])
        hello = await peer.receive()
        assert isinstance(hello, Hello)
        peer.send(Welcome(hello.serial, messages.PROTOCOL_VERSION, 99, list(tasks)))
        assert list(await connecting) == list(tasks)
        assert client.pid == 99
        try:
            yield client, peer
        finally:
            client.disconnect()
            peer.sock.close()


def start(container: str = "c1") -> Start:
    return Start(0, container, {"ociVersion": "1"}, Stdio(), "/spool")


async def test_what_it_holds_is_told_at_hello(tmp_path: Path) -> None:
    exited = TaskState("c2", None, 43, 8, Stdio(), ExitStatus(3))
    async with connected(tmp_path, [TASK, exited]):
        pass


async def test_answers_find_their_requests_in_any_order(tmp_path: Path) -> None:
    async with connected(tmp_path) as (client, peer):
        slow, quick = asyncio.create_task(client.start(start())), asyncio.create_task(client.delete("c2"))
        first, second = await peer.receive(), await peer.receive()
        assert isinstance(first, Start)
        assert isinstance(second, Delete)
        peer.send(Done(second.serial))
        await quick
        read_end, write_end = os.pipe()
        peer.send(Started(first.serial, TASK), [read_end, write_end])
        os.close(read_end)
        running = await slow
        assert running.task == TASK
        os.write(running.fds[1], b"x")
        assert os.read(running.fds[0], 1) == b"x"
        for fd in (*running.fds, write_end):
            os.close(fd)


@pytest.mark.parametrize(
    ("kind", "error", "exit_code"),
    [
        ("no-program", StartFailed, 127),
        ("not-executable", StartFailed, 126),
        ("invalid", InvalidArgument, None),
        ("not-found", NotFound, None),
        ("conflict", Conflict, None),
        ("unsupported", Unsupported, None),
        ("system", EngineError, None),
    ],
)
async def test_failures_become_the_engines_errors(
    kind: FailureKind, error: type[RundletError], exit_code: int | None, tmp_path: Path
) -> None:
    async with connected(tmp_path) as (client, peer):
        starting = asyncio.create_task(client.start(start()))
        peer.send(Failed((await peer.receive()).serial, kind, "mount", "it broke"))  # type: ignore[union-attr]  # a request
        with pytest.raises(error, match="it broke") as raised:
            await starting
        assert getattr(raised.value, "exit_code", None) == exit_code


async def test_exits_are_handed_on(tmp_path: Path) -> None:
    async with connected(tmp_path) as (client, peer):
        told: asyncio.Queue[TaskState] = asyncio.Queue()
        client.listen(told.put_nowait, lambda: None)
        peer.send(Exited(TASK))
        assert await told.get() == TASK


@pytest.mark.parametrize("way", ["closed", "nonsense"])
async def test_the_end_of_the_peer_fails_what_is_under_way_and_is_told(way: str, tmp_path: Path) -> None:
    async with connected(tmp_path) as (client, peer):
        lost = asyncio.Event()
        client.listen(lambda task: None, lost.set)
        pending = asyncio.create_task(client.signal("c1", 9))
        assert isinstance(await peer.receive(), Signal)
        if way == "closed":
            peer.sock.close()
        else:
            peer.sock.send(b"Jnot a message")
        await lost.wait()
        with pytest.raises(SupervisorLost):
            await pending
        with pytest.raises(SupervisorLost):
            await client.signal("c1", 9)


async def test_leaving_is_not_losing(tmp_path: Path) -> None:
    async with connected(tmp_path) as (client, _):
        lost = asyncio.Event()
        client.listen(lambda task: None, lost.set)
        client.disconnect()
        await asyncio.sleep(0.01)
        assert not lost.is_set()


async def test_a_peer_that_does_not_read_blocks_nobody(tmp_path: Path) -> None:
    async with connected(tmp_path) as (client, peer):
        config = {"x": "y" * 20_000}
        requests = [Start(0, f"c{n}", config, Stdio(), "/spool") for n in range(100)]
        asking = [asyncio.create_task(client.start(request)) for request in requests]
        await asyncio.sleep(0.01)
        seen = []
        for _ in requests:
            request = await peer.receive()
            assert isinstance(request, Start)
            seen.append(request.container_id)
            peer.send(Failed(request.serial, "system", "", "no"))
        assert seen == [request.container_id for request in requests]
        assert all(
            isinstance(error, EngineError) for error in await asyncio.gather(*asking, return_exceptions=True)
        )


async def test_descriptors_of_an_answer_that_nobody_waits_for_are_closed(tmp_path: Path) -> None:
    async with connected(tmp_path) as (client, peer):
        starting = asyncio.create_task(client.start(start()))
        request = await peer.receive()
        assert isinstance(request, Start)
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        read_end, write_end = os.pipe()
        os.set_blocking(write_end, False)
        peer.send(Started(request.serial, TASK), [read_end])
        os.close(read_end)
        while True:
            try:
                os.write(write_end, b"x")
            except BrokenPipeError:
                break
            await asyncio.sleep(0.001)
        os.close(write_end)


async def test_another_protocol_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "supervisor.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        connecting = asyncio.create_task(Supervisor(path).connect())
        await asyncio.sleep(0)
        with listener.accept()[0] as sock:
            peer = Peer(sock)
            hello = await peer.receive()
            assert isinstance(hello, Hello)
            peer.send(Welcome(hello.serial, 99, 1, []))
            with pytest.raises(EngineError, match="speaks another protocol"):
                await connecting


async def test_nobody_there_is_an_error_that_names_the_socket(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=str(tmp_path)):
        await Supervisor(tmp_path / "supervisor.sock").connect()


async def test_a_peer_that_goes_before_its_welcome_is_lost_to_the_caller_alone(tmp_path: Path) -> None:
    """Whoever connects may look for another one; nothing that ran was lost by this."""
    losses: list[None] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(tmp_path / "supervisor.sock"))
        listener.listen()
        client = Supervisor(tmp_path / "supervisor.sock")
        client.listen(lambda task: None, lambda: losses.append(None))
        connecting = asyncio.create_task(client.connect())
        await asyncio.sleep(0)
        listener.accept()[0].close()
        with pytest.raises(SupervisorLost):
            await connecting
    assert losses == []

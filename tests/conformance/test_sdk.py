"""The SDK in both colours, on our engine and on a real dockerd: one client for either."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

import pytest

from rundlet import Engine, async_, errors
from rundlet.wire.stdcopy import STDERR, STDOUT
from tests.support.busybox import build_archive, build_layer
from tests.support.engines import Dockerd, RundletDaemon

Output = dict[int, bytes]


@pytest.fixture(
    params=[
        pytest.param("daemon", id="rundlet", marks=pytest.mark.privileged),
        pytest.param("dockerd", id="dockerd", marks=pytest.mark.dockerd),
    ]
)
def host(request: pytest.FixtureRequest) -> str:
    """Each engine's address in turn."""
    engine: RundletDaemon | Dockerd = request.getfixturevalue(request.param)
    return engine.host


def spec(*command: str, **fields: object) -> dict[str, Any]:
    return {"Image": "busybox", "Cmd": list(command), "HostConfig": {"NetworkMode": "none"}, **fields}


def run(engine: Engine, *command: str, stdin: bytes = b"") -> tuple[Output, int]:
    """Create, attach, wait, start: as ``docker run -i`` does it."""
    container = engine.containers.create(spec(*command, OpenStdin=True, StdinOnce=True))["Id"]
    output: Output = {STDOUT: b"", STDERR: b""}
    with (
        engine.containers.attach(container, stdin=True) as stream,
        engine.containers.wait(container, "next-exit") as waiter,
    ):
        assert engine.containers.start(container)
        stream.write(stdin)
        stream.close_write()
        for channel, data in stream:
            output[channel] += data
        code, failure = waiter.result()
    assert failure is None
    return output, code


def test_a_run_gives_all_output_stream_by_stream_and_the_exit_code(host: str) -> None:
    output, code = run(Engine(host), "sh", "-c", "cat; echo sorry >&2; exit 3", stdin=b"hello\n")

    assert output == {STDOUT: b"hello\n", STDERR: b"sorry\n"}
    assert code == 3


def test_a_megabyte_comes_back_unharmed(host: str) -> None:
    output, code = run(Engine(host), "sh", "-c", "dd if=/dev/zero bs=1024 count=1024 2>/dev/null")

    assert output[STDOUT] == bytes(1024 * 1024)
    assert code == 0


async def _run_async(host: str) -> tuple[Output, int]:
    engine = async_.Engine(host)
    container = (await engine.containers.create(spec("sh", "-c", "cat; exit 4", OpenStdin=True, StdinOnce=True)))[
        "Id"
    ]
    output: Output = {STDOUT: b"", STDERR: b""}
    async with (
        await engine.containers.attach(container, stdin=True) as stream,
        await engine.containers.wait(container, "next-exit") as waiter,
    ):
        await engine.containers.start(container)
        await stream.write(b"hello")
        stream.close_write()
        async for channel, data in stream:
            output[channel] += data
        code, _ = await waiter.result()
    return output, code


def test_the_async_colour_does_the_same(host: str) -> None:
    assert asyncio.run(_run_async(host)) == ({STDOUT: b"hello", STDERR: b""}, 4)


def test_a_terminal_has_one_stream_and_no_frames(host: str) -> None:
    engine = Engine(host)
    container = engine.containers.create(spec("sh", "-c", "tty >/dev/null && echo yes", Tty=True))["Id"]
    with engine.containers.attach(container, tty=True) as stream:
        engine.containers.start(container)
        output = list(stream)

    assert b"".join(data for _, data in output) == b"yes\r\n"
    assert {channel for channel, _ in output} == {STDOUT}
    assert b"".join(data for _, data in engine.containers.logs(container, tty=True)) == b"yes\r\n"


def test_exec_has_its_own_streams_and_exit_code(host: str) -> None:
    engine = Engine(host)
    container = engine.containers.create(spec("sleep", "600"))["Id"]
    engine.containers.start(container)
    body = {"Cmd": ["sh", "-c", "cat; exit 5"], "AttachStdin": True, "AttachStdout": True, "AttachStderr": True}
    exec_id = engine.execs.create(container, body)
    with engine.execs.start(exec_id) as stream:
        stream.write(b"in")
        stream.close_write()

        assert list(stream) == [(STDOUT, b"in")]
    assert engine.execs.inspect(exec_id)["ExitCode"] == 5


def test_logs_are_there_after_the_exit(host: str) -> None:
    engine = Engine(host)
    container = engine.containers.create(spec("sh", "-c", "echo one; echo two; echo three"))["Id"]
    with engine.containers.wait(container, "next-exit") as waiter:
        engine.containers.start(container)
        assert waiter.result() == (0, None)

    assert b"".join(data for _, data in engine.containers.logs(container, follow=True)) == b"one\ntwo\nthree\n"
    assert b"".join(data for _, data in engine.containers.logs(container, tail=1)) == b"three\n"


def test_a_container_lives_through_all_its_states(host: str) -> None:
    containers = Engine(host).containers
    containers.create(spec("sleep", "600"), name="sdk-life")

    def status() -> str:
        found = containers.inspect("sdk-life")["State"]["Status"]
        assert isinstance(found, str)
        return found

    assert status() == "created"
    assert [containers.start("sdk-life"), containers.start("/sdk-life")] == [True, False]
    containers.pause("sdk-life")
    assert status() == "paused"
    containers.unpause("sdk-life")
    containers.restart("sdk-life", timeout_s=0)
    assert status() == "running"
    assert [c["Names"] for c in containers.list(filters={"name": "sdk-life"})] == [["/sdk-life"]]
    assert [containers.stop("sdk-life", timeout_s=0), containers.stop("sdk-life")] == [True, False]
    containers.rename("sdk-life", "sdk-afterlife")
    with containers.wait("sdk-afterlife", "removed") as waiter:
        containers.remove("sdk-afterlife", force=True, volumes=True)
        assert waiter.result() == (137, None)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda engine: engine.containers.inspect("no-such"), errors.NotFound),
        (lambda engine: engine.containers.create({"Image": "no-such"}), errors.NotFound),
        (lambda engine: engine.containers.logs("no-such"), errors.NotFound),
        (lambda engine: engine.containers.wait("no-such"), errors.NotFound),
        (lambda engine: engine.containers.attach("no-such"), errors.NotFound),
        (lambda engine: engine.execs.start("no-such"), errors.NotFound),
        (lambda engine: engine.images.inspect("no-such"), errors.NotFound),
        (lambda engine: engine.containers.list(filters={"nonsense": "x"}), errors.InvalidArgument),
    ],
)
def test_errors_are_the_same_conditions(
    host: str, call: Callable[[Engine], object], kind: type[errors.RundletError]
) -> None:
    with pytest.raises(kind):
        call(Engine(host))


def test_images_come_and_go(host: str) -> None:
    images = Engine(host).images
    archive = io.BytesIO(build_archive("sdk-load:1"))

    loaded = list(images.load(archive))
    images.tag("sdk-load:1", "localhost:5000/sdk/tagged:2")
    imported = list(images.import_(io.BytesIO(build_layer()), reference="sdk-import:1", changes=['CMD ["id"]']))

    assert loaded[-1]["stream"].strip() == "Loaded image: sdk-load:1"
    assert "localhost:5000/sdk/tagged:2" in images.inspect("sdk-load:1")["RepoTags"]
    assert imported[-1]["status"] == images.inspect("sdk-import:1")["Id"]
    assert images.inspect("sdk-import:1")["Config"]["Cmd"] == ["id"]
    assert len(images.history("sdk-load:1")) == 1
    assert images.list(filters={"reference": "sdk-*"})
    assert {"Untagged": "localhost:5000/sdk/tagged:2"} in images.remove("localhost:5000/sdk/tagged:2")
    for name in ("sdk-load:1", "sdk-import:1"):
        images.remove(name, force=True)
        with pytest.raises(errors.NotFound):
            images.inspect(name)


def test_an_archive_that_is_none_is_an_error_and_not_an_empty_load(host: str) -> None:
    with pytest.raises(errors.RundletError):
        list(Engine(host).images.load([b"garbage"] * 100))


def test_the_engine_says_what_it_is(host: str) -> None:
    system = Engine(host).system
    system.ping()

    assert system.version()["ApiVersion"]
    assert system.info()["OSType"] == "linux"

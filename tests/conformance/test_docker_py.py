"""docker-py, unmodified, as Python programs use it; on our engine and on dockerd."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from typing import Any

import docker
import docker.errors
import pytest

from tests.support.http import Client


@pytest.fixture
def dockerpy(client: Client) -> Iterator[Any]:
    """The client that ``docker.from_env()`` gives, at its newest API version the engine has."""
    connected = docker.DockerClient(base_url=f"unix://{client.socket_path}", version="auto", timeout=30)
    yield connected
    connected.close()
    with warnings.catch_warnings():  # docker-py leaves the sockets of its streams to the collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def test_run_returns_the_output(dockerpy: Any) -> None:
    assert dockerpy.containers.run("busybox", ["echo", "hello"], network_mode="none", remove=True) == b"hello\n"


def test_run_raises_with_the_exit_status_and_stderr(dockerpy: Any) -> None:
    with pytest.raises(docker.errors.ContainerError) as caught:
        dockerpy.containers.run("busybox", ["sh", "-c", "echo no >&2; exit 3"], network_mode="none", remove=True)
    assert (caught.value.exit_status, caught.value.stderr) == (3, b"no\n")


def test_a_missing_image_is_image_not_found(dockerpy: Any) -> None:
    with pytest.raises(docker.errors.ImageNotFound):
        dockerpy.containers.create("no-such-image", "true")


def test_a_missing_container_is_not_found(dockerpy: Any) -> None:
    with pytest.raises(docker.errors.NotFound):
        dockerpy.containers.get("nobody")


def test_a_detached_container_is_followed_waited_for_and_removed(dockerpy: Any) -> None:
    program = ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done; exit 2"]
    container = dockerpy.containers.run("busybox", program, detach=True, network_mode="none", name="followed")
    assert b"".join(container.logs(stream=True, follow=True)) == b"1\n2\n3\n"
    assert container.wait()["StatusCode"] == 2
    container.reload()
    assert container.status == "exited"
    container.remove()
    assert dockerpy.containers.list(all=True) == []


def test_exec_run_keeps_streams_apart(dockerpy: Any) -> None:
    container = dockerpy.containers.run("busybox", ["sleep", "600"], detach=True, network_mode="none")
    result = container.exec_run(["sh", "-c", "echo out; echo err >&2; exit 6"], demux=True)
    assert (result.exit_code, result.output) == (6, (b"out\n", b"err\n"))
    streamed = container.exec_run(["seq", "3"], stream=True)
    assert b"".join(streamed.output) == b"1\n2\n3\n"


def test_an_attached_socket_carries_stdin(dockerpy: Any) -> None:
    container = dockerpy.containers.create("busybox", ["cat"], stdin_open=True, network_mode="none")
    socket = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    socket._sock.sendall(b"typed\n")
    assert socket.read(14) == b"\x01\0\0\0\0\0\0\x06typed\n"
    socket.close()


def test_limits_and_labels_are_there_again(dockerpy: Any) -> None:
    container = dockerpy.containers.create("busybox", "true", mem_limit="32m", nano_cpus=500_000_000, labels=["a"])
    assert container.attrs["HostConfig"]["Memory"] == 33554432
    assert container.attrs["HostConfig"]["NanoCpus"] == 500_000_000
    assert [found.id for found in dockerpy.containers.list(all=True, filters={"label": "a"})] == [container.id]


def test_images_are_listed_tagged_and_removed(dockerpy: Any) -> None:
    image = dockerpy.images.get("busybox")
    assert image.tags == ["busybox:latest"]
    assert image.tag("copy", "v1")
    assert sorted(dockerpy.images.get("copy:v1").tags) == ["busybox:latest", "copy:v1"]
    dockerpy.images.remove("copy:v1")
    with pytest.raises(docker.errors.ImageNotFound):
        dockerpy.images.get("copy:v1")


def test_ping_version_and_info(dockerpy: Any) -> None:
    assert dockerpy.ping()
    assert dockerpy.version()["Os"] == "linux"
    assert dockerpy.info()["OSType"] == "linux"

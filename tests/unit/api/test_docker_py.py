"""docker-py over a fake engine: what its way of reading demands of the server. No container runs here."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest
from docker.errors import ImageLoadError, ImageNotFound, NotFound

from rundlet.api import EngineApi
from rundlet.errors import CorruptArchive
from rundlet.wire.documents import WaitResponse
from tests.unit.api.conftest import Serve
from tests.unit.api.fakes import CONTAINER_ID, FakeEngine, FakeSession


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def client(serve: Serve, engine: FakeEngine) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(f"unix://{serve(EngineApi(engine.as_engine)).path}", version="auto")
    yield client
    client.close()


def test_version_is_negotiated(client: docker.DockerClient) -> None:
    assert client.api.api_version == "1.47"
    assert client.ping() is True


def test_no_byte_of_exec_output_is_lost(client: docker.DockerClient, engine: FakeEngine) -> None:
    """It reads headers through a buffer and output from the socket below (docker-py#1732): with output that
    is there at once, a careless server loses it nine times in ten."""
    engine.execs.session = FakeSession([(1, b"out"), (2, b"err")])
    container = client.containers.get("web")
    assert [container.exec_run("ls", demux=True).output for _ in range(20)] == [(b"out", b"err")] * 20


def test_no_byte_of_attach_output_is_lost(client: docker.DockerClient, engine: FakeEngine) -> None:
    engine.containers.session = FakeSession([(1, b"out"), (2, b"err")])
    container = client.containers.get("web")
    assert [container.attach(stdout=True, stderr=True) for _ in range(20)] == [b"outerr"] * 20


def test_detached_exec_is_empty(client: docker.DockerClient) -> None:
    assert client.containers.get("web").exec_run("ls", detach=True).output == ""


def test_wait_returns_the_status(client: docker.DockerClient, engine: FakeEngine) -> None:
    engine.containers.exit = WaitResponse(3)
    assert client.containers.get("web").wait()["StatusCode"] == 3


def test_errors_become_the_exceptions_that_its_users_catch(client: docker.DockerClient) -> None:
    with pytest.raises(NotFound, match="No such container: missing"):
        client.containers.get("missing")
    with pytest.raises(ImageNotFound):
        client.containers.create("missing")
    with pytest.raises(ImageNotFound):
        client.images.get("missing")
    with pytest.raises(NotFound):
        client.networks.get("missing")
    with pytest.raises(NotFound):
        client.volumes.get("missing")


def test_leaving_no_swarm_is_no_error(client: docker.DockerClient) -> None:
    """It accepts 406 and 503 only; its own test suite calls this after every network test."""
    assert client.swarm.leave(force=True) is True


def test_bad_archive_is_a_load_error(client: docker.DockerClient, engine: FakeEngine) -> None:
    engine.images.progress = [CorruptArchive("archive", "no manifest")]
    with pytest.raises(ImageLoadError, match="no manifest"):
        client.images.load(b"x" * 100)


def test_events_can_be_closed_while_they_wait(client: docker.DockerClient) -> None:
    events = client.events()
    events.close()


def test_lists(client: docker.DockerClient) -> None:
    (container,) = client.containers.list(all=True, filters={"label": "a"}, ignore_removed=True)
    assert container.id == CONTAINER_ID
    assert [network.name for network in client.networks.list()] == ["bridge", "host", "none"]
    assert client.volumes.list() == []

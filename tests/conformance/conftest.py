"""Fixtures for tests that know an engine only by its socket: each runs on ours and on a real dockerd.

A test that passes on dockerd is right about Docker; one that passes on both says that we are like it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.engines import Dockerd, RundletDaemon, docker_clients
from tests.support.http import Client

_CLIENTS = docker_clients()


@dataclass(frozen=True)
class DockerCli:
    """The docker command, told where the engine is."""

    program: Path
    host: str
    client: Client
    """For what a test prepares or checks behind the CLI's back."""

    def __call__(
        self, *arguments: str, stdin: bytes = b"", status: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run it to the end; AssertionError unless it exits with ``status`` (None: whatever it is)."""
        done = subprocess.run(
            [self.program, *arguments],
            input=stdin,
            env=self.environment,
            capture_output=True,
            check=False,
            timeout=50,
        )
        result = subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )
        if status is not None and result.returncode != status:
            raise AssertionError(f"docker {arguments}: status {result.returncode}, not {status}\n{result.stderr}")
        return result

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Run it in the background with pipes."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [self.program, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, env=self.environment
        )

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "DOCKER_HOST": self.host, "RUNDLET_HOST": self.host}

    def run_detached(self, *arguments: str) -> str:
        """``run -d --network none``; the container's id."""
        return self("run", "-d", "--network", "none", *arguments).stdout.strip()


def _pairs() -> list[object]:
    """Ours with every docker CLI there is, and with our own in the same words; dockerd with its own."""
    programs = {f"rundlet-{program.parent.as_posix()[1:].replace('/', '-')}": program for program in _CLIENTS}
    programs["rundlet-rundlet"] = Path(sys.executable).parent / "rundlet"
    pairs: list[object] = [
        pytest.param(("daemon", program), id=name, marks=pytest.mark.privileged)
        for name, program in programs.items()
    ]
    pairs += [
        pytest.param(("dockerd", program), id="dockerd", marks=pytest.mark.dockerd) for program in _CLIENTS[:1]
    ]
    return pairs


@pytest.fixture(params=_pairs())
def docker(request: pytest.FixtureRequest) -> DockerCli:
    """The docker CLI and an engine for it."""
    fixture, program = request.param
    engine: RundletDaemon | Dockerd = request.getfixturevalue(fixture)
    return DockerCli(program, engine.host, engine.client)


@pytest.fixture(
    params=[
        pytest.param("daemon", id="rundlet", marks=pytest.mark.privileged),
        pytest.param("dockerd", id="dockerd", marks=pytest.mark.dockerd),
    ]
)
def client(request: pytest.FixtureRequest) -> Client:
    """The API of each engine in turn."""
    engine: RundletDaemon | Dockerd = request.getfixturevalue(request.param)
    return engine.client


@pytest.fixture
def make_container(client: Client) -> Callable[..., str]:
    """``make_container("sleep", "60", HostConfig={…})`` creates one with network none; its id."""

    def make(*command: str, **fields: object) -> str:
        host_config = {"NetworkMode": "none", **dict(fields.pop("HostConfig", {}))}  # type: ignore[call-overload]
        body = {"Image": "busybox", "Cmd": list(command), "HostConfig": host_config, **fields}
        reply = client.post("/containers/create", body)
        assert reply.status == 201, reply.body
        container = reply.json()["Id"]
        assert isinstance(container, str)
        return container

    return make

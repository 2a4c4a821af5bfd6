"""What is timed: each workload is one function of a target, and one call of it is one sample."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.client import Connection

IMAGE = "busybox"


@dataclass(frozen=True)
class Target:
    """An engine to measure."""

    name: str
    socket_path: Path
    cli: Path
    """``rundlet``, or the docker CLI that came with dockerd."""
    host_variable: str
    """The environment variable that tells the CLI where the engine is."""

    def connect(self) -> Connection:
        return Connection(self.socket_path)


Sample = Callable[[], None]


def create_container(connection: Connection, *command: str) -> str:
    body = {"Image": IMAGE, "Cmd": command, "HostConfig": {"NetworkMode": "none"}}
    container = connection.call("POST", "/containers/create", body)["Id"]
    assert isinstance(container, str)
    return container


def run_container(connection: Connection) -> None:
    """Create, start, wait for and remove a container that runs ``true``."""
    container = create_container(connection, "true")
    connection.call("POST", f"/containers/{container}/start")
    status = connection.call("POST", f"/containers/{container}/wait")["StatusCode"]
    connection.call("DELETE", f"/containers/{container}")
    if status != 0:
        raise RuntimeError(f"`true` ended with status {status}")


@contextlib.contextmanager
def running_container(target: Target) -> Iterator[str]:
    """A container that sleeps, by its id."""
    with target.connect() as connection:
        container = create_container(connection, "sleep", "3600")
        try:
            connection.call("POST", f"/containers/{container}/start")
            yield container
        finally:
            connection.call("DELETE", f"/containers/{container}?force=1")


def run_exec(connection: Connection, container: str) -> None:
    """Exec ``true`` with output attached, read to the end, and ask for its exit code."""
    body = {"Cmd": ["true"], "AttachStdout": True, "AttachStderr": True}
    exec_id = connection.call("POST", f"/containers/{container}/exec", body)["Id"]
    connection.call("POST", f"/exec/{exec_id}/start", {"Detach": False, "Tty": False})
    status = connection.call("GET", f"/exec/{exec_id}/json")["ExitCode"]
    if status != 0:
        raise RuntimeError(f"exec of `true` ended with status {status}")


@contextlib.contextmanager
def api_run(target: Target) -> Iterator[Sample]:
    with target.connect() as connection:
        yield lambda: run_container(connection)


@contextlib.contextmanager
def api_exec(target: Target) -> Iterator[Sample]:
    with running_container(target) as container, target.connect() as connection:
        yield lambda: run_exec(connection, container)


@contextlib.contextmanager
def cli_run(target: Target) -> Iterator[Sample]:
    command: list[str | Path] = [target.cli, "run", "--rm", "--network", "none", IMAGE, "true"]
    environment = {**os.environ, target.host_variable: f"unix://{target.socket_path}"}

    def sample() -> None:
        subprocess.run(command, env=environment, check=True, stdin=subprocess.DEVNULL)

    yield sample


@dataclass(frozen=True)
class Workload:
    name: str
    prepare: Callable[[Target], contextlib.AbstractContextManager[Sample]]
    warm_up: int
    runs: int


WORKLOADS = (
    Workload("create+start+wait+remove", api_run, warm_up=5, runs=100),
    Workload("exec", api_exec, warm_up=5, runs=100),
    Workload("cli run --rm", cli_run, warm_up=2, runs=30),
)

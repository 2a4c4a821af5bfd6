from __future__ import annotations

import os
import select
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rundlet.cgroups import detect
from rundlet.runtime.messages import Delete
from rundlet.runtime.supervisor import spawn_supervisor
from tests.integration.supervisor.client import Client
from tests.support.busybox import BUSYBOX, missing_busybox

INSTANCE = f"sv{os.getpid()}"
APPLETS = ("sh", "cat", "echo", "sleep", "true", "tail", "head", "stty", "kill", "dd", "yes", "ls", "seq")


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system with busybox, and mount points."""
    if reason := missing_busybox():
        pytest.skip(reason)
    root = tmp_path_factory.mktemp("image") / "root"
    for name in ("bin", "dev", "proc", "sys", "tmp", "etc"):
        (root / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    return root


@pytest.fixture
def client(root: Path, tmp_path: Path) -> Iterator[Client]:
    """A daemon of a supervisor of its own. Afterwards both are gone, and nothing of theirs is left."""
    run = tmp_path / "run"
    run.mkdir()
    spawn_supervisor(run, INSTANCE)
    client = Client(run, root)
    try:
        yield client
    finally:
        end(Client(run, root))
        client.close()
    log = (run / "supervisor.log").read_text()
    assert "Error" not in log, log
    assert not (run / "supervisor.sock").exists()
    for directory in detect().cgroup(f"/{INSTANCE}").directories.values():
        assert not os.path.exists(directory)


def end(client: Client) -> None:
    """Delete whatever there is and end the supervisor."""
    pidfd = os.pidfd_open(client.welcome.pid)
    for name in {task.container_id for task in client.welcome.tasks}:
        client.done(Delete(0, name, force=True))
    client.shutdown()
    client.close()
    assert select.select([pidfd], [], [], 10)[0], "the supervisor did not end"
    os.close(pidfd)


@pytest.fixture
def wait_for() -> Callable[[Callable[[], object]], None]:
    def wait(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "it did not come true in time"
            os.sched_yield()

    return wait

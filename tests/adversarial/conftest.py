from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adversarial.arena import HOST_IMAGE, Arena
from tests.support.engines import RundletDaemon


def _prepare(daemon: RundletDaemon, busybox_archive: Path) -> Arena:
    daemon.client.post("/images/load", busybox_archive.read_bytes())
    reply = daemon.client.post("/images/create", fromImage=HOST_IMAGE)
    assert reply.status == 200, reply.body
    return Arena(daemon)


@pytest.fixture(scope="session")
def _session_arena(busybox_archive: Path) -> Iterator[Arena]:
    with RundletDaemon.create() as daemon:
        yield _prepare(daemon, busybox_archive)


@pytest.fixture
def arena(_session_arena: Arena) -> Iterator[Arena]:
    """A shared engine. After each test it must be the same process, with nothing left of the test's containers."""
    daemon = _session_arena.daemon
    pid = daemon.pid
    yield _session_arena
    assert daemon.is_running(), f"the daemon died:\n{daemon.log}"
    assert daemon.pid == pid
    assert "Traceback" not in daemon.log, daemon.log
    daemon.remove_containers()
    _session_arena.forget_images()
    left = daemon.footprint.of_containers()
    assert not left, f"left behind by removed containers: {left}"


@pytest.fixture
def own_arena(busybox_archive: Path) -> Iterator[Arena]:
    """An engine for this test alone, which may kill it."""
    with RundletDaemon.create() as daemon:
        yield _prepare(daemon, busybox_archive)

"""Fixtures and rules for the whole suite.

``privileged`` tests need root and namespaces, ``dockerd`` tests also Debian's docker.io. Where those are
missing the tests are skipped, and the reason is printed; with ``CI=true`` such a skip is a failure, so that CI
cannot turn green by running nothing.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support.busybox import build_archive, missing_busybox
from tests.support.engines import Dockerd, RundletDaemon, docker_clients, missing_dockerd
from tests.support.host import missing_privileges

IN_CI = os.environ.get("CI") == "true"


def pytest_runtest_setup(item: pytest.Item) -> None:
    needs_dockerd = item.get_closest_marker("dockerd") is not None
    if needs_dockerd or item.get_closest_marker("privileged"):
        if reason := missing_privileges():
            pytest.skip(reason)
        if needs_dockerd and (reason := missing_dockerd()):
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    marked = any(item.get_closest_marker(name) for name in ("privileged", "dockerd"))
    if IN_CI and marked and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: a privileged test may not be skipped in CI: {reason}"
    return report


@pytest.fixture(scope="session")
def busybox_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A docker-archive with ``busybox:latest``."""
    if reason := missing_busybox():
        pytest.skip(reason)
    path = tmp_path_factory.mktemp("busybox") / "busybox.tar"
    path.write_bytes(build_archive())
    return path


@pytest.fixture(scope="session")
def _session_daemon(busybox_archive: Path) -> Iterator[RundletDaemon]:
    with RundletDaemon.create() as daemon:
        daemon.client.post("/images/load", busybox_archive.read_bytes())
        yield daemon


@pytest.fixture
def daemon(_session_daemon: RundletDaemon) -> Iterator[RundletDaemon]:
    """A running daemon with ``busybox:latest`` and no container; shared, so do not stop it.

    After each test it must still be the same process, and what its containers made must be gone with them.
    """
    pid = _session_daemon.pid
    yield _session_daemon
    assert _session_daemon.is_running(), f"the daemon died:\n{_session_daemon.log}"
    assert _session_daemon.pid == pid
    _session_daemon.remove_containers()
    left = _session_daemon.footprint.of_containers()
    assert not left, f"left behind by removed containers: {left}"


@pytest.fixture
def own_daemon(busybox_archive: Path) -> Iterator[RundletDaemon]:
    """A daemon with ``busybox:latest`` for this test alone, which may kill and restart it."""
    with RundletDaemon.create() as daemon:
        daemon.client.post("/images/load", busybox_archive.read_bytes())
        yield daemon


@pytest.fixture(scope="session")
def _session_dockerd(busybox_archive: Path) -> Iterator[Dockerd]:
    with Dockerd.create() as dockerd:
        dockerd.client.post("/images/load", busybox_archive.read_bytes())
        yield dockerd


@pytest.fixture
def dockerd(_session_dockerd: Dockerd) -> Iterator[Dockerd]:
    """A real dockerd with ``busybox:latest`` and no container; shared."""
    yield _session_dockerd
    _session_dockerd.remove_containers()


@pytest.fixture(params=docker_clients(), ids=lambda path: path.parent.as_posix().strip("/").replace("/", "-"))
def docker(request: pytest.FixtureRequest) -> Path:
    """Each docker CLI of this machine in turn."""
    path = request.param
    assert isinstance(path, Path)
    return path

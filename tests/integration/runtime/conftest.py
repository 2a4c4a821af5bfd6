from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rundlet.cgroups import Hierarchies, detect
from tests.integration.runtime.sandbox import Sandbox, make_busybox_root
from tests.support.busybox import missing_busybox

INSTANCE = f"rt{os.getpid()}"


@pytest.fixture(scope="session")
def busybox_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if reason := missing_busybox():
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("busybox") / "root"
    make_busybox_root(directory)
    return directory


@pytest.fixture(scope="session")
def hierarchies() -> Iterator[Hierarchies]:
    found = detect()
    yield found
    for directory in found.cgroup(f"/{INSTANCE}").directories.values():
        if os.path.isdir(directory):
            os.rmdir(directory)


@pytest.fixture
def sandbox(busybox_root: Path, hierarchies: Hierarchies, tmp_path: Path) -> Iterator[Sandbox]:
    """Afterwards nothing of its containers may be left: no descriptor, mount, process or cgroup."""
    for name in ("rootfs", "upper", "work"):
        (tmp_path / name).mkdir()
    descriptors = set(os.listdir("/proc/self/fd"))
    cgroup = hierarchies.cgroup(f"/{INSTANCE}/box")
    cgroup.create()
    sandbox = Sandbox(tmp_path, [busybox_root], hierarchies, cgroup)
    try:
        yield sandbox
    finally:
        cgroup.kill()
        sandbox.reap()  # first: an init does not end before the others of its pid namespace are reaped
        for running in reversed(sandbox.started):
            running.close()
        _remove_when_empty(hierarchies, cgroup.path)
    cgroup.close()
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    assert set(os.listdir("/proc/self/fd")) == descriptors


def _remove_when_empty(hierarchies: Hierarchies, path: str) -> None:
    """Processes that were killed leave their cgroup a moment after they became zombies nobody waits for."""
    while not hierarchies.cgroup(path).remove():
        os.sched_yield()

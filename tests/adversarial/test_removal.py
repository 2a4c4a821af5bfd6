"""Containers that are hard to get rid of, and what becomes of the engine that tries."""

from __future__ import annotations

import pytest

from tests.adversarial.arena import Arena

pytestmark = pytest.mark.privileged

NEST = """
import signal
for top in {tops}:
    os.chdir(top)
    for _ in range(1200):
        os.mkdir("d")
        os.chdir("d")
print("nested", flush=True)
{then}
"""


def test_directories_nested_without_end_go_with_the_container_and_its_volume(arena: Arena) -> None:
    """Deleted by recursion they would take the engine with them: now, and at each start."""
    container = arena.spawn_python(
        NEST.format(tops=["/", "/anonymous"], then=""), {"AutoRemove": True}, Volumes={"/anonymous": {}}
    )
    arena.wait_until_gone(container)
    assert list((arena.daemon.data_root / "volumes").iterdir()) == []


def test_a_daemon_that_starts_sweeps_up_directories_nested_without_end(own_arena: Arena) -> None:
    container = own_arena.spawn_python(NEST.format(tops=["/"], then="signal.pause()"))
    own_arena.wait_for_output(container, b"nested\n")
    [upper] = own_arena.daemon.data_root.glob("containers/*/upper")
    own_arena.daemon.kill()
    stray = own_arena.daemon.data_root / "volumes/stray"
    stray.parent.mkdir(exist_ok=True)
    (upper / "d").rename(stray)

    own_arena.daemon.start()

    assert not stray.exists()
    own_arena.remove(container)


def test_a_freezer_of_its_own_does_not_keep_a_privileged_container(arena: Arena) -> None:
    """Below its cgroup it makes another one, puts a process into it and freezes it: v1 keeps that from dying."""
    script = """
for top in freezer unified; do
    mkdir -p /sys/fs/cgroup/$top/a/b || exit 1
    sleep 600 &
    echo $! > /sys/fs/cgroup/$top/a/b/cgroup.procs
done
echo FROZEN > /sys/fs/cgroup/freezer/a/freezer.state
echo 1 > /sys/fs/cgroup/unified/a/cgroup.freeze
echo frozen
exec sleep 600
"""
    container = arena.spawn("busybox", ["sh", "-c", script], {"Privileged": True})
    arena.wait_for_output(container, b"frozen\n")
    arena.remove(container)

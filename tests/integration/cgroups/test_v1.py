"""Real groups on a real kernel: limits hold, freezing freezes, killing kills, nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from rundlet.cgroups import Cgroup, Hierarchies, detect
from rundlet.errors import Conflict, InvalidArgument

pytestmark = pytest.mark.privileged

PARENT = f"/rundlet-test-{os.getpid()}"


@pytest.fixture(params=["hybrid", "v1"])
def hierarchies(request: pytest.FixtureRequest) -> Iterator[Hierarchies]:
    """As this machine has them, and once more without the unified tree."""
    found = detect()
    if request.param == "hybrid" and found.unified is None:
        pytest.skip("no unified tree is mounted")
    hierarchies = found if request.param == "hybrid" else Hierarchies(found.controllers, None)
    yield hierarchies
    assert hierarchies.cgroup(PARENT).remove()


@pytest.fixture
def cgroup(hierarchies: Hierarchies) -> Iterator[Cgroup]:
    cgroup = hierarchies.cgroup(f"{PARENT}/one")
    cgroup.create()
    yield cgroup
    cgroup.thaw()
    cgroup.kill()
    _wait_for(lambda: cgroup.remove())


@pytest.fixture
def sleeper(cgroup: Cgroup) -> Iterator[subprocess.Popen[bytes]]:
    with _spawn(cgroup, "import time; time.sleep(60)") as process:
        yield process
        process.kill()


def _spawn(cgroup: Cgroup, code: str) -> subprocess.Popen[bytes]:
    """A Python that runs ``code`` once it is in the group."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.stdin.read(1)\n{code}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    cgroup.join(process.pid)
    if cgroup.unified_fd is not None:
        # Born in the unified tree is what a container is; a subprocess has to be moved.
        fd = os.open("cgroup.procs", os.O_WRONLY, dir_fd=cgroup.unified_fd)
        os.write(fd, b"%d" % process.pid)
        os.close(fd)
    assert process.stdin is not None
    process.stdin.write(b"x")
    process.stdin.flush()
    return process


def _wait_for(condition: object, timeout_s: float = 10.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "condition did not come true in time"
        os.sched_yield()


def test_a_process_is_in_every_hierarchy(cgroup: Cgroup, sleeper: subprocess.Popen[bytes]) -> None:
    with open(f"/proc/{sleeper.pid}/cgroup", encoding="ascii") as file:
        paths = [line.strip().split(":", 2)[2] for line in file if cgroup.unified_fd or not line.startswith("0:")]
    assert len(paths) > 5
    assert set(paths) == {cgroup.path}
    assert cgroup.pids() == [sleeper.pid]


def test_the_same_group_twice_is_a_conflict_while_it_is_in_use(
    hierarchies: Hierarchies, cgroup: Cgroup, sleeper: subprocess.Popen[bytes]
) -> None:
    other = hierarchies.cgroup(cgroup.path)
    with pytest.raises(Conflict, match="in use"):
        other.create()
    assert cgroup.pids() == [sleeper.pid]


def test_an_empty_group_left_behind_is_replaced(hierarchies: Hierarchies, cgroup: Cgroup) -> None:
    cgroup.apply({"pids": {"limit": 7}})
    other = hierarchies.cgroup(cgroup.path)
    other.create()
    assert other.stats().pids.limit is None
    other.close()


def test_a_frozen_group_stands_still_and_goes_on_when_thawed(cgroup: Cgroup) -> None:
    with _spawn(cgroup, "import os\nwhile True: os.write(1, b'x' * 4096)") as process:
        assert process.stdout is not None
        process.stdout.read(4096)
        cgroup.freeze()
        assert cgroup.is_frozen()
        output = process.stdout.fileno()
        os.set_blocking(output, False)
        while _read_now(output):
            pass
        assert cgroup.stats().cpu.total_ns == cgroup.stats().cpu.total_ns
        cgroup.thaw()
        assert not cgroup.is_frozen()
        _wait_for(lambda: _read_now(output))
        process.kill()


def _read_now(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""


@pytest.mark.parametrize("frozen", [False, True])
def test_kill_ends_the_whole_tree_frozen_or_not(cgroup: Cgroup, frozen: bool) -> None:
    code = "import os, time\nfor _ in range(3): os.fork()\nos.write(1, b'x')\ntime.sleep(60)"
    with _spawn(cgroup, code) as process:
        assert process.stdout is not None
        for _ in range(8):
            process.stdout.read(1)
        assert len(cgroup.pids()) == 8
        if frozen:
            cgroup.freeze()
        cgroup.kill()
        assert process.wait(10) == -signal.SIGKILL
    _wait_for(lambda: not cgroup.pids())


@pytest.mark.parametrize("action", ["kill", "thaw"])
def test_a_group_that_somebody_else_removes_meanwhile_is_no_error(
    cgroup: Cgroup, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon and its supervisor both clean up after a start that was interrupted."""
    write = os.write

    def remove_first(fd: int, data: bytes) -> int:
        assert cgroup.remove()
        return write(fd, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", remove_first)
        getattr(cgroup, action)()
    assert cgroup.remove()


def test_a_busy_group_is_not_removed_and_an_empty_one_is(cgroup: Cgroup, sleeper: subprocess.Popen[bytes]) -> None:
    assert not cgroup.remove()
    sleeper.kill()
    sleeper.wait()
    _wait_for(cgroup.remove)
    assert cgroup.pids() == []
    cgroup.thaw()
    cgroup.kill()


def test_the_pids_limit_holds(cgroup: Cgroup) -> None:
    cgroup.apply({"pids": {"limit": 4}})
    code = (
        "import os\n"
        "try:\n    for n in range(10):\n        if os.fork() == 0: import time; time.sleep(60)\n"
        "except BlockingIOError: os.write(1, b'%d' % n)\n"
    )
    with _spawn(cgroup, code) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"3"
        cgroup.kill()


def test_memory_over_the_limit_is_killed_and_counted(cgroup: Cgroup) -> None:
    cgroup.apply({"memory": {"limit": 32 << 20, "swap": 32 << 20}})
    assert cgroup.oom_kills() == 0
    with _spawn(cgroup, "x = bytearray(200 << 20)") as process:
        assert process.wait(20) == -signal.SIGKILL
    assert cgroup.oom_kills() == 1
    assert cgroup.stats().memory.limit_bytes == 32 << 20


def test_limits_can_be_lowered_and_raised_in_any_order(cgroup: Cgroup) -> None:
    for megabytes in (64, 32, 256):
        cgroup.apply({"memory": {"limit": megabytes << 20, "swap": megabytes << 20}})
        assert cgroup.stats().memory.limit_bytes == megabytes << 20
    cgroup.apply({"cpu": {"quota": 10_000, "period": 20_000, "shares": 100}})
    cgroup.apply({"cpu": {"quota": 200_000, "period": 100_000}})


def test_a_limit_that_the_kernel_refuses_is_named(cgroup: Cgroup) -> None:
    with pytest.raises(InvalidArgument, match=r"cannot set cpuset\.cpus 4000"):
        cgroup.apply({"cpu": {"cpus": "4000"}})
    with pytest.raises(InvalidArgument, match=r"cannot set cpu\.cfs_quota_us 1"):
        cgroup.apply({"cpu": {"period": 1, "quota": 1}})


def test_devices_are_denied_except_the_standard_ones(
    cgroup: Cgroup, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cgroup.apply({"devices": [{"allow": False, "access": "rwm"}]})
    node = tmp_path_factory.mktemp("dev") / "kmsg"
    code = (
        f"import os, stat\nos.mknod({str(node)!r}, 0o600 | stat.S_IFCHR, os.makedev(1, 11))\n"
        "open('/dev/null').close(); open('/dev/urandom').close()\n"
        f"try: open({str(node)!r})\nexcept PermissionError: os.write(1, b'denied')\n"
    )
    with _spawn(cgroup, code) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"denied"


def test_what_was_used_is_counted(cgroup: Cgroup) -> None:
    with _spawn(cgroup, "sum(range(2_000_000)); print(flush=True); sys.stdin.read()") as process:
        assert process.stdout is not None
        process.stdout.readline()
        stats = cgroup.stats()
        process.kill()
    assert stats.cpu.total_ns > 1_000_000
    assert len(stats.cpu.per_cpu_ns) >= 1
    assert stats.memory.usage_bytes > 0
    assert stats.memory.stat is not None
    assert stats.pids.current == 1

"""Programs that take all they can get, and disks that give nothing: the engine answers, and goes on."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adversarial.arena import Arena, build_evil_layer
from tests.support.busybox import build_archive
from tests.support.engines import RundletDaemon, wait_until

pytestmark = pytest.mark.privileged

MIB = 1024 * 1024


def resident_mib(pid: int) -> float:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def test_a_fork_bomb_meets_its_limit_and_is_gone_at_once_when_it_is_removed(arena: Arena) -> None:
    container = arena.spawn_python("while True:\n    attempt_to(os.fork)", {"PidsLimit": 64})
    arena.wait_for_processes(container, 64)
    slowest = 0.0
    for _ in range(50):
        started = time.monotonic()
        assert arena.daemon.client.get("/_ping").status == 200
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < 1.0
    assert arena.shell("echo fine").stdout == "fine\n"
    started = time.monotonic()
    arena.remove(container)
    assert time.monotonic() - started < 5.0
    assert arena.processes_of(container) == []


def test_memory_beyond_the_limit_is_a_kill_that_is_told_as_such(arena: Arena) -> None:
    container = arena.spawn_python("held = [bytearray(1 << 20) for _ in range(500)]", {"Memory": 32 * MIB})
    assert arena.outcome(container).status == 137
    assert arena.state(container)["OOMKilled"] is True


def test_a_file_system_in_memory_counts(arena: Arena) -> None:
    outcome = arena.shell(
        "dd if=/dev/zero of=/dev/shm/full bs=1M count=100; echo $?", {"Memory": 32 * MIB, "ShmSize": 512 * MIB}
    )
    assert outcome.status == 137 or "137" in outcome.stdout


class TestStubbornPrograms:
    def test_one_that_was_stopped_by_a_signal_runs_and_can_be_ended(self, arena: Arena) -> None:
        container = arena.spawn("busybox", ["sleep", "600"])
        arena.daemon.client.post(f"/containers/{container}/kill", signal="STOP")
        assert arena.state(container)["Status"] == "running"
        assert arena.daemon.client.post(f"/containers/{container}/stop", t="0").status == 204
        assert arena.state(container)["ExitCode"] == 137

    def test_one_that_ignores_every_signal_is_killed_after_the_time_given(self, arena: Arena) -> None:
        container = arena.spawn("busybox", ["sh", "-c", "trap '' TERM INT HUP QUIT; while :; do sleep 1; done"])
        started = time.monotonic()
        assert arena.daemon.client.post(f"/containers/{container}/stop", t="1").status == 204
        assert 1.0 <= time.monotonic() - started < 6.0
        assert arena.state(container)["ExitCode"] == 137

    def test_one_that_reaps_nothing_leaves_nothing(self, arena: Arena) -> None:
        container = arena.spawn_python("""
for _ in range(200):
    if os.fork() == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
print("zombies", flush=True)
import signal
signal.pause()
""")
        arena.wait_for_output(container, b"zombies\n")
        arena.remove(container)
        assert arena.processes_of(container) == []

    @pytest.mark.parametrize("number", [1, 2, 6, 9, 11, 15, 31])
    def test_one_that_dies_by_a_signal_tells_which(self, arena: Arena, number: int) -> None:
        """Process 1 is immune against its own signals: the engine sends it."""
        container = arena.spawn("busybox", ["sleep", "600"])
        reply = arena.daemon.client.post(f"/containers/{container}/kill", signal=str(number))
        assert reply.status == 204
        arena.daemon.client.post(f"/containers/{container}/kill")
        assert arena.outcome(container).status in (128 + number, 137)

    @pytest.mark.parametrize("signal", ["KILL", "TERM"])
    def test_a_paused_one_can_be_stopped_and_removed(self, arena: Arena, signal: str) -> None:
        container = arena.spawn("busybox", ["sleep", "600"], StopSignal=signal)
        arena.daemon.client.post(f"/containers/{container}/pause")
        assert arena.daemon.client.post(f"/containers/{container}/stop", t="0").status == 204
        second = arena.spawn("busybox", ["sleep", "600"])
        arena.daemon.client.post(f"/containers/{second}/pause")
        arena.remove(second)


class TestOutput:
    def test_one_endless_line_costs_no_memory(self, arena: Arena) -> None:
        container = arena.spawn("busybox", ["sh", "-c", "dd if=/dev/zero bs=1M count=64 | tr '\\0' x"])
        before = largest = resident_mib(arena.daemon.pid)
        while arena.state(container)["Running"]:
            largest = max(largest, resident_mib(arena.daemon.pid))
        assert largest - before < 100
        text = arena.outcome(container).stdout
        assert set(text) == {"x"}

    def test_followers_that_read_nothing_hold_up_neither_engine_nor_neighbours(self, arena: Arena) -> None:
        container = arena.spawn("busybox", ["sh", "-c", "yes 0123456789012345678901234567890123456789"])
        stalled = [arena.open(f"GET /containers/{container}/logs?stdout=1&follow=1") for _ in range(50)]
        stalled += [arena.open(f"POST /containers/{container}/attach?stdout=1&stream=1") for _ in range(300)]
        try:
            for _ in range(5):
                started = time.monotonic()
                assert arena.shell("echo fine").stdout == "fine\n"
                assert time.monotonic() - started < 10.0
        finally:
            for sock in stalled:
                sock.close()
        wait_until(lambda: arena.descriptors() < 100, "the engine to let go of its clients")


class TestDisks:
    @pytest.fixture
    def disk(self, tmp_path: Path) -> Iterator[Path]:
        disk = tmp_path / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], check=True)
        try:
            yield disk
        finally:
            subprocess.run(["umount", disk], check=True)

    def test_one_that_is_full_when_the_daemon_dies_is_no_obstacle_to_the_next(
        self, disk: Path, busybox_archive: Path
    ) -> None:
        with RundletDaemon.create(disk) as daemon:
            arena = Arena(daemon)
            arena.load(busybox_archive.read_bytes())
            running = arena.spawn("busybox", ["sh", "-c", "yes x; exit 5"])
            with (disk / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(4096))
            threading.Event().wait(0.2)
            daemon.kill()
            daemon.start()
            assert arena.state(running)["Status"] == "running"
            (disk / "ballast").unlink()
            arena.remove(running)
            assert arena.shell("echo again").stdout == "again\n"


@pytest.fixture
def failing_disk(tmp_path: Path) -> Iterator[Path]:
    """An ext4 that turns read-only at its first error, as most do."""
    image, disk = tmp_path / "image", tmp_path / "disk"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop,errors=remount-ro", image, disk], check=True)
    yield disk
    wait_until(
        lambda: subprocess.run(["umount", disk], check=False, capture_output=True).returncode == 0, "umount"
    )


def _break(disk: Path) -> None:
    """Let the kernel find an error in the file system."""
    [device] = {line.split()[0] for line in Path("/proc/mounts").read_text().splitlines() if f" {disk} " in line}
    Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error").write_text("x")


def test_a_disk_that_turns_read_only_gives_errors_and_ends_nothing(
    failing_disk: Path, busybox_archive: Path, tmp_path: Path
) -> None:
    run_root = Path(tempfile.mkdtemp(prefix="rundlet-", dir="/run"))
    daemon = RundletDaemon("tbroken", failing_disk / "data", run_root / "r")
    daemon.log_path = tmp_path / "daemon.log"
    arena = Arena(daemon)
    try:
        daemon.start()
        arena.load(busybox_archive.read_bytes())
        running = arena.spawn("busybox", ["sh", "-c", "while :; do sleep 0.05; echo tick; done"])
        arena.wait_for(running, "true")
        _break(failing_disk)
        body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
        assert daemon.client.post("/containers/create", body).status == 500
        refused = arena.load(build_archive("tiny:latest", build_evil_layer({"file": ("file", b"x")})))
        assert refused.status == 500 or b"error" in refused.body
        assert daemon.client.get("/containers/json").json()[0]["State"] == "running"
        assert daemon.client.post(f"/containers/{running}/stop", t="0").status == 204
        assert arena.processes_of(running) == []
        assert daemon.client.delete(f"/containers/{running}").status == 500
        assert daemon.is_running()
    finally:
        daemon.discard()
        shutil.rmtree(run_root)

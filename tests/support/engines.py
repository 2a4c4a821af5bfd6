"""Engines to test against: our daemon and Debian's dockerd, each with a data root and a run root of its own.

    with RundletDaemon.create() as daemon:
        daemon.client.get("/info")

Both are real processes started as a user would start them. Leaving the ``with`` block ends everything that
the engine started; for ours, :meth:`RundletDaemon.close` then raises if anything is left on the host.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from tests.support.host import Footprint
from tests.support.http import Client

START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 20
DISK = Path("/var/tmp")
"""On a real disk wherever /tmp is a tmpfs; an overlay cannot have its upper directory on another overlay."""


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = 10.0) -> None:
    """Return once ``condition()`` is true; AssertionError naming ``what`` after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"timed out after {timeout_s:g} s: {what}")
        time.sleep(0.01)


def answers(socket_path: Path) -> bool:
    """Whether an engine answers ``GET /_ping``."""
    try:
        return Client(socket_path).get("/_ping").status == 200
    except OSError:
        return False


def remove_containers(client: Client) -> None:
    """Remove every container and its anonymous volumes, by force."""
    for container in client.get("/containers/json", all="1").json():
        client.delete(f"/containers/{container['Id']}", force="1", v="1")


class RundletDaemon:
    """One daemon of ours and the engine behind it, which outlives the daemon process: see :meth:`kill`."""

    def __init__(self, instance: str, data_root: Path, run_root: Path) -> None:
        self.footprint = Footprint(instance, data_root, run_root)
        self.instance = instance
        self.data_root = data_root
        self.run_root = run_root
        self.socket_path = run_root / "rundlet.sock"
        self.log_path = data_root.parent / "daemon.log"
        self.client = Client(self.socket_path, version="1.47")
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextlib.contextmanager
    def create(cls, disk_root: Path = DISK) -> Iterator[Self]:
        """A started daemon on fresh directories, which are gone afterwards, as is everything it made."""
        with (
            tempfile.TemporaryDirectory(prefix="rundlet-test-", dir=disk_root) as disk,
            tempfile.TemporaryDirectory(prefix="rundlet-", dir="/run") as run,
        ):
            daemon = cls(f"t{secrets.token_hex(3)}", Path(disk) / "data", Path(run) / "r")
            try:
                daemon.start()
                yield daemon
            except BaseException:
                daemon.discard()
                raise
            daemon.close()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def host(self) -> str:
        return f"unix://{self.socket_path}"

    @property
    def environment(self) -> dict[str, str]:
        """For our CLI and for docker's."""
        return {**os.environ, "RUNDLET_HOST": self.host, "DOCKER_HOST": self.host}

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "rundlet.daemon", "--instance", self.instance, "--host", self.host),
            *("--data-root", str(self.data_root), "--run-root", str(self.run_root)),
        ]

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers(self.socket_path):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the daemon did not start:\n{self.log}")
            time.sleep(0.01)

    def kill(self) -> None:
        """``kill -9`` of the daemon alone: supervisor and containers go on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_TIMEOUT_S)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(STOP_TIMEOUT_S)

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def remove_containers(self) -> None:
        remove_containers(self.client)

    def close(self) -> None:
        """Remove every container, stop the daemon, and raise AssertionError if anything is left on the host."""
        try:
            if not self.is_running():
                self.start()
            self.remove_containers()
            left = self.footprint.of_containers()
            status = self.stop()
            assert not left, f"left behind by removed containers: {left}\n{self.log}"
            assert status == 0, f"the daemon ended with status {status}:\n{self.log}"
            wait_until(lambda: not self.footprint.processes(), f"{self.footprint.processes()} to end")
            assert not self.footprint.everything(), f"left behind: {self.footprint.everything()}\n{self.log}"
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """End by force whatever is left: after a failed test, the next one shall find a clean machine."""
        if self.is_running():
            self.kill()
        for line in self.footprint.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(line.split(":", 1)[0]), signal.SIGKILL)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.footprint.processes(), "processes to end")
        for line in reversed(self.footprint.mounts()):
            subprocess.run(["umount", "-l", line.split()[4]], check=False, stderr=subprocess.DEVNULL)
        for root in self.footprint.cgroups():
            for directory, _, _ in os.walk(root, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(directory)


DOCKERD = "dockerd"


def missing_dockerd() -> str | None:
    """Why no dockerd can be started here, or None."""
    return None if shutil.which(DOCKERD) else "needs dockerd (Debian's docker.io)"


def docker_clients() -> list[Path]:
    """Every different docker CLI on this machine: Debian's, and what else PATH has."""
    found = [Path("/usr/bin/docker"), *(Path(p) / "docker" for p in os.get_exec_path())]
    return list(dict.fromkeys(path.resolve() for path in found if os.access(path, os.X_OK)))


class Dockerd:
    """Debian's dockerd, with no bridge and no firewall rule, so that it meets nothing on this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.socket_path = root / "docker.sock"
        self.client = Client(self.socket_path)
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextlib.contextmanager
    def create(cls) -> Iterator[Self]:
        with tempfile.TemporaryDirectory(prefix="rundlet-dockerd-", dir=DISK) as directory:
            dockerd = cls(Path(directory))
            try:
                dockerd.start()
                yield dockerd
            finally:
                dockerd.close()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def host(self) -> str:
        return f"unix://{self.socket_path}"

    def start(self) -> None:
        command = [
            *(DOCKERD, "--data-root", str(self.root / "data"), "--exec-root", str(self.root / "exec")),
            *("--host", self.host, "--pidfile", str(self.root / "docker.pid")),
            *("--bridge", "none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"),
        ]
        log_path = self.root / "dockerd.log"
        with log_path.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers(self.socket_path):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"dockerd did not start:\n{log_path.read_text(errors='replace')}")
            time.sleep(0.05)

    def remove_containers(self) -> None:
        remove_containers(self.client)

    def close(self) -> None:
        assert self._process is not None
        if answers(self.socket_path):
            self.remove_containers()
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if (target := line.split()[1]).startswith(str(self.root)):
                subprocess.run(["umount", "-l", target], check=False)

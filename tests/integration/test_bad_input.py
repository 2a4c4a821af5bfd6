"""What the engine and its command say to bad input: one clear line, the right status, and nothing left behind.

The ``daemon`` fixture adds to every test: the daemon is alive afterwards, and no container has left anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.busybox import build_archive, build_layer
from tests.support.engines import RundletDaemon, wait_until
from tests.support.host import Footprint

pytestmark = pytest.mark.privileged

RUNDLET = Path(sys.executable).parent / "rundlet"
MIB = 1024 * 1024


def rundlet(daemon: RundletDaemon, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command: list[str | Path] = [RUNDLET, *arguments]
    return subprocess.run(
        command, env=daemon.environment, input=stdin, capture_output=True, check=False, timeout=50
    )


def the_line(done: subprocess.CompletedProcess[bytes]) -> str:
    """The one line on stderr; usage hints ("See 'rundlet run --help'.") do not count."""
    lines = [line for line in done.stderr.decode().splitlines() if line.strip() and not line.startswith("See ")]
    lines = [line for line in lines if not line.startswith(("Usage:", "Run '", "Try '"))]
    assert len(lines) == 1, done.stderr.decode()
    return lines[0]


class TestRun:
    @pytest.mark.parametrize(
        ("arguments", "status", "words"),
        [
            (["no-such-image:v1", "true"], 125, "no-such-image:v1"),
            (["UPPER", "true"], 125, "UPPER"),
            (["--no-such-flag", "busybox"], 125, "--no-such-flag"),
            (["--memory", "banana", "busybox", "true"], 125, "banana"),
            (["--memory", "1m", "busybox", "true"], 125, "6MB"),
            (["--memory", "64m", "--memory-swap", "32m", "busybox", "true"], 125, "memoryswap"),
            (["--cpus", "9999", "busybox", "true"], 125, "CPUs"),
            (["--cpuset-cpus", "9999", "busybox", "true"], 125, "9999"),
            (["--cpuset-cpus", "a-b", "busybox", "true"], 125, "a-b"),
            (["--pids-limit", "many", "busybox", "true"], 125, "many"),
            (["--ulimit", "nosuch=1:2", "busybox", "true"], 125, "nosuch"),
            (["--cap-add", "NO_SUCH_CAP", "busybox", "true"], 125, "NO_SUCH_CAP"),
            (["--user", "nobody-here", "busybox", "true"], 125, "nobody-here"),
            (["--restart", "sometimes", "busybox", "true"], 125, "sometimes"),
            (["--network", "no-such-network", "busybox", "true"], 125, "no-such-network"),
            (["--name", "a b", "busybox", "true"], 125, "a b"),
            (["--mount", "type=bind,source=/no/such/dir,target=/x", "busybox", "true"], 125, "/no/such/dir"),
            (["-v", "relative:/x:nosuchmode", "busybox", "true"], 125, "nosuchmode"),
            (["--workdir", "relative", "busybox", "true"], 125, "relative"),
            (["busybox", "no-such-program"], 127, "no-such-program"),
            (["busybox", "/no/such/program"], 127, "/no/such/program"),
            (["busybox", "/etc/passwd"], 126, "/etc/passwd"),
            (["busybox", "/etc"], 126, "/etc"),
        ],
    )
    def test_one_line_names_the_object_with_dockers_exit_code(
        self, daemon: RundletDaemon, arguments: list[str], status: int, words: str
    ) -> None:
        done = rundlet(daemon, "run", "--rm", *arguments)
        assert (done.returncode, done.stdout) == (status, b"")
        assert words.lower() in the_line(done).lower()
        wait_until(lambda: daemon.client.get("/containers/json", all="1").json() == [], "no container to be left")

    def test_a_container_that_could_not_start_is_kept_without_rm_and_says_why(self, daemon: RundletDaemon) -> None:
        assert rundlet(daemon, "run", "--name", "failed", "busybox", "no-such-program").returncode == 127
        state = daemon.client.get("/containers/failed/json").json()["State"]
        assert (state["Status"], state["ExitCode"], state["Pid"]) == ("created", 127, 0)
        assert "no-such-program" in state["Error"]


class TestCommandsOnNothing:
    @pytest.mark.parametrize(
        "command", ["start", "stop", "restart", "kill", "pause", "unpause", "rm", "logs", "wait"]
    )
    def test_names_the_container_that_is_not_there(self, daemon: RundletDaemon, command: str) -> None:
        done = rundlet(daemon, command, "nobody")
        assert done.returncode == 1
        assert "No such container: nobody" in the_line(done)

    @pytest.mark.parametrize("command", [["rmi"], ["tag"], ["image", "inspect"]])
    def test_names_the_image_that_is_not_there(self, daemon: RundletDaemon, command: list[str]) -> None:
        arguments = [*command, "nothing:v1", *(["other"] if command == ["tag"] else [])]
        done = rundlet(daemon, *arguments)
        assert done.returncode == 1
        assert "No such image: nothing:v1" in the_line(done)


class TestApi:
    @pytest.mark.parametrize(
        ("method", "path", "body", "status"),
        [
            ("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"Memory": 1}}, 400),
            ("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"Memory": "much"}}, 400),
            ("POST", "/containers/create", {"Image": "busybox", "Cmd": {"a": 1}}, 400),
            ("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"NanoCpus": 10**15}}, 400),
            ("POST", "/containers/create", {"Image": "no-such-image"}, 404),
            ("POST", "/containers/create", b"{not json", 400),
            ("POST", "/containers/create?name=a%20b", {"Image": "busybox"}, 400),
            ("GET", "/containers/nobody/json", None, 404),
            ("POST", "/containers/nobody/start", None, 404),
            ("DELETE", "/containers/nobody", None, 404),
            ("POST", "/exec/nothing/start", {}, 404),
            ("GET", "/images/nothing/json", None, 404),
            ("GET", "/containers/json?filters=%7Bbroken", None, 400),
            ("GET", "/no/such/route", None, 404),
        ],
    )
    def test_an_error_is_json_with_a_message_and_the_right_status(
        self, daemon: RundletDaemon, method: str, path: str, body: Any, status: int
    ) -> None:
        reply = daemon.client.request(method, path, body, headers={"Content-Type": "application/json"})
        assert reply.status == status, reply.body
        assert reply.headers["content-type"] == "application/json"
        assert reply.message
        assert "\n" not in reply.message.strip()

    def test_a_start_that_fails_in_the_kernel_can_be_tried_again(
        self, daemon: RundletDaemon, tmp_path: Path
    ) -> None:
        source = tmp_path / "source"
        source.mkdir()
        mount = {"Type": "bind", "Source": str(source), "Target": "/data"}
        body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none", "Mounts": [mount]}}
        container = daemon.client.post("/containers/create", body).json()["Id"]
        source.rmdir()
        failed = daemon.client.post(f"/containers/{container}/start")
        assert failed.status in (400, 500)
        assert str(source) in failed.message
        source.mkdir()
        assert daemon.client.post(f"/containers/{container}/start").status == 204


def _archive_of(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _layer_of(**attributes: Any) -> bytes:
    """A layer with one member that has these attributes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(attributes.pop("name"))
        for key, value in attributes.items():
            setattr(info, key, value)
        tar.addfile(info)
    return out.getvalue()


def _archive_with_wrong_digest() -> bytes:
    layer = _layer_of(name="file")
    diff_id = f"sha256:{hashlib.sha256(b'something else').hexdigest()}"
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    ).encode()
    manifest = json.dumps(
        [{"Config": "config.json", "RepoTags": ["evil:latest"], "Layers": ["layer.tar"]}]
    ).encode()
    return _archive_of({"config.json": config, "layer.tar": layer, "manifest.json": manifest})


BROKEN_ARCHIVES = {
    "garbage": b"this is no archive\n" * 500,
    "empty tar": _archive_of({}),
    "manifest that is no JSON": _archive_of({"manifest.json": b"{"}),
    "manifest naming a missing config": _archive_of({"manifest.json": b'[{"Config":"x","Layers":[]}]'}),
    "layer with another digest": _archive_with_wrong_digest(),
}


class TestArchives:
    @pytest.fixture(autouse=True)
    def _nothing_is_left(self, daemon: RundletDaemon) -> Iterator[None]:
        """No image, no layer, no temporary file more than before."""
        before = self._stored(daemon)
        yield
        assert self._stored(daemon) == before

    def _stored(self, daemon: RundletDaemon) -> set[Path]:
        places = ("blobs", "layers", "tmp")
        return {
            path
            for place in places
            for path in (daemon.data_root / place).glob("*/*" if place == "blobs" else "*")
        }

    @pytest.mark.parametrize("name", BROKEN_ARCHIVES)
    def test_a_broken_archive_is_refused_in_one_line(self, daemon: RundletDaemon, name: str) -> None:
        done = rundlet(daemon, "load", stdin=BROKEN_ARCHIVES[name])
        assert done.returncode == 1
        assert the_line(done)
        assert [image["RepoTags"] for image in daemon.client.get("/images/json").json()] == [["busybox:latest"]]

    def test_a_truncated_archive_is_refused(self, daemon: RundletDaemon) -> None:
        archive = build_archive("cut:latest", build_layer() + _layer_of(name="more"))
        done = rundlet(daemon, "load", stdin=archive[: len(archive) // 2])
        assert done.returncode == 1
        assert the_line(done)

    @pytest.mark.parametrize(
        "member",
        [
            {"name": "../../../../escaped"},
            {"name": "/../escaped"},
            {"name": "link", "type": tarfile.LNKTYPE, "linkname": "../../../../etc/passwd"},
        ],
        ids=["parent", "absolute parent", "hard link to the host"],
    )
    def test_a_layer_that_reaches_outside_is_refused_or_confined(
        self, daemon: RundletDaemon, member: dict[str, Any]
    ) -> None:
        reply = daemon.client.post("/images/load", build_archive("evil:latest", _layer_of(**member)))
        assert reply.status == 200 or reply.message
        assert not list(daemon.data_root.glob("escaped"))
        assert not list(daemon.data_root.parent.glob("escaped"))
        daemon.client.delete("/images/evil:latest", force="1")


class TestFullDisk:
    @pytest.fixture
    def small_daemon(self, tmp_path: Path, busybox_archive: Path) -> Iterator[RundletDaemon]:
        """A daemon whose data root is a file system of 24 MiB with ``busybox:latest``."""
        disk = tmp_path / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], check=True)
        try:
            with RundletDaemon.create(disk) as daemon:
                daemon.client.post("/images/load", busybox_archive.read_bytes())
                yield daemon
        finally:
            subprocess.run(["umount", disk], check=True)

    def test_a_load_is_refused_and_undone(self, small_daemon: RundletDaemon) -> None:
        free = os.statvfs(small_daemon.data_root).f_bavail
        layer = _archive_of({"large": os.urandom(30 * MIB)})
        done = rundlet(small_daemon, "load", stdin=build_archive("large:latest", layer))
        assert done.returncode == 1
        assert "no space left on device" in the_line(done)
        assert os.statvfs(small_daemon.data_root).f_bavail >= free - 64

    def test_a_program_that_fills_the_disk_gets_the_error_and_others_run(
        self, small_daemon: RundletDaemon
    ) -> None:
        done = rundlet(small_daemon, "run", "--rm", "busybox", "dd", "if=/dev/zero", "of=/large", "bs=1M")
        assert done.returncode == 1
        assert b"No space left on device" in done.stderr
        assert rundlet(small_daemon, "run", "--rm", "busybox", "echo", "fine").stdout == b"fine\n"

    def test_output_waits_for_room_and_is_complete(self, small_daemon: RundletDaemon, tmp_path: Path) -> None:
        """A full disk blocks the program that prints; when there is room again, nothing is missing."""
        signals = tmp_path / "signals"
        signals.mkdir()
        line = "x" * 999
        program = f"until test -e /signals/go; do sleep 0.02; done; yes {line} | head -n 3000; exit 6"
        options = ["--name", "talker", "--detach", "-v", f"{signals}:/signals"]
        assert rundlet(small_daemon, "run", *options, "busybox", "sh", "-c", program).returncode == 0
        ballast = small_daemon.data_root / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)

        (signals / "go").touch()
        wait_until(lambda: _count_of_blocked_writers(small_daemon) == 2, "`yes` and `head` to wait for room")
        assert small_daemon.client.get("/containers/talker/json").json()["State"]["Running"]
        ballast.unlink()

        assert rundlet(small_daemon, "wait", "talker").stdout == b"6\n"
        assert rundlet(small_daemon, "logs", "talker").stdout.decode() == f"{line}\n" * 3000


def _count_of_blocked_writers(daemon: RundletDaemon) -> int:
    """How many of the engine's processes wait in the kernel for room in a pipe."""
    pids = [process.split(":")[0] for process in daemon.footprint.processes()]
    blocked = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a `sleep` of the shell's loop has ended
            blocked += "pipe_write" in Path(f"/proc/{pid}/wchan").read_text()
    return blocked


class TestSecondDaemon:
    def test_on_the_same_data_root_ends_at_once_and_the_first_goes_on(
        self, daemon: RundletDaemon, tmp_path: Path
    ) -> None:
        other = RundletDaemon("tsecond", daemon.data_root, tmp_path / "run")
        done = subprocess.run(other.command(), capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        assert str(daemon.data_root) in line
        assert str(daemon.pid) in line
        assert Footprint("tsecond", tmp_path / "none", tmp_path / "run").everything() == []

    def test_two_engines_side_by_side_do_not_meet(self, daemon: RundletDaemon, busybox_archive: Path) -> None:
        with RundletDaemon.create() as second:
            second.client.post("/images/load", busybox_archive.read_bytes())
            for engine, text in ((daemon, "one"), (second, "two")):
                assert (
                    rundlet(engine, "run", "--name", "same", "busybox", "echo", text).stdout.decode()
                    == f"{text}\n"
                )
            assert rundlet(daemon, "logs", "same").stdout == b"one\n"
            assert rundlet(second, "logs", "same").stdout == b"two\n"

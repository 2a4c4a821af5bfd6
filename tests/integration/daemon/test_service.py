"""The daemon as a process: its start, its end, and what a second one does to the first. Nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.engines import RundletDaemon, answers, wait_until

pytestmark = pytest.mark.privileged


def run_daemon(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a daemon that is expected to end by itself."""
    command = [sys.executable, "-m", "rundlet.daemon", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def assert_refused(result: subprocess.CompletedProcess[str], words: Sequence[str]) -> None:
    """Status 1 and one line on stderr."""
    assert result.returncode == 1, result.stderr
    assert result.stderr.startswith("rundlet daemon: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def start_container(daemon: RundletDaemon, *command: str, stop_signal: str = "TERM") -> str:
    host_config = {"NetworkMode": "none"}
    body = {"Image": "busybox", "Cmd": command, "StopSignal": stop_signal, "HostConfig": host_config}
    container = str(daemon.client.post("/containers/create", body).json()["Id"])
    assert daemon.client.post(f"/containers/{container}/start").status == 204
    return container


def pid_of(daemon: RundletDaemon, container: str) -> int:
    return int(daemon.client.get(f"/containers/{container}/json").json()["State"]["Pid"])


def test_second_daemon_on_the_same_data_root_is_refused(daemon: RundletDaemon, tmp_path: Path) -> None:
    result = run_daemon("--data-root", str(daemon.data_root), "--run-root", str(tmp_path))
    assert_refused(result, [f"data root {daemon.data_root} is in use by another daemon", str(daemon.pid)])


def test_second_daemon_on_the_same_run_root_is_refused(daemon: RundletDaemon, tmp_path: Path) -> None:
    """Else it would take over the supervisor, and with it the containers, of the first."""
    container = start_container(daemon, "sleep", "600")
    result = run_daemon("--data-root", str(tmp_path), "--run-root", str(daemon.run_root))
    assert_refused(result, [f"run root {daemon.run_root} is in use by another daemon", str(daemon.pid)])
    assert daemon.client.post(f"/containers/{container}/kill").status == 204


def test_socket_of_another_daemon_is_not_taken_over(own_daemon: RundletDaemon, tmp_path: Path) -> None:
    with RundletDaemon.create() as other:
        other.stop()
        roots = ("--data-root", str(other.data_root), "--run-root", str(other.run_root))
        result = run_daemon(*roots, "--instance", other.instance, "--host", own_daemon.host)
    assert result.returncode == 1
    assert "another process does" in result.stderr
    assert answers(own_daemon.socket_path)


def test_run_root_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run_daemon("--data-root", str(tmp_path / "data"), "--run-root", str(tmp_path / "file" / "run"))
    assert_refused(result, [f"run root {tmp_path}/file/run cannot be used: Not a directory"])


def test_daemon_needs_root(tmp_path: Path) -> None:
    command = (
        "import os, sys; os.geteuid = lambda: 1000; from rundlet.daemon.__main__ import main; sys.exit(main([]))"
    )
    result = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
    assert_refused(result, ["an engine needs root"])


def test_bad_address_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    roots = ("--data-root", str(tmp_path / "data"), "--run-root", str(tmp_path / "run"), "--instance", "tbadaddr")
    result = run_daemon(*roots, "--host", "tcp://0.0.0.0:2375")
    assert result.returncode == 1
    assert "only loopback addresses are allowed" in result.stderr


def test_socket_is_for_owner_and_group_only(daemon: RundletDaemon) -> None:
    assert stat.S_IMODE(daemon.socket_path.stat().st_mode) == 0o660


def test_pid_file_names_the_daemon(daemon: RundletDaemon) -> None:
    assert (daemon.run_root / "rundlet.pid").read_text() == f"{daemon.pid}\n"


def test_daemon_that_ends_removes_its_socket(own_daemon: RundletDaemon) -> None:
    assert own_daemon.stop() == 0
    assert not own_daemon.socket_path.exists()
    assert (own_daemon.run_root / "rundlet.pid").read_text() == ""


def test_daemon_after_a_killed_one_takes_over_its_socket(own_daemon: RundletDaemon) -> None:
    own_daemon.kill()
    assert own_daemon.socket_path.exists()
    own_daemon.start()
    assert own_daemon.client.get("/_ping").status == 200


def test_daemon_that_ends_cuts_off_waits_and_streams_but_finishes_a_stop(own_daemon: RundletDaemon) -> None:
    program = "trap 'sleep 0.5; exit 3' TERM; echo ready; while :; do sleep 0.1; done"
    container = start_container(own_daemon, "sh", "-c", program)
    logs = f"/containers/{container}/logs"
    wait_until(lambda: b"ready" in own_daemon.client.get(logs, stdout="1").body, "the trap to be set")
    with contextlib.ExitStack() as open_connections:

        def request(method: str, path: str) -> socket.socket:
            connection = open_connections.enter_context(socket.socket(socket.AF_UNIX))
            connection.settimeout(20)
            connection.connect(str(own_daemon.socket_path))
            connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            return connection

        events = request("GET", "/events")
        assert events.recv(65536).startswith(b"HTTP/1.1 200 OK")
        wait = request("POST", f"/containers/{container}/wait")
        assert wait.recv(65536).startswith(b"HTTP/1.1 200 OK")
        stop = request("POST", f"/containers/{container}/stop?t=20")
        assert b'"signal":"15"' in events.recv(65536)  # the stop is under way
        assert own_daemon.stop() == 0
        assert stop.recv(65536).startswith(b"HTTP/1.1 204")


def test_daemon_may_be_told_to_stop_its_containers(own_daemon: RundletDaemon) -> None:
    own_daemon.stop()
    command = own_daemon.command()
    process = subprocess.Popen([*command, "--stop-containers"], stderr=subprocess.DEVNULL)
    with process:
        wait_until(lambda: answers(own_daemon.socket_path), "the daemon to answer")
        pid = pid_of(own_daemon, start_container(own_daemon, "sleep", "600", stop_signal="KILL"))
        assert Path(f"/proc/{pid}").exists()
        process.terminate()
        assert process.wait(20) == 0
    assert not Path(f"/proc/{pid}").exists()


def test_second_signal_ends_a_daemon_that_still_waits(own_daemon: RundletDaemon) -> None:
    container = start_container(own_daemon, "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
    with socket.socket(socket.AF_UNIX) as stop:
        stop.connect(str(own_daemon.socket_path))
        stop.sendall(f"POST /containers/{container}/stop?t=-1 HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        wait_until(lambda: own_daemon.client.get("/events", since="1", until="2").status == 200, "an answer")
        os.kill(own_daemon.pid, signal.SIGTERM)
        wait_until(lambda: not answers(own_daemon.socket_path), "the listeners to close")
        assert own_daemon.is_running()
        os.kill(own_daemon.pid, signal.SIGTERM)
        wait_until(lambda: not own_daemon.is_running(), "the daemon to die")


def test_tcp_on_loopback_serves_clients_and_refuses_web_pages(own_daemon: RundletDaemon) -> None:
    own_daemon.stop()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [*own_daemon.command(), "--host", f"tcp://127.0.0.1:{port}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: answers(own_daemon.socket_path), "the daemon to answer")
        for header, status in (("", b"200"), ("Origin: https://example.com\r\n", b"403")):
            with socket.create_connection(("127.0.0.1", port), 10) as client:
                client.sendall(f"GET /_ping HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{header}\r\n".encode())
                assert client.recv(65536).startswith(b"HTTP/1.1 " + status)
        process.terminate()
        assert process.wait(20) == 0

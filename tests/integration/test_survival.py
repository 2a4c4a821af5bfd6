"""What a kill of the daemon does to containers: nothing.

They run on, their output is complete to the byte, their exit codes are right, and what the daemon was in the
middle of is finished or undone at its next start.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.engines import RundletDaemon, wait_until
from tests.support.http import demultiplex

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(120)]

UNBOUNDED_LOG = {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1g"}}}


def run(daemon: RundletDaemon, program: str, **fields: object) -> str:
    """Create and start ``sh -c program``; the id."""
    host_config: dict[str, object] = {"NetworkMode": "none", **UNBOUNDED_LOG}
    extra = fields.pop("HostConfig", {})
    assert isinstance(extra, Mapping)
    body = {"Image": "busybox", "Cmd": ["sh", "-c", program], "HostConfig": {**host_config, **extra}, **fields}
    reply = daemon.client.post("/containers/create", body)
    assert reply.status == 201, reply.body
    container = reply.json()["Id"]
    assert isinstance(container, str)
    assert daemon.client.post(f"/containers/{container}/start").status == 204
    return container


def state(daemon: RundletDaemon, container: str) -> Mapping[str, object]:
    document = daemon.client.get(f"/containers/{container}/json").json()["State"]
    assert isinstance(document, dict)
    return document


def wait_for_exit(daemon: RundletDaemon, container: str) -> int:
    reply = daemon.client.request("POST", f"/containers/{container}/wait", timeout_s=60)
    status = reply.json()["StatusCode"]
    assert isinstance(status, int)
    return status


def output(daemon: RundletDaemon, container: str) -> dict[int, bytes]:
    reply = daemon.client.get(f"/containers/{container}/logs", stdout="1", stderr="1")
    assert reply.status == 200, reply.body
    return demultiplex(reply.body)


def is_alive(pid: object) -> bool:
    return Path(f"/proc/{pid}").exists()


def kill_and_restart(daemon: RundletDaemon, while_dead: Callable[[], object] = lambda: None) -> None:
    daemon.kill()
    while_dead()
    daemon.start()


def test_output_is_complete_to_the_byte_through_many_kills(own_daemon: RundletDaemon) -> None:
    lines = 120_000
    numbered = run(own_daemon, f"seq 1 {lines}; seq 1 {lines} >&2; exit 7")
    slow = run(own_daemon, "i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); sleep 0.01; done; exit 8")
    line = "x" * 999
    bulk = run(own_daemon, f"yes {line} | head -n 20000; exit 9")

    for _ in range(5):
        kill_and_restart(own_daemon)

    ends = [(wait_for_exit(own_daemon, it), state(own_daemon, it)["Error"]) for it in (numbered, slow, bulk)]
    assert ends == [(7, ""), (8, ""), (9, "")]
    expected = "".join(f"{number}\n" for number in range(1, lines + 1)).encode()
    assert output(own_daemon, numbered) == {1: expected, 2: expected}
    assert output(own_daemon, slow) == {1: "".join(f"line {i}\n" for i in range(200)).encode(), 2: b""}
    assert output(own_daemon, bulk) == {1: f"{line}\n".encode() * 20000, 2: b""}


def test_containers_run_on_as_the_same_processes(own_daemon: RundletDaemon) -> None:
    container = run(own_daemon, "sleep 600")
    before = state(own_daemon, container)

    kill_and_restart(own_daemon, lambda: is_alive(before["Pid"]) or pytest.fail("the container died"))

    after = state(own_daemon, container)
    assert (after["Status"], after["Pid"]) == ("running", before["Pid"])


def test_what_is_printed_and_returned_while_no_daemon_runs_is_kept(own_daemon: RundletDaemon) -> None:
    container = run(own_daemon, "echo early; sleep 0.5; echo late; echo also >&2; exit 5")
    pid = state(own_daemon, container)["Pid"]

    kill_and_restart(own_daemon, lambda: wait_until(lambda: not is_alive(pid), "the container to end"))

    assert wait_for_exit(own_daemon, container) == 5
    assert output(own_daemon, container) == {1: b"early\nlate\n", 2: b"also\n"}


def test_death_by_signal_while_no_daemon_runs_is_kept(own_daemon: RundletDaemon) -> None:
    container = run(own_daemon, "sleep 600")
    pid = state(own_daemon, container)["Pid"]
    assert isinstance(pid, int)

    def end() -> None:
        os.kill(pid, 9)
        wait_until(lambda: not is_alive(pid), "the container to end")

    kill_and_restart(own_daemon, end)

    assert wait_for_exit(own_daemon, container) == 137


def test_a_paused_container_stays_paused(own_daemon: RundletDaemon) -> None:
    container = run(own_daemon, "sleep 600")
    own_daemon.client.post(f"/containers/{container}/pause")

    kill_and_restart(own_daemon)

    assert state(own_daemon, container)["Status"] == "paused"
    assert own_daemon.client.post(f"/containers/{container}/unpause").status == 204
    assert state(own_daemon, container)["Status"] == "running"


def test_a_container_that_removes_itself_is_removed_if_it_ended_meanwhile(own_daemon: RundletDaemon) -> None:
    container = run(own_daemon, "sleep 0.3", HostConfig={"AutoRemove": True})
    pid = state(own_daemon, container)["Pid"]

    kill_and_restart(own_daemon, lambda: wait_until(lambda: not is_alive(pid), "the container to end"))

    wait_until(lambda: own_daemon.client.get(f"/containers/{container}/json").status == 404, "its removal")


def test_a_restart_policy_is_obeyed_if_it_ended_meanwhile(own_daemon: RundletDaemon) -> None:
    program = "echo run; test -e /again && sleep 600; touch /again; sleep 0.3; exit 1"
    container = run(own_daemon, program, HostConfig={"RestartPolicy": {"Name": "always"}})
    pid = state(own_daemon, container)["Pid"]

    kill_and_restart(own_daemon, lambda: wait_until(lambda: not is_alive(pid), "the container to end"))

    wait_until(lambda: output(own_daemon, container)[1] == b"run\nrun\n", "the second run")
    assert state(own_daemon, container)["Status"] == "running"


def test_stdin_of_a_running_container_still_reaches_it(own_daemon: RundletDaemon) -> None:
    container = run(own_daemon, "read line; echo got $line", OpenStdin=True, StdinOnce=False)

    kill_and_restart(own_daemon)

    docker = subprocess.Popen(
        ["docker", "attach", container], env=own_daemon.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with docker:
        docker.communicate(b"hello\n", timeout=20)
    assert wait_for_exit(own_daemon, container) == 0
    assert output(own_daemon, container)[1] == b"got hello\n"


def test_a_terminal_survives(own_daemon: RundletDaemon) -> None:
    container = run(own_daemon, "echo one; sleep 1; echo two; tty", Tty=True)

    kill_and_restart(own_daemon)

    assert wait_for_exit(own_daemon, container) == 0
    logs = own_daemon.client.get(f"/containers/{container}/logs", stdout="1", stderr="1").body
    assert logs == b"one\r\ntwo\r\n/dev/pts/0\r\n"


def test_stop_works_on_a_container_of_the_former_daemon(own_daemon: RundletDaemon) -> None:
    container = run(own_daemon, "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done")
    wait_until(lambda: output(own_daemon, container)[1] == b"ready\n", "the trap to be set")

    kill_and_restart(own_daemon)

    assert own_daemon.client.post(f"/containers/{container}/stop", t="20").status == 204
    assert state(own_daemon, container)["ExitCode"] == 3
    assert output(own_daemon, container)[1] == b"ready\nbye\n"


def test_an_orderly_stop_of_the_daemon_leaves_containers_running(own_daemon: RundletDaemon) -> None:
    container = run(own_daemon, "sleep 600")
    pid = state(own_daemon, container)["Pid"]

    assert own_daemon.stop() == 0
    assert is_alive(pid)
    own_daemon.start()

    assert state(own_daemon, container)["Pid"] == pid


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_in_the_middle_of_anything_leaves_nothing_half_made(own_daemon: RundletDaemon, seed: int) -> None:
    """Clients create, start, exec and remove as fast as they can; the daemon dies at random instants."""
    instants = random.Random(seed)
    finished = threading.Event()

    def hammer(worker: int) -> None:
        for number in itertools.count():
            if finished.is_set():
                return
            with contextlib.suppress(OSError):  # of a daemon that is dead just now
                name = f"w{worker}-{number}"
                body = {"Image": "busybox", "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": "none"}}
                own_daemon.client.post("/containers/create", body, name=name)
                own_daemon.client.post(f"/containers/{name}/start")
                own_daemon.client.delete(f"/containers/{name}", force="1")

    workers = [threading.Thread(target=hammer, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(4):
            finished.wait(instants.uniform(0.05, 0.4))
            kill_and_restart(own_daemon)
    finally:
        finished.set()
        for worker in workers:
            worker.join()

    for container in own_daemon.client.get("/containers/json", all="1").json():
        assert own_daemon.client.delete(f"/containers/{container['Id']}", force="1").status == 204
    wait_until(lambda: not own_daemon.footprint.of_containers(), f"{own_daemon.footprint.of_containers()} to go")
    assert own_daemon.client.get("/images/busybox/json").status == 200
    assert wait_for_exit(own_daemon, run(own_daemon, "exit 4")) == 4

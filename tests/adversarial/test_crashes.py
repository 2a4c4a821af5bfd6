"""kill -9, at random instants, of the daemon and of the supervisor, while clients do all that can be done."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import random
import signal
import threading
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from tests.adversarial.arena import Arena
from tests.support.busybox import build_archive
from tests.support.engines import RundletDaemon, wait_until

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(120)]

ROUNDS = 6


class Clients:
    """Threads that create, start, exec, pause, stop, load and remove until told to stop."""

    def __init__(self, daemon: RundletDaemon, seed: int) -> None:
        self._daemon = daemon
        self._finished = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n, random.Random(seed + n))) for n in range(3)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        for thread in self._threads:
            thread.join()

    def _work(self, worker: int, chance: random.Random) -> None:
        for number in itertools.count():
            if self._finished.is_set():
                return
            # Of an engine that is dead just now, or dies in the middle of an answer.
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError, KeyError):
                self._one_life(f"w{worker}-{number}", chance)

    def _one_life(self, name: str, chance: random.Random) -> None:
        client = self._daemon.client
        kind = chance.choice(("plain", "auto-remove", "always", "terminal"))
        host = {"NetworkMode": "none", "AutoRemove": kind == "auto-remove"}
        host |= {"RestartPolicy": {"Name": "always"}} if kind == "always" else {}
        command = f"echo out; sleep {chance.choice((0, 0.05, 600))}; exit 3"
        body = {"Image": "busybox", "Cmd": ["sh", "-c", command], "HostConfig": host, "Volumes": {"/v": {}}}
        client.post("/containers/create", {**body, "Tty": kind == "terminal"}, name=name)
        client.post(f"/containers/{name}/start")
        match chance.randrange(5):
            case 0:
                exec_ = client.post(f"/containers/{name}/exec", {"Cmd": ["echo", "x"], "AttachStdout": True})
                client.post(f"/exec/{exec_.json()['Id']}/start", {"Detach": False})
            case 1:
                client.post(f"/containers/{name}/pause")
            case 2:
                client.post(f"/containers/{name}/stop", t="0")
            case 3:
                client.post("/images/load", build_archive(f"x{name}:latest"))
        if chance.random() < 0.8:
            client.delete(f"/containers/{name}", force="1", v="1")


def supervisor_of(daemon: RundletDaemon) -> int | None:
    for line in daemon.footprint.processes():
        if f"--run-root={daemon.run_root}" in line:
            return int(line.partition(":")[0])
    return None


def assert_sound(arena: Arena) -> None:
    """States are true, everything can be removed, and then nothing is left."""
    client = arena.daemon.client
    for container in client.get("/containers/json", all="1").json():
        wait_until(partial(_is_true, arena, container["Id"]), f"the truth about {container}")
        reply = client.delete(f"/containers/{container['Id']}", force="1", v="1")
        assert reply.status in (204, 404), reply
    wait_until(
        lambda: not arena.daemon.footprint.of_containers(), f"{arena.daemon.footprint.of_containers()} to go"
    )
    assert list((arena.daemon.data_root / "volumes").iterdir()) == []
    assert arena.shell("echo fine; exit 4").status == 4


def _is_true(arena: Arena, container: str) -> bool:
    """A container that is said to run has a process, and one that is not has none."""
    reply = arena.daemon.client.get(f"/containers/{container}/json")
    if reply.status == 404:
        return True
    state = reply.json()["State"]
    if state["Status"] == "restarting":
        return True
    has_process = state["Pid"] > 0 and Path(f"/proc/{state['Pid']}").exists()
    return bool(state["Running"]) == has_process and (has_process or arena.processes_of(container) == [])


def test_of_the_daemon_leave_everything_sound(own_arena: Arena) -> None:
    daemon, instants = own_arena.daemon, random.Random(11)
    supervisor = supervisor_of(daemon)
    assert supervisor is not None
    descriptors = len(os.listdir(f"/proc/{supervisor}/fd"))
    with Clients(daemon, seed=1):
        for _ in range(ROUNDS):
            threading.Event().wait(instants.uniform(0.02, 0.5))
            daemon.kill()
            daemon.start()
    assert_sound(own_arena)
    assert "Traceback" not in daemon.log, daemon.log
    assert supervisor_of(daemon) == supervisor
    wait_until(lambda: len(os.listdir(f"/proc/{supervisor}/fd")) <= descriptors, "descriptors to be closed")


def test_of_the_supervisor_and_of_both_leave_everything_sound(own_arena: Arena) -> None:
    daemon, instants = own_arena.daemon, random.Random(21)
    with Clients(daemon, seed=1):
        for _ in range(ROUNDS):
            threading.Event().wait(instants.uniform(0.02, 0.5))
            if (pid := supervisor_of(daemon)) is not None:
                os.kill(pid, signal.SIGKILL)
            if instants.random() < 0.5:
                daemon.kill()
                daemon.start()
    wait_until(lambda: supervisor_of(daemon) is not None, "another supervisor")
    assert_sound(own_arena)

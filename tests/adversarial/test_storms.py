"""Many clients at once, all at the same few names, in no order: every reply is one that Docker gives."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest

from tests.adversarial.arena import Arena
from tests.support.http import Client, Reply

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(90)]

NAMES = ("first", "second", "third")
DURATION_S = 12.0
PROGRAMS = ("sleep 600", "exit 3", "trap 'exit 0' TERM; while :; do sleep 0.02; done", "yes | head -c 100000")
ALLOWED = {
    "create": {201, 409},
    "start": {204, 304, 404, 409},
    "stop": {204, 304, 404},
    "restart": {204, 404, 409},
    "kill": {204, 404, 409},
    "pause": {204, 404, 409},
    "unpause": {204, 404, 409, 500},  # 500 is Docker's own answer for one that is not paused
    "rename": {204, 400, 404, 409},
    "remove": {204, 404, 409},
    "exec": {200, 201, 404, 409},
    "inspect": {200, 404},
    "logs": {200, 404},
    "list": {200},
    "prune": {200},
    "tag": {201, 404},
    "untag": {200, 404, 409},
}


def _create(client: Client, name: str, chance: random.Random) -> Reply:
    auto_remove = chance.random() < 0.3
    policy = "no" if auto_remove or chance.random() < 0.7 else "always"
    host = {"NetworkMode": "none", "AutoRemove": auto_remove, "RestartPolicy": {"Name": policy}}
    body = {"Image": "busybox", "Cmd": ["sh", "-c", chance.choice(PROGRAMS)], "HostConfig": host}
    return client.post("/containers/create", {**body, "Tty": chance.random() < 0.2}, name=name)


def _exec(client: Client, name: str, chance: random.Random) -> Reply:
    created = client.post(f"/containers/{name}/exec", {"Cmd": ["echo", "hi"], "AttachStdout": True})
    if created.status != 201:
        return created
    return client.post(f"/exec/{created.json()['Id']}/start", {"Detach": chance.random() < 0.5})


OPERATIONS: dict[str, Callable[[Client, str, random.Random], Reply]] = {
    "create": _create,
    "exec": _exec,
    "start": lambda client, name, chance: client.post(f"/containers/{name}/start"),
    "stop": lambda client, name, chance: client.post(f"/containers/{name}/stop", t="0"),
    "restart": lambda client, name, chance: client.post(f"/containers/{name}/restart", t="0"),
    "kill": lambda client, name, chance: client.post(f"/containers/{name}/kill"),
    "pause": lambda client, name, chance: client.post(f"/containers/{name}/pause"),
    "unpause": lambda client, name, chance: client.post(f"/containers/{name}/unpause"),
    "rename": lambda client, name, chance: client.post(f"/containers/{name}/rename", name=chance.choice(NAMES)),
    "remove": lambda client, name, chance: client.delete(f"/containers/{name}", force=chance.choice("01"), v="1"),
    "inspect": lambda client, name, chance: client.get(f"/containers/{name}/json"),
    "logs": lambda client, name, chance: client.get(f"/containers/{name}/logs", stdout="1"),
    "list": lambda client, name, chance: client.get("/containers/json", all="1", size=chance.choice("01")),
    "prune": lambda client, name, chance: client.post("/containers/prune"),
    "tag": lambda client, name, chance: client.post("/images/busybox/tag", repo="other", tag="x"),
    "untag": lambda client, name, chance: client.delete("/images/other:x"),
}


def test_eight_clients_that_fight_for_three_names_get_dockers_answers(arena: Arena) -> None:
    deadline = time.monotonic() + DURATION_S
    wrong: list[object] = []
    done: set[tuple[str, int]] = set()

    def fight(seed: int) -> None:
        chance = random.Random(seed)
        while time.monotonic() < deadline:
            operation = chance.choice(list(OPERATIONS))
            try:
                reply = OPERATIONS[operation](arena.daemon.client, chance.choice(NAMES), chance)
            except Exception as error:  # a reply that breaks off, too, is none of Docker's
                wrong.append((operation, error))
                raise
            done.add((operation, reply.status))
            if reply.status not in ALLOWED[operation]:
                wrong.append((operation, reply.status, reply.body))

    clients = [threading.Thread(target=fight, args=(seed,)) for seed in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    arena.daemon.client.delete("/images/other:x")
    assert not wrong, wrong[:5]
    # It has been a fight: what a client wants works now, and meets somebody else's doing then.
    assert {("create", 201), ("create", 409), ("start", 204), ("remove", 204), ("remove", 404)} <= done

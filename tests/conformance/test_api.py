"""The Engine API itself: statuses by state, framing, hijacked streams; on our engine and on dockerd."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from typing import Any, Self

import pytest

from tests.support.busybox import build_archive
from tests.support.engines import wait_until
from tests.support.http import Client, demultiplex

MakeContainer = Callable[..., str]


def start(client: Client, container: str) -> None:
    assert client.post(f"/containers/{container}/start").status == 204


@pytest.fixture
def sleeper(client: Client, make_container: MakeContainer) -> str:
    """A running container."""
    container = make_container("sleep", "600")
    start(client, container)
    return container


class TestStatusByState:
    def test_create_answers_201_with_an_id_and_warnings(self, client: Client) -> None:
        body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
        reply = client.post("/containers/create", body)
        assert reply.status == 201
        assert re.fullmatch("[0-9a-f]{64}", reply.json()["Id"])
        assert "Warnings" in reply.json()

    @pytest.mark.parametrize(
        ("method", "action", "created", "running"),
        [
            ("POST", "start", 204, 304),
            ("POST", "stop", 304, 204),
            ("POST", "restart?t=0", 204, 204),
            ("POST", "kill", 409, 204),
            ("POST", "pause", 409, 204),
            ("POST", "unpause", 500, 500),
            ("POST", "exec", 409, 201),
            ("POST", "resize?h=24&w=80", 409, 200),
            ("GET", "json", 200, 200),
            ("GET", "logs?stdout=1", 200, 200),
            ("GET", "logs", 400, 400),
        ],
    )
    def test_each_call_answers_by_the_containers_state(
        self, client: Client, make_container: MakeContainer, method: str, action: str, created: int, running: int
    ) -> None:
        body = {"Cmd": ["true"]} if action == "exec" else None
        container = make_container("sleep", "600", StopSignal="KILL")
        assert client.request(method, f"/containers/{container}/{action}", body).status == created
        client.post(f"/containers/{container}/start")
        assert client.request(method, f"/containers/{container}/{action}", body).status == running

    @pytest.mark.parametrize("action", ["start", "stop", "restart", "kill", "pause", "unpause", "wait", "exec"])
    def test_of_nothing_each_answers_404_in_dockers_words(self, client: Client, action: str) -> None:
        reply = client.post(f"/containers/nobody/{action}", {"Cmd": ["true"]} if action == "exec" else None)
        assert reply.status == 404
        assert reply.message.endswith("No such container: nobody")  # "Cannot kill container: nobody: …"

    def test_removal_needs_force_while_it_runs(self, client: Client, sleeper: str) -> None:
        assert client.delete(f"/containers/{sleeper}").status == 409
        assert client.delete(f"/containers/{sleeper}", force="1").status == 204
        assert client.get(f"/containers/{sleeper}/json").status == 404

    def test_a_name_in_use_is_a_conflict(self, client: Client) -> None:
        body = {"Image": "busybox"}
        first = client.post("/containers/create", body, name="taken").json()["Id"]
        reply = client.post("/containers/create", body, name="taken")
        assert reply.status == 409
        assert f'The container name "/taken" is already in use by container "{first}"' in reply.message

    def test_a_container_is_found_by_name_and_by_the_start_of_its_id(self, client: Client) -> None:
        container = client.post("/containers/create", {"Image": "busybox"}, name="found").json()["Id"]
        found = [client.get(f"/containers/{key}/json").json()["Id"] for key in ("found", container, container[:8])]
        assert found == [container] * 3


class TestWait:
    def test_answers_at_once_for_what_does_not_run(self, client: Client, make_container: MakeContainer) -> None:
        container = make_container("sh", "-c", "exit 3")
        assert client.post(f"/containers/{container}/wait").json()["StatusCode"] == 0
        start(client, container)
        assert client.post(f"/containers/{container}/wait").json()["StatusCode"] == 3

    @pytest.mark.parametrize("condition", ["next-exit", "removed"])
    def test_sends_headers_before_the_end_comes(
        self, client: Client, make_container: MakeContainer, condition: str
    ) -> None:
        """A client may start the container once it has the headers, and will not miss the exit."""
        container = make_container("sh", "-c", "exit 5", HostConfig={"AutoRemove": condition == "removed"})
        with Hijack(
            client, "POST", f"/containers/{container}/wait?condition={condition}", upgrade=False
        ) as waiting:
            assert waiting.status == 200
            start(client, container)
            assert json.loads(waiting.read_chunked())["StatusCode"] == 5


class TestList:
    def test_shows_running_ones_and_all_with_all(self, client: Client, make_container: MakeContainer) -> None:
        running, stopped = make_container("sleep", "600"), make_container("true")
        start(client, running)

        def ids(**query: str) -> set[str]:
            return {item["Id"] for item in client.get("/containers/json", **query).json()}

        assert ids() == {running}
        assert ids(all="1") == {running, stopped}
        assert ids(limit="1") == {stopped}

    @pytest.mark.parametrize(
        "filters",
        [
            {"status": ["exited"]},
            {"status": {"exited": True}},
            {"exited": ["7"]},
            {"label": ["colour=red"]},
            {"name": ["^/?chosen$"]},
            {"ancestor": ["busybox"], "label": ["colour"]},
        ],
    )
    def test_filters_come_in_both_encodings(
        self, client: Client, make_container: MakeContainer, filters: dict[str, Any]
    ) -> None:
        make_container("true")
        body = {"Image": "busybox", "Cmd": ["sh", "-c", "exit 7"], "Labels": {"colour": "red"}}
        chosen = client.post("/containers/create", body, name="chosen").json()["Id"]
        start(client, chosen)
        client.post(f"/containers/{chosen}/wait")
        listed = client.get("/containers/json", all="1", filters=json.dumps(filters)).json()
        assert [item["Id"] for item in listed] == [chosen]


class TestLogs:
    def test_are_framed_by_stream(self, client: Client, make_container: MakeContainer) -> None:
        container = make_container("sh", "-c", "echo out; echo err >&2")
        start(client, container)
        client.post(f"/containers/{container}/wait")
        reply = client.get(f"/containers/{container}/logs", stdout="1", stderr="1")
        assert demultiplex(reply.body) == {1: b"out\n", 2: b"err\n"}
        assert demultiplex(client.get(f"/containers/{container}/logs", stderr="1").body) == {1: b"", 2: b"err\n"}

    def test_are_raw_with_a_terminal(self, client: Client, make_container: MakeContainer) -> None:
        container = make_container("echo", "text", Tty=True)
        start(client, container)
        client.post(f"/containers/{container}/wait")
        assert client.get(f"/containers/{container}/logs", stdout="1").body == b"text\r\n"


class TestExec:
    def test_is_created_started_and_inspected(self, client: Client, sleeper: str) -> None:
        body = {"Cmd": ["sh", "-c", "echo out; exit 4"], "AttachStdout": True}
        exec_id = client.post(f"/containers/{sleeper}/exec", body).json()["Id"]
        before = client.get(f"/exec/{exec_id}/json").json()
        assert (before["Running"], before["ExitCode"]) == (False, None)
        reply = client.post(f"/exec/{exec_id}/start", {})
        assert (reply.status, demultiplex(reply.body)[1]) == (200, b"out\n")
        after = client.get(f"/exec/{exec_id}/json").json()
        assert (after["Running"], after["ExitCode"], after["ContainerID"]) == (False, 4, sleeper)

    def test_starts_once(self, client: Client, sleeper: str) -> None:
        exec_id = client.post(f"/containers/{sleeper}/exec", {"Cmd": ["true"]}).json()["Id"]
        assert client.post(f"/exec/{exec_id}/start", {"Detach": True}).status == 200
        assert client.post(f"/exec/{exec_id}/start", {"Detach": True}).status == 409

    def test_of_nothing_is_404(self, client: Client) -> None:
        assert client.post("/exec/nothing/start", {}).status == 404
        assert client.get("/exec/nothing/json").status == 404

    def test_without_a_command_is_400(self, client: Client, sleeper: str) -> None:
        assert client.post(f"/containers/{sleeper}/exec", {}).status == 400


class Hijack:
    """One request on a raw socket, kept open: for upgraded streams and for replies that come in pieces."""

    def __init__(
        self, client: Client, method: str, target: str, body: bytes = b"", *, upgrade: bool = True
    ) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(client.socket_path))
        headers = "Connection: Upgrade\r\nUpgrade: tcp\r\n" if upgrade else ""
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\n{headers}Content-Type: application/json\r\n"
        self.sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.file = self.sock.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline() != b"\r\n":
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.file.close()
        self.sock.close()

    def send_all(self, data: bytes) -> None:
        """Send it and half-close: for the other end that is the end of stdin."""
        self.sock.sendall(data)
        self.sock.shutdown(socket.SHUT_WR)

    def read_chunked(self) -> bytes:
        """The next chunk of a chunked body."""
        size = int(self.file.readline(), 16)
        return self.file.read(size)


class TestHijackedStreams:
    def test_attach_takes_stdin_until_half_close_and_gives_all_output(
        self, client: Client, make_container: MakeContainer
    ) -> None:
        data = b"".join(b"%d\n" % number for number in range(100_000))
        container = make_container("cat", OpenStdin=True, StdinOnce=True, AttachStdin=True)
        target = f"/containers/{container}/attach?stream=1&stdin=1&stdout=1&stderr=1"
        with Hijack(client, "POST", target) as stream:
            assert stream.status == 101
            start(client, container)
            sender = threading.Thread(target=stream.send_all, args=(data,))
            sender.start()
            received = stream.file.read()
            sender.join()
        assert demultiplex(received)[1] == data

    def test_attach_without_upgrade_headers_answers_200(
        self, client: Client, make_container: MakeContainer
    ) -> None:
        container = make_container("echo", "text")
        target = f"/containers/{container}/attach?stream=1&stdout=1"
        with Hijack(client, "POST", target, upgrade=False) as stream:
            assert stream.status == 200
            start(client, container)
            assert demultiplex(stream.file.read())[1] == b"text\n"

    def test_exec_takes_stdin_until_half_close(self, client: Client, sleeper: str) -> None:
        body = {"Cmd": ["sh", "-c", "cat; echo end >&2"]}
        body |= dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr"), True)  # type: ignore[arg-type]
        exec_id = client.post(f"/containers/{sleeper}/exec", body).json()["Id"]
        with Hijack(client, "POST", f"/exec/{exec_id}/start", b'{"Detach":false,"Tty":false}') as stream:
            assert stream.status == 101
            stream.send_all(b"typed\n")
            assert demultiplex(stream.file.read()) == {1: b"typed\n", 2: b"end\n"}

    def test_a_terminal_is_raw_and_has_the_size_it_was_given(self, client: Client, sleeper: str) -> None:
        body = {"Cmd": ["sh", "-c", "read go; stty size"], "Tty": True, "AttachStdin": True, "AttachStdout": True}
        exec_id = client.post(f"/containers/{sleeper}/exec", body).json()["Id"]
        with Hijack(client, "POST", f"/exec/{exec_id}/start", b'{"Tty":true}') as stream:
            wait_until(
                lambda: client.post(f"/exec/{exec_id}/resize", h="33", w="111").status in (200, 201), "the resize"
            )
            stream.sock.sendall(b"go\n")
            assert b"33 111\r\n" in stream.file.read()


class TestImages:
    def test_load_reports_what_it_loaded(self, client: Client) -> None:
        reply = client.post("/images/load", build_archive("api/loaded:v1"))
        assert reply.status == 200
        assert reply.json_lines()[-1] == {"stream": "Loaded image: api/loaded:v1\n"}
        assert client.delete("/images/api/loaded:v1").json() == [{"Untagged": "api/loaded:v1"}]

    def test_inspect_has_the_configuration(self, client: Client) -> None:
        image = client.get("/images/busybox/json").json()
        assert image["RepoTags"] == ["busybox:latest"]
        assert image["Config"]["Cmd"] == ["sh"]
        assert (image["Os"], image["Architecture"]) == ("linux", "amd64")
        assert image["RootFS"]["Type"] == "layers"

    def test_of_nothing_is_404_in_dockers_words(self, client: Client) -> None:
        reply = client.get("/images/nothing/json")
        assert reply.status == 404
        assert reply.message.lower().endswith("no such image: nothing:latest")
        assert client.post("/images/nothing/tag", repo="x").status == 404
        assert client.delete("/images/nothing").status == 404

    def test_create_from_a_missing_image_is_404(self, client: Client) -> None:
        reply = client.post("/containers/create", {"Image": "nothing"})
        assert (reply.status, reply.message) == (404, "No such image: nothing:latest")


class TestProtocol:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_ping_says_which_api_this_is(self, client: Client, method: str) -> None:
        reply = client.request(method, "/_ping")
        assert reply.status == 200
        assert reply.body == (b"OK" if method == "GET" else b"")
        assert {"api-version", "docker-experimental", "ostype", "server"} <= set(reply.headers)

    def test_old_and_current_versions_are_served(self, client: Client) -> None:
        plain = Client(client.socket_path)
        for prefix in ("", "/v1.24", "/v1.41"):
            assert plain.get(f"{prefix}/version").status == 200

    def test_versions_out_of_range_are_refused(self, client: Client) -> None:
        reply = Client(client.socket_path).get("/v9.99/version")
        assert reply.status == 400
        assert "is too new" in reply.message

    def test_an_unknown_route_is_a_json_404(self, client: Client) -> None:
        reply = client.get("/no/such/route")
        assert (reply.status, reply.message) == (404, "page not found")

    def test_keys_are_read_whatever_their_case_and_unknown_ones_ignored(self, client: Client) -> None:
        body = {"image": "busybox", "CMD": ["true"], "hostconfig": {"memory": 67108864}, "NoSuchKey": [1]}
        reply = client.post("/containers/create", body)
        assert reply.status == 201
        document = client.get(f"/containers/{reply.json()['Id']}/json").json()
        assert (document["Config"]["Cmd"], document["HostConfig"]["Memory"]) == (["true"], 67108864)

    def test_null_stands_for_nothing_anywhere(self, client: Client) -> None:
        body = {"Image": "busybox", "Cmd": None, "Env": None, "Labels": None, "HostConfig": None}
        assert client.post("/containers/create", body).status == 201

    def test_requests_can_follow_each_other_on_one_connection(self, client: Client) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(str(client.socket_path))
            for _ in range(3):
                sock.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
                received = b""
                while not received.endswith(b"OK"):
                    received += sock.recv(4096)
                assert received.startswith(b"HTTP/1.1 200")

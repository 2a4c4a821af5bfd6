"""Every route over a fake engine: what reaches the engine, and the exact reply, in Docker's words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest

from rundlet.api import EngineApi, GuardedFromBrowsers
from rundlet.engine.logs.entry import LogEntry, LogOptions
from rundlet.engine.session import AttachOptions
from rundlet.errors import (
    Conflict,
    ContainerNotFound,
    ContainerNotRunning,
    CorruptArchive,
    Forbidden,
    ImageNotFound,
    InvalidArgument,
    NameInUse,
    NotImplementedHere,
    NotModified,
    RundletError,
    StartFailed,
    StorageFull,
)
from rundlet.wire import stdcopy
from rundlet.wire.documents import ExecStartRequest, WaitError, WaitResponse
from tests.unit.api.conftest import Response, Serve, Server
from tests.unit.api.fakes import CONTAINER_ID, EXEC_ID, IMAGE_ID, FakeEngine, FakeSession

JSON_TYPE = {"Content-Type": "application/json"}
UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}


class Api:
    """A served fake engine with one connection."""

    def __init__(self, engine: FakeEngine, server: Server) -> None:
        self.engine = engine
        self.server = server
        self.peer = server.connect()

    def send(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> None:
        if body is None or isinstance(body, bytes):
            self.peer.request(method, path, body or b"", headers)
        else:
            self.peer.request(method, path, json.dumps(body).encode(), {**JSON_TYPE, **(headers or {})})

    def __call__(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        self.send(method, path, body, headers)
        return self.peer.response(head=method == "HEAD")

    def last_call(self) -> tuple[Any, ...]:
        return self.engine.recorder.calls[-1]

    def fail_with(self, error: RundletError) -> None:
        self.engine.recorder.error = error


@pytest.fixture
def api(serve: Serve) -> Iterator[Api]:
    engine = FakeEngine()
    api = Api(engine, serve(EngineApi(engine.as_engine)))
    yield api
    api.peer.close()


def message(response: Response) -> str:
    assert response.headers["content-type"] == "application/json"
    document = json.loads(response.body)
    assert isinstance(document["message"], str)
    return str(document["message"])


class TestEveryReply:
    def test_carries_the_common_headers(self, api: Api) -> None:
        for response in (api("GET", "/version"), api("GET", "/nothing"), api("POST", "/containers/x/start")):
            assert response.headers["server"] == "Docker/0.0.1 (linux)"
            assert response.headers["api-version"] == "1.47"
            assert response.headers["ostype"] == "linux"
            assert response.headers["docker-experimental"] == "false"

    def test_unknown_paths_are_page_not_found(self, api: Api) -> None:
        response = api("GET", "/nothing")
        assert (response.status, response.body) == (404, b'{"message":"page not found"}\n')

    def test_versions_out_of_range_are_refused(self, api: Api) -> None:
        assert "too new" in message(api("GET", "/v1.99/_ping"))
        assert api("GET", "/v1.10/_ping").status == 400

    def test_unexpected_failure_of_a_handler_is_500(self, api: Api, caplog: pytest.LogCaptureFixture) -> None:
        api.engine.recorder.error = ZeroDivisionError("oops")  # type: ignore[assignment]
        response = api("POST", "/containers/x/start")
        assert response.status == 500
        assert message(response) == "internal error: ZeroDivisionError: oops"
        assert "ZeroDivisionError" in caplog.text
        assert api("POST", "/containers/x/start").status == 204

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (ContainerNotFound("x"), 404),
            (InvalidArgument("bad"), 400),
            (Conflict("no"), 409),
            (NameInUse("x", "y"), 409),
            (ContainerNotRunning("x"), 409),
            (Forbidden("no"), 403),
            (NotImplementedHere("no"), 501),
            (StorageFull("/x", "writing"), 500),
            (RundletError("broken"), 500),
        ],
    )
    def test_errors_of_the_engine_have_one_status_each(self, api: Api, error: RundletError, status: int) -> None:
        api.fail_with(error)
        response = api("POST", "/containers/x/start")
        assert response.status == status
        assert message(response) == str(error)

    def test_not_modified_has_no_body(self, api: Api) -> None:
        api.fail_with(NotModified("is running"))
        response = api("POST", "/containers/x/start")
        assert (response.status, response.body) == (304, b"")
        assert "content-type" not in response.headers

    def test_failed_start_tells_the_exit_code(self, api: Api) -> None:
        api.fail_with(StartFailed("exec: foo: not found", 127))
        response = api("POST", "/containers/x/start")
        assert response.status == 400
        assert json.loads(response.body) == {"message": "exec: foo: not found", "exitCode": 127}

    def test_options_is_ok(self, api: Api) -> None:
        assert api("OPTIONS", "/anything").status == 200


class TestSystem:
    def test_ping(self, api: Api) -> None:
        response = api("GET", "/_ping")
        assert (response.status, response.body) == (200, b"OK")
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert response.headers["cache-control"] == "no-cache, no-store, must-revalidate"
        assert response.headers["pragma"] == "no-cache"
        assert response.headers["swarm"] == "inactive"
        assert response.headers["builder-version"] == "1"

    def test_head_ping_says_length_0(self, api: Api) -> None:
        response = api("HEAD", "/v1.40/_ping")
        assert (response.status, response.headers["content-length"]) == (200, "0")
        assert response.headers["api-version"] == "1.47"

    def test_version_and_info(self, api: Api) -> None:
        assert json.loads(api("GET", "/version").body)["ApiVersion"] == "1.47"
        assert json.loads(api("GET", "/v1.30/info").body)["Swarm"] == {"LocalNodeState": "inactive"}


class TestCreate:
    def test_replies_id_and_warnings(self, api: Api) -> None:
        response = api("POST", "/containers/create?name=web", {"Image": "busybox", "hostConfig": {"Memory": 5}})
        assert response.status == 201
        assert json.loads(response.body) == {"Id": CONTAINER_ID, "Warnings": []}
        _, request, name = api.last_call()
        assert (request.Image, request.HostConfig.Memory, name) == ("busybox", 5, "web")

    def test_no_name_is_none(self, api: Api) -> None:
        api("POST", "/containers/create?name=", {"Image": "busybox"})
        assert api.last_call()[2] is None

    def test_missing_image_is_404_with_the_words_that_clients_look_for(self, api: Api) -> None:
        response = api("POST", "/containers/create", {"Image": "missing"})
        assert response.status == 404
        assert message(response) == "No such image: missing:latest"

    def test_body_of_another_type_is_refused(self, api: Api) -> None:
        response = api("POST", "/containers/create", b"{}", {"Content-Type": "text/plain"})
        assert response.status == 400
        assert "Content-Type" in message(response)

    def test_charset_in_the_type_is_allowed(self, api: Api) -> None:
        headers = {"Content-Type": "Application/JSON; charset=utf-8"}
        assert api("POST", "/containers/create", b'{"Image":"x"}', headers).status == 201

    def test_wrong_type_names_the_field(self, api: Api) -> None:
        response = api("POST", "/containers/create", {"HostConfig": {"Memory": "5"}})
        assert response.status == 400
        assert "HostConfig.Memory" in message(response)

    def test_several_endpoints_need_1_44(self, api: Api) -> None:
        body = {"Image": "x", "NetworkingConfig": {"EndpointsConfig": {"a": {}, "b": None}}}
        assert api("POST", "/v1.43/containers/create", body).status == 400
        assert api("POST", "/v1.44/containers/create", body).status == 201

    def test_endless_body_is_refused(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("rundlet.api.request.DOCUMENT_LIMIT", 1000)
        assert api("POST", "/containers/create", {"Image": "x" * 2000}).status == 400


class TestLifecycle:
    @pytest.mark.parametrize(
        ("method", "path", "call"),
        [
            ("POST", "/containers/x/start", ("start", "x")),
            ("POST", "/containers/x/stop", ("stop", "x", None, None)),
            ("POST", "/containers/x/stop?t=-1&signal=INT", ("stop", "x", -1, "INT")),
            ("POST", "/containers/x/stop?t=0", ("stop", "x", 0, None)),
            ("POST", "/v1.41/containers/x/stop?t=5&signal=INT", ("stop", "x", 5, None)),
            ("POST", "/containers/x/restart?t=3", ("restart", "x", 3, None)),
            ("POST", "/containers/x/kill", ("kill", "x", None)),
            ("POST", "/containers/x/kill?signal=9", ("kill", "x", "9")),
            ("POST", "/containers/x/pause", ("pause", "x")),
            ("POST", "/containers/x/unpause", ("unpause", "x")),
            ("POST", "/containers/x/rename?name=y", ("rename", "x", "y")),
            ("DELETE", "/containers/x", ("remove", "x", False, False)),
            ("DELETE", "/containers/x?force=1&v=True", ("remove", "x", True, True)),
        ],
    )
    def test_reaches_the_engine_and_replies_204(
        self, api: Api, method: str, path: str, call: tuple[Any, ...]
    ) -> None:
        assert api(method, path).status == 204
        assert api.last_call() == call

    def test_start_refuses_a_body(self, api: Api) -> None:
        assert api("POST", "/containers/x/start", {"HostConfig": {}}).status == 400
        assert api("POST", "/containers/x/start", b"{}", JSON_TYPE).status == 204

    def test_bad_timeout_is_refused(self, api: Api) -> None:
        assert "parameter t" in message(api("POST", "/containers/x/stop?t=soon"))

    def test_resize_needs_both_numbers(self, api: Api) -> None:
        response = api("POST", "/containers/x/resize?h=24&w=80")
        assert (response.status, response.headers["content-length"]) == (200, "0")
        assert "content-type" not in response.headers
        assert api.last_call() == ("resize", "x", 24, 80)
        for query in ("", "?h=24", "?w=80", "?h=-1&w=80", "?h=a&w=b", "?h=70000&w=1"):
            assert api("POST", f"/containers/x/resize{query}").status == 400

    def test_prune_says_null_for_nothing(self, api: Api) -> None:
        response = api("POST", '/containers/prune?filters={"label":{"a=b":true}}')
        assert json.loads(response.body) == {"ContainersDeleted": None, "SpaceReclaimed": 0}
        assert api.last_call() == ("prune", {"label": ["a=b"]})

    def test_prune_with_broken_filters_prunes_nothing(self, api: Api) -> None:
        assert api("POST", "/containers/prune?filters=garbage").status == 400
        assert api.engine.recorder.calls == []


class TestLookingAtContainers:
    @pytest.mark.parametrize(
        ("query", "call"),
        [
            ("", ("list", False, 0, {}, False)),
            ("?all=1&size=1&limit=3", ("list", True, 3, {}, True)),
            ("?limit=-1&all=0&trunc_cmd=0&size=0", ("list", False, 0, {}, False)),
            (
                "?filters=%7B%22status%22%3A%5B%22exited%22%5D%7D",
                ("list", False, 0, {"status": ["exited"]}, False),
            ),
        ],
    )
    def test_list(self, api: Api, query: str, call: tuple[Any, ...]) -> None:
        response = api("GET", f"/containers/json{query}")
        assert response.status == 200
        assert api.last_call() == call
        (summary,) = json.loads(response.body)
        assert summary["Names"] == ["/web"]
        assert isinstance(summary["Created"], int)
        assert "SizeRw" not in summary

    def test_inspect_has_the_objects_without_which_the_cli_panics(self, api: Api) -> None:
        document = json.loads(api("GET", "/containers/web/json?size=1").body)
        assert api.last_call() == ("inspect", "web", True)
        for key in ("State", "Config", "HostConfig", "NetworkSettings"):
            assert isinstance(document[key], dict)
        assert document["Config"]["Env"] is None
        assert "Healthcheck" not in document["Config"]
        assert "SizeRw" not in document

    def test_inspect_of_nothing_is_404(self, api: Api) -> None:
        assert message(api("GET", "/containers/missing/json")) == "No such container: missing"

    def test_wait_sends_headers_before_the_exit(self, api: Api) -> None:
        api.engine.containers.exit = api.server.loop.create_future()
        api.send("POST", "/containers/x/wait?condition=next-exit")
        head = api.peer.read_head()
        assert (head.status, head.headers["transfer-encoding"]) == (200, "chunked")
        assert head.headers["content-type"] == "application/json"
        assert api.last_call() == ("wait", "x", "next-exit")
        api.server.loop.call_soon_threadsafe(api.engine.containers.exit.set_result, WaitResponse(3))
        assert json.loads(api.peer.read_chunk()) == {"StatusCode": 3}

    def test_wait_tells_an_error_if_there_is_one(self, api: Api) -> None:
        api.engine.containers.exit = WaitResponse(125, WaitError("gone"))
        response = api("POST", "/containers/x/wait")
        assert json.loads(response.body) == {"StatusCode": 125, "Error": {"Message": "gone"}}

    def test_wait_refuses_before_the_headers(self, api: Api) -> None:
        api.fail_with(InvalidArgument('invalid condition: "x"'))
        assert api("POST", "/containers/x/wait?condition=x").status == 400


class TestLogs:
    LOG = [LogEntry(1, 1700000000123456789, b"one\n"), LogEntry(2, 1700000001000000000, b"two\n")]

    def test_one_frame_per_line(self, api: Api) -> None:
        api.engine.containers.log = self.LOG
        response = api("GET", "/containers/x/logs?stdout=1&stderr=1&tail=all")
        assert response.headers["content-type"] == "application/vnd.docker.multiplexed-stream"
        assert response.chunks == (stdcopy.encode(1, b"one\n"), stdcopy.encode(2, b"two\n"))

    def test_terminals_are_not_framed(self, api: Api) -> None:
        api.engine.containers.log, api.engine.containers.tty = self.LOG[:1], True
        response = api("GET", "/containers/x/logs?stdout=1")
        assert response.headers["content-type"] == "application/vnd.docker.raw-stream"
        assert response.body == b"one\n"

    def test_before_1_42_the_type_is_raw_and_the_frames_are_there(self, api: Api) -> None:
        api.engine.containers.log = self.LOG[:1]
        response = api("GET", "/v1.41/containers/x/logs?stdout=1")
        assert response.headers["content-type"] == "application/vnd.docker.raw-stream"
        assert response.body == stdcopy.encode(1, b"one\n")

    def test_timestamps_stand_inside_the_frame(self, api: Api) -> None:
        api.engine.containers.log = self.LOG[:1]
        response = api("GET", "/containers/x/logs?stdout=1&timestamps=1")
        assert response.body == stdcopy.encode(1, b"2023-11-14T22:13:20.123456789Z one\n")

    @pytest.mark.parametrize(
        ("query", "options"),
        [
            ("stdout=1", LogOptions(stdout=True, stderr=False)),
            ("stderr=1&follow=1&tail=5", LogOptions(stdout=False, stderr=True, follow=True, tail=5)),
            ("stdout=1&tail=0", LogOptions(stderr=False, tail=0)),
            ("stdout=1&tail=nonsense", LogOptions(stderr=False)),
            ("stdout=1&tail=-1", LogOptions(stderr=False)),
            ("stdout=1&since=1.5&until=0", LogOptions(stderr=False, since_ns=1_500_000_000, until_ns=0)),
            ("stdout=1&details=1", LogOptions(stderr=False, details=True)),
        ],
    )
    def test_options_reach_the_engine(self, api: Api, query: str, options: LogOptions) -> None:
        assert api("GET", f"/containers/x/logs?{query}").status == 200
        assert api.last_call() == ("logs", "x", options)

    def test_no_stream_is_refused(self, api: Api) -> None:
        assert api("GET", "/containers/x/logs").status == 400


class TestAttach:
    @pytest.mark.parametrize(
        ("version", "tty", "upgrade", "content_type"),
        [
            ("", False, True, "multiplexed"),
            ("", True, True, "raw"),
            ("", False, False, "raw"),
            ("/v1.41", False, True, "raw"),
        ],
    )
    def test_content_type(self, api: Api, version: str, tty: bool, upgrade: bool, content_type: str) -> None:
        api.engine.containers.session = FakeSession(tty=tty)
        api.send("POST", f"{version}/containers/x/attach?stream=1", headers=UPGRADE if upgrade else {})
        head = api.peer.read_head()
        assert head.status == (101 if upgrade else 200)
        assert head.headers["content-type"] == f"application/vnd.docker.{content_type}-stream"

    def test_output_comes_framed_and_then_the_end(self, api: Api) -> None:
        api.send("POST", "/containers/x/attach?stream=1&stdout=1&stderr=1", headers=UPGRADE)
        api.peer.read_head()
        assert api.peer.read_to_end() == stdcopy.encode(1, b"out") + stdcopy.encode(2, b"err")

    def test_a_terminals_output_comes_raw(self, api: Api) -> None:
        api.engine.containers.session = FakeSession([(0, b"hello\r\n")], tty=True)
        api.send("POST", "/containers/x/attach?stream=1&stdout=1", headers=UPGRADE)
        api.peer.read_head()
        assert api.peer.read_to_end() == b"hello\r\n"

    def test_options_reach_the_engine(self, api: Api) -> None:
        api.send("POST", "/containers/x/attach?stdin=1&logs=1&stream=1&detachKeys=ctrl-a", headers=UPGRADE)
        api.peer.read_head()
        options = AttachOptions(stdin=True, logs=True, stream=True, detach_keys="ctrl-a")
        assert api.last_call() == ("attach", "x", options)

    def test_errors_come_before_the_switch(self, api: Api) -> None:
        api.fail_with(ContainerNotFound("x"))
        assert api("POST", "/containers/x/attach?stream=1", headers=UPGRADE).status == 404


class TestExec:
    def test_create(self, api: Api) -> None:
        response = api("POST", "/containers/x/exec", {"Cmd": ["ls"], "detachKeys": "a"})
        assert (response.status, json.loads(response.body)) == (201, {"Id": EXEC_ID})
        assert api.last_call()[2].DetachKeys == "a"

    def test_create_without_a_command_is_refused(self, api: Api) -> None:
        assert message(api("POST", "/containers/x/exec", {"Cmd": []})) == "No exec command specified"

    def test_detached_start_replies_an_empty_200(self, api: Api) -> None:
        response = api("POST", f"/exec/{EXEC_ID}/start", {"Detach": True})
        assert (response.status, response.body) == (200, b"")
        assert "content-type" not in response.headers
        assert api.last_call() == ("exec start", EXEC_ID, ExecStartRequest(Detach=True))

    def test_framing_follows_the_tty_of_start_not_of_create(self, api: Api) -> None:
        """docker-py creates with a terminal, starts without, and reads frames."""
        api.engine.execs.session = FakeSession([(0, b"out")], tty=True)
        api.send("POST", f"/exec/{EXEC_ID}/start", {"Tty": False}, UPGRADE)
        assert api.peer.read_head().headers["content-type"] == "application/vnd.docker.multiplexed-stream"
        assert api.peer.read_to_end() == stdcopy.encode(1, b"out")

    def test_no_frames_with_a_terminal(self, api: Api) -> None:
        api.send("POST", f"/exec/{EXEC_ID}/start", {"Tty": True}, UPGRADE)
        assert api.peer.read_head().headers["content-type"] == "application/vnd.docker.raw-stream"
        assert api.peer.read_to_end() == b"out"

    def test_start_of_one_that_has_run_says_so_in_the_stream(self, api: Api) -> None:
        api.engine.execs.running = True
        api.fail_with(Conflict("exec has already run"))
        api.send("POST", f"/exec/{EXEC_ID}/start", {}, UPGRADE)
        assert api.peer.read_head().status == 101
        assert api.peer.read_to_end() == stdcopy.encode(1, b"exec has already run\r\n")

    def test_detached_start_of_one_that_has_run_is_409(self, api: Api) -> None:
        api.engine.execs.running = True
        api.fail_with(Conflict("exec has already run"))
        assert api("POST", f"/exec/{EXEC_ID}/start", {"Detach": True}).status == 409

    def test_start_in_a_stopped_container_is_409(self, api: Api) -> None:
        api.fail_with(ContainerNotRunning("x"))
        assert api("POST", f"/exec/{EXEC_ID}/start", {}, UPGRADE).status == 409

    def test_inspect_has_null_for_no_exit_code(self, api: Api) -> None:
        document = json.loads(api("GET", f"/exec/{EXEC_ID}/json").body)
        assert document["ExitCode"] is None
        assert document["ProcessConfig"]["tty"] is False

    def test_resize(self, api: Api) -> None:
        assert api("POST", f"/exec/{EXEC_ID}/resize?h=1&w=2").status == 200
        assert api.last_call() == ("exec resize", EXEC_ID, 1, 2)


class TestImages:
    def test_list_has_empty_arrays_from_1_43_on(self, api: Api) -> None:
        (image,) = json.loads(api("GET", "/images/json").body)
        assert (image["RepoTags"], image["RepoDigests"]) == ([], [])
        (image,) = json.loads(api("GET", "/v1.42/images/json").body)
        assert (image["RepoTags"], image["RepoDigests"]) == (["<none>:<none>"], ["<none>@<none>"])

    def test_names_may_hold_slashes_colons_and_escapes(self, api: Api) -> None:
        for path in ("localhost:5000/a/b:c", "localhost%3A5000%2Fa%2Fb%3Ac"):
            response = api("GET", f"/images/{path}/json")
            assert message(response) == "No such image: localhost:5000/a/b:c"

    def test_history(self, api: Api) -> None:
        (item,) = json.loads(api("GET", "/images/x/history").body)
        assert item["CreatedBy"] == "CMD"

    def test_tag_replies_an_empty_201(self, api: Api) -> None:
        response = api("POST", "/images/x/tag?repo=a%2Fb&tag=c")
        assert (response.status, response.body) == (201, b"")
        assert api.last_call() == ("tag", "x", "a/b:c")
        assert api("POST", "/images/x/tag").status == 400

    def test_remove_lists_one_key_each(self, api: Api) -> None:
        response = api("DELETE", "/images/a/b?force=1&noprune=0")
        assert json.loads(response.body) == [{"Untagged": "a:b"}, {"Deleted": IMAGE_ID}]
        assert api.last_call() == ("image remove", "a/b", True)

    @pytest.mark.parametrize(
        ("query", "asked"),
        [
            ("fromImage=docker.io%2Flibrary%2Fbusybox&tag=latest", ("docker.io/library/busybox:latest",)),
            ("fromImage=busybox", ("busybox",)),
            ("fromImage=busybox&tag=sha256:abc", ("busybox@sha256:abc",)),
            ("fromImage=busybox&platform=linux/s390x", ("busybox", "linux/s390x")),
        ],
    )
    def test_pull_streams_lines(self, api: Api, query: str, asked: tuple[str, ...]) -> None:
        api.engine.images.progress = [{"status": "one"}, {"status": "two"}]
        response = api("POST", f"/images/create?{query}")
        assert api.last_call() == ("pull", *asked)
        assert response.chunks == (b'{"status":"one"}\r\n', b'{"status":"two"}\r\n')
        assert response.headers["content-type"] == "application/json"

    def test_pull_that_fails_at_once_has_a_real_status(self, api: Api) -> None:
        api.engine.images.progress = [ImageNotFound("x")]
        assert api("POST", "/images/create?fromImage=x").status == 404

    def test_pull_that_fails_later_says_so_in_the_stream(self, api: Api) -> None:
        """The CLI looks for ``errorDetail``, docker-py for ``error``."""
        api.engine.images.progress = [{"status": "one"}, StorageFull("/x", "writing")]
        response = api("POST", "/images/create?fromImage=x")
        last = json.loads(response.chunks[-1])
        assert response.status == 200
        assert last["error"] == last["errorDetail"]["message"] == "no space left on device while writing: /x"

    def test_import(self, api: Api) -> None:
        api.engine.images.progress = [{"status": IMAGE_ID}]
        path = "/images/create?fromSrc=-&repo=a&tag=b&message=hi&changes=CMD+x&changes=ENV+a%3Db&platform=arm64"
        response = api("POST", path, b"tar" * 100_000, {"Content-Type": "text/plain"})
        assert json.loads(response.body) == {"status": IMAGE_ID}
        assert api.last_call() == ("import", "a:b", "hi", ["CMD x", "ENV a=b"], "arm64")
        assert api.engine.images.uploaded == b"tar" * 100_000

    def test_create_needs_a_source(self, api: Api) -> None:
        assert api("POST", "/images/create").status == 400
        assert api("POST", "/images/create?fromSrc=http://x").status == 501

    def test_load_takes_a_chunked_archive(self, api: Api) -> None:
        api.engine.images.progress = [{"stream": "Loaded image: a:b\n"}]
        api.peer.send(b"POST /images/load?quiet=1 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(200):
            api.peer.send(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
        api.peer.send(b"0\r\n\r\n")
        assert json.loads(api.peer.response().body) == {"stream": "Loaded image: a:b\n"}
        assert api.engine.images.uploaded == b"x" * 0x1000 * 200

    def test_quiet_load_tells_results_only(self, api: Api) -> None:
        """The CLI asks for it whenever its output is no terminal."""
        api.engine.images.progress = [{"status": "Reading"}, {"stream": "Loaded image: a:b\n"}]
        assert len(api("POST", "/images/load", b"tar").chunks) == 2
        response = api("POST", "/images/load?quiet=1", b"tar")
        assert [json.loads(chunk) for chunk in response.chunks] == [{"stream": "Loaded image: a:b\n"}]

    def test_load_tells_client_that_waits_to_go_ahead(self, api: Api) -> None:
        api.send("POST", "/images/load", headers={"Expect": "100-continue", "Content-Length": "3"})
        assert api.peer.read_head().status == 100
        api.peer.send(b"tar")
        assert api.peer.response().status == 200
        assert api.engine.images.uploaded == b"tar"

    def test_load_of_a_bad_archive_is_200_with_the_error_in_the_stream(self, api: Api) -> None:
        api.engine.images.progress = [CorruptArchive("archive", "no manifest")]
        response = api("POST", "/images/load", b"x" * 1000)
        assert response.status == 200
        assert json.loads(response.body)["error"] == "corrupt archive: no manifest"

    def test_client_that_leaves_in_its_upload_ends_the_reading_thread(self, api: Api) -> None:
        """Else the thread would wait for ever, and the daemon could not end: see the fixture's teardown."""
        api.peer.send(b"POST /images/load HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\nabc")
        assert api.peer.read_head().status == 200
        api.peer.close()
        api.peer = api.server.connect()
        assert api("GET", "/_ping").status == 200

    def test_server_that_ends_in_an_upload_ends_the_reading_thread(self, api: Api) -> None:
        api.peer.send(b"POST /images/load HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\nabc")
        assert api.peer.read_head().status == 200
        api.server.close()

    def test_assemble_is_ours(self, api: Api) -> None:
        api.engine.images.progress = [{"status": "x"}]
        assert api("POST", "/images/assemble?reference=a:b&program=git&program=vim").status == 200
        assert api.last_call() == ("assemble", "a:b", ["git", "vim"])


class TestEvents:
    def emit(self, api: Api, *events: tuple[str, str, str, dict[str, str]]) -> None:
        for event in events:
            api.server.loop.call_soon_threadsafe(api.engine.events.emit, *event)

    def test_live_events_come_as_lines_after_early_headers(self, api: Api) -> None:
        api.send("GET", "/events")
        head = api.peer.read_head()
        assert (head.status, head.headers["content-type"]) == (200, "application/json")
        self.emit(api, ("container", "start", CONTAINER_ID, {"name": "web", "image": "x"}))
        chunk = api.peer.read_chunk()
        assert chunk.endswith(b"}\n")
        event = json.loads(chunk)
        assert (event["Type"], event["Action"], event["status"], event["from"]) == (
            "container",
            "start",
            "start",
            "x",
        )

    @pytest.mark.parametrize(
        ("filters", "actions"),
        [
            ({}, ["start", "exec_start: sh", "die", "tag"]),
            ({"type": ["image"]}, ["tag"]),
            ({"event": {"die": True, "start": True}}, ["start", "die"]),
            ({"event": ["exec_start"]}, ["exec_start: sh"]),
            ({"container": ["web"]}, ["start", "die"]),
            ({"container": ["cccc"]}, ["start", "exec_start: sh", "die"]),
            ({"image": ["busybox"]}, ["start", "tag"]),
            ({"label": ["a=b", "c"]}, ["die"]),
            ({"label": ["a"], "type": ["container"]}, ["start", "die"]),
            ({"scope": ["swarm"]}, []),
        ],
    )
    def test_past_events_are_filtered(self, api: Api, filters: dict[str, Any], actions: list[str]) -> None:
        self.emit(
            api,
            ("container", "start", CONTAINER_ID, {"name": "web", "image": "busybox", "a": "b"}),
            ("container", "exec_start: sh", CONTAINER_ID, {"name": "other"}),
            ("container", "die", CONTAINER_ID, {"name": "web", "a": "b", "c": ""}),
            ("image", "tag", IMAGE_ID, {"name": "busybox"}),
        )
        api("GET", "/_ping")
        query = f"since=1.5&until={time.time():.9f}&filters={quote(json.dumps(filters))}"
        response = api("GET", f"/events?{query}")
        assert [json.loads(chunk)["Action"] for chunk in response.chunks] == actions

    def test_unknown_filters_are_refused(self, api: Api) -> None:
        assert message(api("GET", '/events?filters={"nope":["x"]}')) == "invalid filter 'nope'"


class TestAbsent:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/swarm/leave?force=1"),
            ("POST", "/swarm/init"),
            ("GET", "/swarm"),
            ("GET", "/nodes"),
            ("GET", "/services/x/logs"),
            ("DELETE", "/secrets/x"),
            ("GET", "/tasks"),
            ("POST", "/configs/create"),
        ],
    )
    def test_swarm_is_503(self, api: Api, method: str, path: str) -> None:
        response = api(method, path)
        assert response.status == 503
        assert message(response).startswith("This node is not a swarm manager")

    @pytest.mark.parametrize(
        ("path", "text"),
        [
            ("/networks/x", "network x not found"),
            ("/volumes/x", "get x: no such volume"),
            ("/plugins/x/json", 'plugin "x" not found'),
        ],
    )
    def test_inspect_of_what_is_not_there_is_a_clean_404(self, api: Api, path: str, text: str) -> None:
        response = api("GET", path)
        assert (response.status, message(response)) == (404, text)

    def test_lists_are_empty(self, api: Api) -> None:
        assert json.loads(api("GET", "/plugins").body) == []
        assert json.loads(api("GET", "/volumes").body) == {"Volumes": [], "Warnings": None}

    @pytest.mark.parametrize(
        "path", ["/networks", "/networks/", "/networks?filters=%7B%22type%22%3A%5B%22builtin%22%5D%7D"]
    )
    def test_three_networks_are_always_there(self, api: Api, path: str) -> None:
        found = json.loads(api("GET", path).body)
        assert {network["Name"]: network["Driver"] for network in found} == {
            "bridge": "bridge",
            "host": "host",
            "none": "null",
        }

    def test_a_network_is_found_by_name_and_id_and_is_not_removed(self, api: Api) -> None:
        network = json.loads(api("GET", "/networks/none").body)
        assert json.loads(api("GET", f"/networks/{network['Id'][:12]}").body) == network
        assert api("GET", "/networks/none?scope=swarm").status == 404
        refused = api("DELETE", "/networks/none")
        assert (refused.status, message(refused)) == (403, "none is a pre-defined network and cannot be removed")
        assert api("DELETE", "/networks/nope").status == 404
        assert api("POST", "/networks/none/connect").status == 501
        assert api("POST", "/networks/nope/connect").status == 404

    @pytest.mark.parametrize("path", ["/networks", "/volumes"])
    def test_an_unknown_filter_is_refused(self, api: Api, path: str) -> None:
        refused = api("GET", path + "?filters=%7B%22color%22%3A%5B%22x%22%5D%7D")
        assert (refused.status, message(refused)) == (400, "invalid filter 'color'")

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/networks/create"),
            ("GET", "/containers/x/stats"),
            ("PUT", "/containers/x/archive?path=/"),
            ("POST", "/images/localhost:5000/x/y/push"),
            ("GET", "/system/df"),
            ("POST", "/build"),
        ],
    )
    def test_what_is_to_come_is_501_and_says_so(self, api: Api, method: str, path: str) -> None:
        response = api(method, path)
        assert response.status == 501
        assert message(response) == f"this version of Rundlet does not offer {method} {path.partition('?')[0]}"


class TestBrowsers:
    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ("Host: 127.0.0.1:2375", 200),
            ("Host: localhost:2375", 200),
            ("Host: [::1]:2375", 200),
            ("Host: localhost", 200),
            ("Host: evil.example", 403),
            ("Host: evil.example:2375", 403),
            ("Host: localhost:2375\r\nOrigin: https://evil.example", 403),
        ],
    )
    def test_web_pages_reach_no_tcp_port(self, serve: Serve, headers: str, status: int) -> None:
        server = serve(GuardedFromBrowsers(EngineApi(FakeEngine().as_engine)))
        with server.connect() as peer:
            peer.send(f"GET /_ping HTTP/1.1\r\n{headers}\r\n\r\n".encode())
            assert peer.response().status == status

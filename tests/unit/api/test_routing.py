"""Which handler a path reaches, with which name and version."""

from __future__ import annotations

import pytest

from rundlet.api.reply import NO_CONTENT, AnyReply
from rundlet.api.request import Body, Request
from rundlet.api.routing import Route, Router, split_version
from rundlet.errors import InvalidArgument, NotFound


async def handler(request: Request) -> AnyReply:
    return NO_CONTENT


def request(method: str, path: str, query: str = "") -> Request:
    return Request(method, path, query, [], Body(lambda: None))


ROUTES = [
    Route("GET", "/_ping", handler),
    Route("GET", "/images/json", handler),
    Route("POST", "/images/create", handler),
    Route("GET", "/images/{name}/json", handler),
    Route("DELETE", "/images/{name}", handler),
    Route("GET", "/networks/{name}", handler),
    Route("POST", "/exec/{name}/start", handler),
]


@pytest.mark.parametrize(
    ("method", "path", "pattern", "name"),
    [
        ("GET", "/_ping", "/_ping", ""),
        ("GET", "/v1.24/_ping", "/_ping", ""),
        ("GET", "/v1.47/images/json", "/images/json", ""),
        ("GET", "/images/busybox/json", "/images/{name}/json", "busybox"),
        ("GET", "/images/localhost:5000/a/b:c/json", "/images/{name}/json", "localhost:5000/a/b:c"),
        ("GET", "/images/json/json", "/images/{name}/json", "json"),
        ("GET", "/v1.40/images/v1.40/x/json", "/images/{name}/json", "v1.40/x"),
        ("DELETE", "/images/a/b", "/images/{name}", "a/b"),
        ("DELETE", "/images/create", "/images/{name}", "create"),
        ("GET", "/networks/test 01", "/networks/{name}", "test 01"),
        ("POST", "/exec/abc/start", "/exec/{name}/start", "abc"),
    ],
)
def test_paths_reach_their_route(method: str, path: str, pattern: str, name: str) -> None:
    asked = request(method, path)
    assert Router(ROUTES).route(asked).pattern == pattern
    assert asked.name == name


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", ""),
        ("GET", "*"),
        ("GET", "/nothing"),
        ("POST", "/_ping"),
        ("GET", "/images"),
        ("GET", "/images/"),
        ("GET", "/images//json"),
        ("PUT", "/images/x/json"),
        ("GET", "/images/x"),
        ("POST", "/exec/start"),
        ("GET", "/vfoo/_ping"),
        ("GET", "/v1.47"),
        ("GET", "/v1.47_ping"),
        ("GET", "/v" + "9" * 5000 + "/_ping"),
        ("GET", "/v1." + "9" * 5000 + "/_ping"),
    ],
)
def test_unknown_paths_and_wrong_methods_are_both_page_not_found(method: str, path: str) -> None:
    with pytest.raises(NotFound, match=r"^page not found$"):
        Router(ROUTES).route(request(method, path))


@pytest.mark.parametrize(
    ("path", "version"),
    [("/_ping", (1, 47)), ("/v1.24/_ping", (1, 24)), ("/v1.47/_ping", (1, 47)), ("/v1.30.1/_ping", (1, 30, 1))],
)
def test_version_is_read_off_the_path(path: str, version: tuple[int, ...]) -> None:
    assert split_version(path) == (version, "/_ping")


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("1.48", "client version 1.48 is too new. Maximum supported API version is 1.47"),
        ("2", "client version 2 is too new. Maximum supported API version is 1.47"),
        ("1.23", "client version 1.23 is too old. Minimum supported API version is 1.24"),
        ("0.1", "client version 0.1 is too old. Minimum supported API version is 1.24"),
    ],
)
def test_other_versions_are_refused_in_dockers_words(version: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        split_version(f"/v{version}/_ping")
    assert message in str(caught.value)


class TestParameters:
    @pytest.mark.parametrize("text", ["", "0", "no", "NO", "false", "False", "none", "None", " 0 "])
    def test_five_words_are_false(self, text: str) -> None:
        assert request("GET", "/", f"a={text}").flag("a", default=True) is False

    @pytest.mark.parametrize("text", ["1", "true", "True", "yes", "anything"])
    def test_all_else_is_true(self, text: str) -> None:
        assert request("GET", "/", f"a={text}").flag("a") is True

    def test_absent_flag_has_its_default(self) -> None:
        assert request("GET", "/").flag("a", default=True) is True

    @pytest.mark.parametrize(("text", "value"), [("5", 5), ("-1", -1), ("", None)])
    def test_integers(self, text: str, value: int | None) -> None:
        assert request("GET", "/", f"t={text}").integer("t") == value

    @pytest.mark.parametrize("text", ["x", "1.5", "1e3", "--1", "9" * 30, "%D9%A3", "-"])
    def test_what_is_no_integer_is_refused_by_name(self, text: str) -> None:
        with pytest.raises(InvalidArgument, match="parameter t"):
            request("GET", "/", f"t={text}").integer("t")

    @pytest.mark.parametrize(
        ("text", "time_ns"),
        [
            ("0", 0),
            ("1700000000", 1700000000 * 10**9),
            ("1700000000.5", 1700000000500000000),
            ("1700000000.000000001", 1700000000000000001),
            ("1700000000.1234567891234", 1700000000123456789),
            ("-1", -(10**9)),
            ("", None),
        ],
    )
    def test_times_keep_their_nanoseconds(self, text: str, time_ns: int | None) -> None:
        assert request("GET", "/", f"since={text}").time_ns("since") == time_ns

    @pytest.mark.parametrize("text", ["now", "1.2.3", "10m", "1e9", ".", "1.x"])
    def test_what_is_no_time_is_refused_by_name(self, text: str) -> None:
        with pytest.raises(InvalidArgument, match="parameter since"):
            request("GET", "/", f"since={text}").time_ns("since")

    def test_parameters_may_be_repeated_and_escaped(self) -> None:
        asked = request("GET", "/", "changes=ENV%20A%3D1&changes=CMD+x&a=%2F")
        assert asked.texts("changes") == ["ENV A=1", "CMD x"]
        assert asked.text("a") == "/"

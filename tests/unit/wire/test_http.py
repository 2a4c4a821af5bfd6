"""HTTP/1.1 on the client's side: any split of the bytes gives the same response, and garbage is refused."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundlet.errors import ProtocolError
from rundlet.wire import http

SIZED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n" + b'{"a":"b\\n"}'
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n"
    b'00001 ; name="value"\r\n,\r\n'
    b"A\r\n world\r\n\r\n\r\n"
    b"0\r\nDigest: sha256\r\nOther: x\r\n\r\n"
)
HIJACKED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n\x01\0\0\0\0\0\0\x02hi"
RAW = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nraw bytes"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nA: b\r\n\r\n" + SIZED
EMPTY = b"HTTP/1.1 204 No Content\r\nServer: Docker/1\r\n\r\n"

RESPONSES = [
    (SIZED, b'{"a":"b\\n"}'),
    (CHUNKED, b"hello, world\r\n\r\n"),
    (HIJACKED, b"\x01\0\0\0\0\0\0\x02hi"),
    (RAW, b"raw bytes"),
    (CONTINUED, b'{"a":"b\\n"}'),
    (EMPTY, b""),
]


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def parse(parts: list[bytes], method: str = "GET") -> tuple[http.ResponseParser, bytes]:
    parser = http.ResponseParser(method)
    body = b"".join(piece for part in parts for piece in parser.feed(part))
    return parser, body


def describe(parts: list[bytes]) -> tuple[object, ...]:
    """All that a caller can see of a response, or that it was refused."""
    try:
        parser, body = parse(parts)
    except ProtocolError:
        return ("refused",)
    head = parser.head
    return (head and (head.status, head.reason, head.headers), body, parser.is_complete)


@given(st.sampled_from(RESPONSES), st.lists(st.integers(min_value=0), max_size=12))
def test_any_split_of_the_bytes_gives_the_same_response(case: tuple[bytes, bytes], cuts: list[int]) -> None:
    response, expected = case
    parser, body = parse(split(response, cuts))
    parser.feed_eof()

    assert expected == body
    assert parser.is_complete
    assert describe([response]) == describe(split(response, cuts))


@pytest.mark.parametrize(("response", "expected"), RESPONSES)
def test_byte_by_byte_is_as_good_as_at_once(response: bytes, expected: bytes) -> None:
    _, body = parse([bytes([byte]) for byte in response])

    assert expected == body


@given(st.binary(max_size=200), st.lists(st.integers(min_value=0), max_size=8))
def test_garbage_is_refused_or_awaited_but_never_crashes(data: bytes, cuts: list[int]) -> None:
    assert describe([data]) == describe(split(data, cuts))


@given(st.sampled_from(RESPONSES), st.integers(min_value=0), st.binary(min_size=1, max_size=3))
def test_a_damaged_response_is_read_or_refused_but_never_crashes(
    case: tuple[bytes, bytes], at: int, damage: bytes
) -> None:
    response, _ = case
    at %= len(response)
    damaged = response[:at] + damage + response[at + len(damage) :]

    assert describe([damaged]) == describe([bytes([byte]) for byte in damaged])


@pytest.mark.parametrize("response", [SIZED, CHUNKED, CONTINUED, EMPTY])
def test_a_response_cut_short_is_never_taken_for_a_whole_one(response: bytes) -> None:
    for length in range(len(response)):
        parser, _ = parse([response[:length]])

        assert not parser.is_complete
        with pytest.raises(ProtocolError, match="the response ended"):
            parser.feed_eof()


def test_a_body_without_length_ends_with_the_connection() -> None:
    parser, body = parse([RAW])

    assert not parser.is_complete
    parser.feed_eof()
    assert parser.is_complete
    assert body == b"raw bytes"


def test_bytes_that_come_with_the_headers_of_a_hijack_are_not_lost() -> None:
    parser, body = parse([HIJACKED])

    assert parser.head is not None
    assert parser.head.status == 101
    assert body == b"\x01\0\0\0\0\0\0\x02hi"
    assert parser.feed(b"more") == [b"more"]


def test_a_reply_to_head_has_no_body_whatever_its_length_says() -> None:
    parser, body = parse([b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"], method="HEAD")

    assert parser.is_complete
    assert body == b""


def test_header_names_are_lower_case_and_repeated_ones_are_joined() -> None:
    parser, _ = parse([b"HTTP/1.0 299 \r\nX-One: a\r\nx-one:  b \r\nEmpty:\r\n\r\n"])

    assert parser.head is not None
    assert parser.head.headers == {"x-one": "a, b", "empty": ""}


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: x\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: nul\0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: x\nB: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 19 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 16 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 17,
    ],
)
def test_what_a_lenient_parser_would_guess_at_is_refused(response: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse([response])


def test_the_same_length_twice_is_one_length() -> None:
    parser, body = parse([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab"])

    assert body == b"ab"
    assert parser.is_complete


@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * (http.MAX_HEAD_BYTES + 1),
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (http.MAX_HEADERS + 1) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * (http.MAX_CHUNK_LINE_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        + b"T: x\r\n" * (http.MAX_HEAD_BYTES // 6 + 2),
    ],
)
def test_nothing_without_end_is_kept(endless: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse([endless[at : at + 1000] for at in range(0, len(endless), 1000)])


def test_a_head_of_exactly_the_limit_is_read_however_it_is_split() -> None:
    start = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: "
    response = start + b"a" * (http.MAX_HEAD_BYTES - len(start)) + b"\r\n\r\n"

    for cut in range(1, 5):
        assert parse([response[:-cut], response[-cut:]])[0].is_complete


def test_bytes_behind_the_response_are_ignored() -> None:
    parser, body = parse([SIZED + b"surplus", b"more"])

    assert body == b'{"a":"b\\n"}'
    assert parser.is_complete


def test_a_request_is_written_line_by_line() -> None:
    request = http.encode_request("POST", "/containers/create?name=a%20b", [("Host", "localhost"), ("A", "b c")])

    assert request == b"POST /containers/create?name=a%20b HTTP/1.1\r\nHost: localhost\r\nA: b c\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "target", "header"),
    [
        ("GET /", "/", ("a", "b")),
        ("GET", "/a b", ("a", "b")),
        ("GET", "/a\r\nX: y", ("a", "b")),
        ("GET", "no-slash", ("a", "b")),
        ("GET", "/", ("a\r\nb", "c")),
        ("GET", "/", ("a", "b\r\nc: d")),
        ("GET", "/", ("a", "€")),
    ],
)
def test_nothing_breaks_out_of_its_line_of_a_request(method: str, target: str, header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        http.encode_request(method, target, [header])


def test_chunks_are_framed_and_an_empty_one_does_not_end_the_body() -> None:
    assert http.chunk(b"0123456789") == b"a\r\n0123456789\r\n"
    assert http.chunk(b"") == b""


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_written_chunks_read_back(pieces: list[bytes]) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    parser, body = parse([head, *map(http.chunk, pieces), http.LAST_CHUNK])

    assert b"".join(pieces) == body
    assert parser.is_complete


def test_quoting_keeps_the_unreserved_and_what_is_called_safe() -> None:
    assert http.quote("aZ9-._~/:é ") == "aZ9-._~%2F%3A%C3%A9%20"
    assert http.quote("a/b:c@d", "/:@") == "a/b:c@d"

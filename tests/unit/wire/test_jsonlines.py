"""JSON objects, one a line: whatever ends the lines and however the bytes are split."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundlet.errors import ProtocolError
from rundlet.wire import jsonlines
from rundlet.wire.jsonlines import Decoder

documents = st.lists(
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3), max_size=6
)


@given(documents, st.sampled_from([b"\n", b"\r\n", b"\n\n"]), st.lists(st.integers(0, 200), max_size=10))
def test_any_split_gives_the_same_objects(sent: list[dict[str, Any]], end: bytes, cuts: list[int]) -> None:
    wire = b"".join(jsonlines.encode(document, end) for document in sent)
    edges = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    decoder = Decoder()
    received = [item for a, b in itertools.pairwise(edges) for item in decoder.feed(wire[a:b])]

    assert sent == received
    assert decoder.feed_eof() == []


def test_an_object_comes_out_with_its_newline() -> None:
    decoder = Decoder()

    assert decoder.feed(b'{"a":1}') == []
    assert decoder.feed(b"\n") == [{"a": 1}]


def test_objects_glued_together_on_one_line_are_told_apart() -> None:
    assert Decoder().feed(b'{"a":1}{"b":2} [3]\r\n') == [{"a": 1}, {"b": 2}, [3]]


def test_a_last_line_without_newline_counts() -> None:
    decoder = Decoder()
    decoder.feed(b'{"a":1}\n{"b"')

    assert decoder.feed(b":2}") == []
    assert decoder.feed_eof() == [{"b": 2}]


def test_a_stream_that_breaks_off_inside_an_object_is_an_error() -> None:
    decoder = Decoder()
    decoder.feed(b'{"a":')

    with pytest.raises(ProtocolError, match="not JSON"):
        decoder.feed_eof()


@pytest.mark.parametrize("line", [b"nonsense\n", b"\xff\xfe\n", b'{"a":1} trailing\n', b"[" * 100_000 + b"\n"])
def test_what_is_no_json_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError, match="not JSON"):
        Decoder().feed(line)


def test_a_line_without_end_is_not_kept() -> None:
    decoder = Decoder()
    for _ in range(jsonlines.MAX_LINE_BYTES // 2**20):
        decoder.feed(b"a" * 2**20)

    with pytest.raises(ProtocolError, match="longer than"):
        decoder.feed(b"a")


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_garbage_is_refused_or_read_but_never_crashes(parts: list[bytes]) -> None:
    decoder = Decoder()
    try:
        items = [item for part in parts for item in decoder.feed(part)] + decoder.feed_eof()
    except ProtocolError:
        return

    assert len(items) <= sum(map(len, parts))

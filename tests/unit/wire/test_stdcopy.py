"""Frames of container output: any split gives the same bytes per stream, in order."""

from __future__ import annotations

from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundlet.errors import ProtocolError
from rundlet.wire import stdcopy
from rundlet.wire.stdcopy import STDERR, STDOUT, Demuxer

frames = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=30)), max_size=12)


def joined(pieces: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Neighbours of one stream put together: what remains when frame boundaries mean nothing."""
    together = [
        (stream, b"".join(data for _, data in group)) for stream, group in groupby(pieces, key=lambda p: p[0])
    ]
    return [piece for piece in together if piece[1]]


@given(frames, st.lists(st.integers(0, 400), max_size=20))
def test_any_split_gives_the_same_output(sent: list[tuple[int, bytes]], cuts: list[int]) -> None:
    wire = b"".join(stdcopy.encode(stream, data) for stream, data in sent)
    edges = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    demuxer = Demuxer()
    received = [piece for a, b in pairwise(edges) for piece in demuxer.feed(wire[a:b])]
    demuxer.feed_eof()

    assert joined([frame for frame in sent if frame[1]]) == joined(received)
    assert demuxer.at_boundary


def test_a_long_frame_comes_out_before_it_is_complete() -> None:
    demuxer = Demuxer()

    assert demuxer.feed(stdcopy.header(STDERR, stdcopy.MAX_LENGTH) + b"first") == [(STDERR, b"first")]
    assert demuxer.feed(b" second") == [(STDERR, b" second")]
    assert not demuxer.at_boundary


@pytest.mark.parametrize("start", [b"\x01\0\0", stdcopy.encode(STDOUT, b"abc")[:-1]])
def test_an_end_inside_a_frame_is_an_error(start: bytes) -> None:
    demuxer = Demuxer()
    demuxer.feed(start)

    with pytest.raises(ProtocolError, match="inside a frame"):
        demuxer.feed_eof()


@pytest.mark.parametrize("raw", [b"$ ls -la\r\n", b"\x04\0\0\0\0\0\0\x01a", b"\x01\0\0\x01\0\0\0\x01a"])
def test_what_is_not_framed_is_found_at_its_first_bytes(raw: bytes) -> None:
    with pytest.raises(ProtocolError, match="not a frame"):
        Demuxer().feed(raw)


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_garbage_is_refused_or_awaited_but_never_crashes(parts: list[bytes]) -> None:
    demuxer = Demuxer()
    try:
        total = sum(len(data) for part in parts for _, data in demuxer.feed(part))
    except ProtocolError:
        return

    assert total <= sum(map(len, parts))

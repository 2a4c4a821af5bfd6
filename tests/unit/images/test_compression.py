"""Compressed streams are told by their first bytes, and damage is found."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from rundlet.errors import CorruptArchive
from rundlet.images.compression import decompressed

Compress = Callable[[bytes], bytes]
COMPRESSORS: dict[str, Compress] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}
CONTENT = b"some content " * 100_000
each = pytest.mark.parametrize("name", COMPRESSORS)
each_compressed = pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])


def read(data: bytes) -> bytes:
    return decompressed(io.BytesIO(data)).read()


@each
def test_content_comes_back(name: str) -> None:
    assert read(COMPRESSORS[name](CONTENT)) == CONTENT


@each
def test_empty_content_comes_back(name: str) -> None:
    assert read(COMPRESSORS[name](b"")) == b""


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz", "zstd"])
def test_members_in_a_row_are_one_stream(name: str) -> None:
    """pigz, eStargz and zstd:chunked write several."""
    assert read(COMPRESSORS[name](b"one") + COMPRESSORS[name](b"two")) == b"onetwo"


@each_compressed
def test_zeros_after_the_end_are_padding(name: str) -> None:
    assert read(COMPRESSORS[name](b"one") + bytes(10_000)) == b"one"


@each_compressed
def test_a_cut_stream_is_corrupt(name: str) -> None:
    with pytest.raises(CorruptArchive, match=name):
        read(COMPRESSORS[name](CONTENT)[:-5])


@each_compressed
def test_anything_else_after_the_end_is_corrupt(name: str) -> None:
    with pytest.raises(CorruptArchive, match=name):
        read(COMPRESSORS[name](b"one") + b"garbage that is long enough to be a header")


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz", "zstd"])
def test_damage_is_found(name: str) -> None:
    data = bytearray(COMPRESSORS[name](CONTENT))
    data[len(data) // 2] ^= 0xFF

    with pytest.raises(CorruptArchive, match=name):
        assert read(bytes(data)) == CONTENT


def test_a_stream_that_wants_gigabytes_of_memory_is_refused() -> None:
    greedy = lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}])

    with pytest.raises(CorruptArchive, match="xz"):
        read(greedy)


def test_a_source_that_gives_a_byte_at_a_time_is_told_as_well() -> None:
    class Trickle(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 1, 1))

    assert decompressed(Trickle(gzip.compress(b"slow"))).read() == b"slow"


@given(st.binary(max_size=500), st.sampled_from(sorted(COMPRESSORS)))
def test_any_content_comes_back(content: bytes, name: str) -> None:
    assert content == read(COMPRESSORS[name](content)) or (name == "plain" and content[:2] in (b"\x1f\x8b", b"BZ"))

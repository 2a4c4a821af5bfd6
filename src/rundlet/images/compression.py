"""Streams of gzip, bzip2, xz and zstd, told apart by their first bytes.

Media types and file names are not asked: archives lie about both. Decoding happens in this process (ISA-L,
zstandard and the standard library), never in a helper program that an image could bring along. Memory is
bounded whatever the input says; the *amount* of output is the reader's business.
"""

from __future__ import annotations

import bz2
import io
import lzma
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import zstandard
from isal import igzip_lib, isal_zlib

from rundlet.errors import CorruptArchive

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK = 1 << 20
"""Bytes that move at once."""
_XZ_MEMORY = 256 << 20
_ZSTD_WINDOW = 128 << 20
"""Bytes. What ``xz -9`` and ``zstd --ultra`` ask for; more is an attack on our memory."""


class Readable(Protocol):
    """A source of bytes: ``read(n)`` gives at most n bytes, and none only at the end."""

    def read(self, size: int, /) -> bytes: ...


class _Decoder(Protocol):
    """What the decompressors of bz2, lzma and ISA-L have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _gzip() -> _Decoder:
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def _xz() -> _Decoder:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


_DECODER_ERRORS: tuple[type[Exception], ...] = (isal_zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)  # type: ignore[assignment]  # isal's stubs call its exception class an instance

_MAGIC: list[tuple[bytes, str, Callable[[], _Decoder] | None]] = [
    (b"\x1f\x8b\x08", "gzip", _gzip),
    (b"BZh", "bzip2", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", "xz", _xz),
    (b"\x28\xb5\x2f\xfd", "zstd", None),
]


def decompressed(source: Readable) -> io.BufferedReader:
    """``source`` without its compression, or as it is when it has none. Does not close ``source``.

    Reading raises CorruptArchive when the compressed data is damaged or cut short.
    """
    head = source.read(6)
    while len(head) < 6 and (more := source.read(6 - len(head))):
        head += more
    rest = _Prefixed(head, source)
    for magic, name, new in _MAGIC:
        if head.startswith(magic):
            raw = _ZstdReader(rest) if new is None else _Reader(rest, name, new)
            return io.BufferedReader(raw, CHUNK)
    return io.BufferedReader(rest, CHUNK)


class _Prefixed(io.RawIOBase):
    """``source`` with the bytes put back that were read to look at them."""

    def __init__(self, head: bytes, source: Readable) -> None:
        self._head = head
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data, self._head = self._head[: len(view)], self._head[len(view) :]
        if not data:
            data = self._source.read(len(view))
        view[: len(data)] = data
        return len(data)


class _Reader(io.RawIOBase):
    """One or several compressed members in a row, as pigz and eStargz write them."""

    def __init__(self, source: io.RawIOBase, name: str, new: Callable[[], _Decoder]) -> None:
        self._source = source
        self._name = name
        self._new = new
        self._decoder: _Decoder | None = new()
        self._pending = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        while self._decoder is not None and len(view):
            try:
                data = self._step(self._decoder, len(view))
            except _DECODER_ERRORS as error:
                raise CorruptArchive(f"{self._name} stream", str(error)) from error
            if data:
                view[: len(data)] = data
                return len(data)
        return 0

    def _step(self, decoder: _Decoder, size: int) -> bytes:
        if decoder.eof:
            # Members may be padded with zeros (tape blocks); anything else must be another member.
            rest = (decoder.unused_data or self._more()).lstrip(b"\0")
            while not rest and (more := self._more()):
                rest = more.lstrip(b"\0")
            self._decoder = self._new() if rest else None
            self._pending = rest
            return b""
        data, self._pending = self._pending, b""
        if not data and decoder.needs_input and not (data := self._more()):
            raise CorruptArchive(f"{self._name} stream", "it ends too early")
        return decoder.decompress(data, size)

    def _more(self) -> bytes:
        return self._source.read(CHUNK) or b""


class _ZstdReader(io.RawIOBase):
    def __init__(self, source: io.RawIOBase) -> None:
        decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._reader = decoder.stream_reader(
            io.BufferedReader(source, CHUNK), read_across_frames=True, closefd=False
        )

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        try:
            return self._reader.readinto(buffer)
        except zstandard.ZstdError as error:
            raise CorruptArchive("zstd stream", str(error)) from error

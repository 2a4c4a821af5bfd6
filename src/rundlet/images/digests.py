"""Digests of content, and what is computed from them.

Only SHA-256 is kept: it is the one algorithm that every registry and every image uses, and a store with
one algorithm has one name for each content. Nothing here touches a file by name.

Digest, DiffID and ChainID are the OCI image specification's words:
https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rundlet.errors import CorruptArchive

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from rundlet.images.compression import Readable

_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")


def hex_of(digest: object, what: str) -> str:
    """The 64 hexadecimal digits of ``sha256:…``, safe to use as a file name.

    ``digest`` comes from a document that anybody may have written, so it may be of any type. Raises
    CorruptArchive naming ``what``.
    """
    match = _SHA256.fullmatch(digest) if isinstance(digest, str) else None
    if match is None:
        raise CorruptArchive(what, f"{str(digest)[:100]!r} is not a sha256 digest")
    return match[1]


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def chain_ids(diff_ids: Iterable[str]) -> tuple[str, ...]:
    """The ChainID of every layer, lowest first: it names a layer together with all that lie below it."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(digest_of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)


class HashingReader(io.RawIOBase):
    """Passes ``source`` through and keeps the digest of what went by. Does not close ``source``."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self.size = 0
        """Bytes that went by."""

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self._source.read(len(view))
        view[: len(data)] = data
        self._hash.update(data)  # releases the GIL: layers are unpacked side by side
        self.size += len(data)
        return len(data)

"""Unpacked layers, each once, shared by all images and containers that stand on it.

    DATA/layers/<chain-id hex>/     0700
      diff/                         the unpacked layer: a lower directory for overlayfs
      layer.json                    {"diffId", "parent", "size", "opaque", "blob": {"digest", "size"}}

A layer is named by its ChainID, so that the name also says what lies below it. It appears by rename, complete
and verified, and is never changed. The directory says all about itself: no table has to agree with it.
Which layers are still needed is for the image store to say.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from isal import isal_zlib

from rundlet.errors import CorruptArchive
from rundlet.images import space
from rundlet.images.blobs import BlobStore, BlobWriter
from rundlet.images.compression import CHUNK, Readable, decompressed
from rundlet.images.digests import HashingReader, chain_ids, hex_of
from rundlet.images.tar import TarLimits, TarReader
from rundlet.images.trees import Workspace
from rundlet.images.unpack import unpack

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_GZIP = 16 + 15
"""zlib's ``wbits`` for a gzip wrapper, which holds neither name nor time: same input, same blob."""


@dataclass(frozen=True)
class Blob:
    digest: str
    size: int
    """Bytes, as stored: usually compressed."""


@dataclass(frozen=True)
class Layer:
    """What is known of an unpacked layer."""

    chain_id: str
    diff_id: str
    """Digest of the uncompressed tar."""
    parent: str
    """ChainID of what lies below; empty for a lowest layer."""
    size: int
    """Bytes of file data."""
    opaque: bool
    """Nothing below this layer shows."""
    blob: Blob
    """The archive it was unpacked from."""


class LayerStore:
    """Safe to use from several threads."""

    def __init__(self, path: Path, workspace: Workspace, blobs: BlobStore, limits: TarLimits) -> None:
        self._path = path
        self._workspace = workspace
        self._blobs = blobs
        self._limits = limits
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def __contains__(self, chain_id: str) -> bool:
        return self._directory(chain_id).exists()

    def __iter__(self) -> Iterator[str]:
        return (f"sha256:{path.name}" for path in self._path.iterdir())

    def diff(self, chain_id: str) -> Path:
        """The directory that overlayfs takes as a lower one."""
        return self._directory(chain_id) / "diff"

    def get(self, chain_id: str) -> Layer:
        """Raises FileNotFoundError when there is no such layer, CorruptArchive when it cannot be read."""
        text = (self._directory(chain_id) / "layer.json").read_bytes()
        try:
            document = json.loads(text)
            return Layer(
                chain_id=chain_id,
                diff_id=document["diffId"],
                parent=document["parent"],
                size=document["size"],
                opaque=document["opaque"],
                blob=Blob(**document["blob"]),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise CorruptArchive(f"layer {chain_id}", f"layer.json: {error!r}") from error

    def unpack(self, blob: Blob, *, diff_id: str, parent: str, on_read: Callable[[int], None]) -> Layer:
        """Make the layer out of a blob of the content store, unless it is there already.

        ``on_read`` hears how many bytes of the blob were read so far. Raises CorruptArchive when the content is
        not ``diff_id`` or cannot be unpacked, StorageFull.
        """
        chain_id = chain_ids([parent, diff_id])[-1] if parent else diff_id
        if chain_id in self:
            return self.get(chain_id)
        with self._blobs.path(blob.digest).open("rb") as file, self._fresh() as fresh:
            content = HashingReader(decompressed(CountingReader(file, on_read)))
            fresh.unpack(content, self._limits)
            if content.digest != diff_id:
                raise CorruptArchive(f"layer {diff_id}", f"its content is {content.digest}")
            return fresh.commit(content.digest, parent, blob)

    def build(self, content: Readable) -> Layer:
        """Make a lowest layer, and its blob, out of an uncompressed tar in one pass."""
        with self._blobs.writer() as writer, self._fresh() as fresh:
            hashing = HashingReader(content)
            compressing = _CompressingReader(hashing, writer)
            fresh.unpack(compressing, self._limits)
            compressing.finish()
            blob = Blob(writer.commit(), writer.size)
            return fresh.commit(hashing.digest, "", blob)

    def bury(self, chain_id: str) -> Path:
        """Take the layer away; the caller discards the result. A container that has it mounted keeps it."""
        return self._workspace.bury(self._directory(chain_id))

    def add(self, directory: Path, layer: Layer) -> None:
        """Show a finished layer directory under its name; a second one of the same name is superfluous."""
        try:
            directory.rename(self._directory(layer.chain_id))
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise

    def _directory(self, chain_id: str) -> Path:
        return self._path / hex_of(chain_id, "layer name")

    @contextlib.contextmanager
    def _fresh(self) -> Iterator[_FreshLayer]:
        with self._workspace.directory("layer") as directory:
            with space.needed(self._path, "unpacking a layer"):
                yield _FreshLayer(self, self._workspace, directory / "layer")


class _FreshLayer:
    """A layer that is being made in the workspace."""

    def __init__(self, store: LayerStore, workspace: Workspace, path: Path) -> None:
        self._store = store
        self._workspace = workspace
        self._path = path
        path.mkdir(mode=0o700)
        (path / "diff").mkdir()
        (path / "diff").chmod(0o755)

    def unpack(self, content: io.RawIOBase, limits: TarLimits) -> None:
        reader = TarReader(io.BufferedReader(content, CHUNK), limits)
        root = os.open(self._path / "diff", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._unpacked = unpack(reader, root, self._workspace)
        finally:
            os.close(root)
        reader.drain()

    def commit(self, diff_id: str, parent: str, blob: Blob) -> Layer:
        chain_id = chain_ids([parent, diff_id])[-1] if parent else diff_id
        layer = Layer(chain_id, diff_id, parent, self._unpacked.size, self._unpacked.opaque, blob)
        document = {
            "diffId": diff_id,
            "parent": parent,
            "size": layer.size,
            "opaque": layer.opaque,
            "blob": asdict(blob),
        }
        (self._path / "layer.json").write_text(json.dumps(document))
        self._store.add(self._path, layer)
        return layer


class CountingReader:
    """Passes ``source`` through and tells ``on_read`` how many bytes went by so far."""

    def __init__(self, source: Readable, on_read: Callable[[int], None]) -> None:
        self._source = source
        self._on_read = on_read
        self._size = 0

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._size += len(data)
        self._on_read(self._size)
        return data


class _CompressingReader(io.RawIOBase):
    """Passes ``source`` through and writes it, compressed, as a blob."""

    def __init__(self, source: io.RawIOBase, blob: BlobWriter) -> None:
        self._source = source
        self._blob = blob
        # Level 1: 500 MB/s here. The blob waits for a push or a save that may never come.
        self._compressor = isal_zlib.compressobj(level=1, wbits=_GZIP)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        size = self._source.readinto(view) or 0
        self._blob.write(self._compressor.compress(view[:size]))
        return size

    def finish(self) -> None:
        self._blob.write(self._compressor.flush())

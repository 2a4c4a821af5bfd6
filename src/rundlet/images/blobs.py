"""The content store: every blob under the name of its own digest.

    DATA/blobs/sha256/<64 hex>      image configurations and layer archives, exactly as they came

A blob is written in the workspace, hashed on the way, and renamed here when it is complete and is what it
claims to be; it never changes afterwards. What a blob means, and whether anybody still needs it, is for the
image store to say.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from rundlet.errors import CorruptArchive
from rundlet.images import space
from rundlet.images.digests import digest_of, hex_of
from rundlet.images.trees import Workspace


class BlobWriter:
    """A blob on its way in. It is visible after :meth:`commit` and leaves nothing behind otherwise."""

    def __init__(self, store: BlobStore, path: Path, file: BinaryIO) -> None:
        self._store = store
        self._path = path
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def commit(self) -> str:
        """Make the blob visible and return its digest."""
        self._file.flush()
        os.fsync(self._file.fileno())
        digest = f"sha256:{self._hash.hexdigest()}"
        self._store.adopt(self._path, digest)
        return digest


class BlobStore:
    """Safe to use from several threads: whoever comes second with the same content finds it there."""

    def __init__(self, path: Path, workspace: Workspace) -> None:
        self._path = path
        self._workspace = workspace
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where the blob is, if it is there. Raises CorruptArchive for what is no digest."""
        return self._path / hex_of(digest, "blob name")

    def __contains__(self, digest: str) -> bool:
        return self.path(digest).exists()

    def __iter__(self) -> Iterator[str]:
        return (f"sha256:{path.name}" for path in self._path.iterdir())

    @contextlib.contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        """Write a blob whose digest is not known before its end. Raises StorageFull."""
        with self._workspace.directory("blob") as directory, space.needed(self._path, "writing a blob"):
            path = directory / "blob"
            with path.open("xb") as file:
                yield BlobWriter(self, path, file)

    def put(self, data: bytes) -> str:
        """Store ``data`` and return its digest."""
        if (digest := digest_of(data)) not in self:
            with self.writer() as writer:
                writer.write(data)
                writer.commit()
        return digest

    def adopt(self, path: Path, digest: str) -> None:
        """Move the complete file at ``path`` in, whose digest the caller has computed."""
        path.chmod(0o600)
        path.rename(self.path(digest))

    def read(self, digest: str) -> bytes:
        """The whole blob, verified: for documents, not for layers. Raises CorruptArchive, FileNotFoundError."""
        data = self.path(digest).read_bytes()
        if digest_of(data) != digest:
            raise CorruptArchive(f"blob {digest}", "its content is not what its name says")
        return data

    def discard(self, digest: str) -> None:
        self.path(digest).unlink(missing_ok=True)

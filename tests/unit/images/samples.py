"""Archives for tests: written by the standard library's tarfile, so that our own reader meets a stranger.

Everything belongs to the user who runs the tests: unpacking then needs no root.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable
from typing import Any

Member = tuple[tarfile.TarInfo, bytes]


def entry(name: str, data: bytes = b"", **fields: Any) -> Member:
    """A regular file, or what ``fields`` (attributes of TarInfo) make of it."""
    info = tarfile.TarInfo(name)
    info.uid, info.gid, info.mtime = os.getuid(), os.getgid(), 1_000_000_000
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def directory(name: str, mode: int = 0o755) -> Member:
    return entry(name, type=tarfile.DIRTYPE, mode=mode)


def symlink(name: str, target: str) -> Member:
    return entry(name, type=tarfile.SYMTYPE, linkname=target)


def hard_link(name: str, target: str) -> Member:
    return entry(name, type=tarfile.LNKTYPE, linkname=target)


def pack(members: Iterable[Member], tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tar_format) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def config(layers: Iterable[bytes], **more: Any) -> bytes:
    """A configuration document for uncompressed ``layers``."""
    rootfs = {"type": "layers", "diff_ids": [digest(layer) for layer in layers]}
    return json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs, **more}).encode()


def docker_archive(
    layers: list[bytes], tags: Iterable[str] = ("sample:latest",), *, document: bytes | None = None, **more: Any
) -> bytes:
    """What ``docker save`` writes: manifest.json last. ``more`` goes into the configuration document."""
    document = config(layers, **more) if document is None else document
    names = [f"{number}.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": list(tags), "Layers": names}]
    return pack(
        [
            *(entry(name, layer) for name, layer in zip(names, layers, strict=True)),
            entry("config.json", document),
            entry("manifest.json", json.dumps(manifest).encode()),
        ]
    )


def oci_archive(
    layers: list[bytes], stored: list[bytes] | None = None, *, name: str = "sample:oci", **more: Any
) -> bytes:
    """An OCI layout in a tar. ``stored``: the layers as they are in the archive, when they are compressed."""
    blobs = [config(layers, **more), *(layers if stored is None else stored)]
    manifest = json.dumps(
        {"schemaVersion": 2, "config": descriptor(blobs[0]), "layers": [descriptor(blob) for blob in blobs[1:]]}
    ).encode()
    index = {"schemaVersion": 2, "manifests": [descriptor(manifest, name)]}
    return pack_oci(index, [manifest, *blobs])


def pack_oci(index: object, blobs: Iterable[bytes]) -> bytes:
    return pack(
        [
            entry("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
            entry("index.json", json.dumps(index).encode()),
            *(entry(f"blobs/sha256/{digest(blob)[7:]}", blob) for blob in blobs),
        ]
    )


def descriptor(blob: bytes, name: str | None = None, **more: Any) -> dict[str, Any]:
    annotations = {"org.opencontainers.image.ref.name": name} if name else {}
    return {"digest": digest(blob), "size": len(blob), "annotations": annotations, **more}

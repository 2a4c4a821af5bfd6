"""Archives that were made to harm: they touch nothing outside the data root and leave nothing in it."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adversarial.arena import Arena, build_evil_layer
from tests.support.busybox import build_archive, build_layer
from tests.support.http import Reply

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(60)]

MIB = 1024 * 1024
LAYER = build_evil_layer({"file": ("file", b"x")})


@pytest.fixture(autouse=True)
def _store_is_unchanged(arena: Arena) -> Iterator[None]:
    before = _stored(arena)
    yield
    for image in arena.daemon.client.get("/images/json").json():
        if {"busybox:latest", "rundlet/host:latest"}.isdisjoint(image["RepoTags"]):
            arena.daemon.client.delete(f"/images/{image['Id']}", force="1")
    assert _stored(arena) == before


def _stored(arena: Arena) -> set[Path]:
    places = ("blobs/*/*", "layers/*", "tmp/*", "tmp/gone/*")
    return {path for place in places for path in arena.daemon.data_root.glob(place)}


def _config(layers: list[bytes], **changes: Any) -> dict[str, Any]:
    digests = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    document = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]}}
    return {**document, "rootfs": {"type": "layers", "diff_ids": digests}, **changes}


def _archive(config: object = None, manifest: object = None, layers: tuple[bytes, ...] = (LAYER,)) -> bytes:
    if config is None:
        config = _config(list(layers))
    if manifest is None:
        manifest = _manifest(Layers=[f"layer{number}.tar" for number in range(len(layers))])
    members = {"config.json": config, "manifest.json": manifest}
    files = {
        name: each if isinstance(each, bytes) else json.dumps(each).encode() for name, each in members.items()
    }
    files |= {f"layer{number}.tar": layer for number, layer in enumerate(layers)}
    return build_evil_layer({name: ("file", data) for name, data in files.items()})


def _manifest(**changes: Any) -> list[dict[str, Any]]:
    return [{"Config": "config.json", "RepoTags": ["evil:latest"], "Layers": ["layer0.tar"], **changes}]


def _is_refused(reply: Reply) -> bool:
    return reply.status == 400 or (reply.status == 200 and b'"error":' in reply.body)


NAMES: tuple[object, ...] = (
    "../../../etc/passwd",
    "/etc/passwd",
    "",
    "\0",
    "n" * 100_000,
    "sha256:../..",
    5,
    None,
    {},
    ["x"],
)
DIGESTS: tuple[object, ...] = (
    "sha256:../../x",
    "sha256:" + "g" * 64,
    "sha256:" + "0" * 64,
    "md5:abc",
    "../../../etc/passwd",
    5,
    None,
)
REFUSED = {
    **{f"layer named {name!r:.20}": _archive(manifest=_manifest(Layers=[name])) for name in NAMES},
    **{f"config named {name!r:.20}": _archive(manifest=_manifest(Config=name)) for name in NAMES},
    **{
        f"digest {digest!r:.20}": _archive(_config([], rootfs={"type": "layers", "diff_ids": [digest]}))
        for digest in DIGESTS
    },
    "deep config": _archive(config=b'{"a":' * 100_000),
    "deep manifest": _archive(manifest=b"[" * 100_000),
    "config that is not UTF-8": _archive(config=b'{"os":"\xff\xfe"}'),
    "a million layers": _archive(manifest=_manifest(Layers=["layer0.tar"] * 1_000_000)),
    "more layers than can be mounted": _archive(
        _config([LAYER] * 1000), _manifest(Layers=["layer0.tar"] * 1000)
    ),
    "a hundred thousand tags": _archive(manifest=_manifest(RepoTags=[f"evil:{n}" for n in range(100_000)])),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_metadata_that_lies_is_refused(arena: Arena, name: str) -> None:
    assert _is_refused(arena.load(REFUSED[name]))


@pytest.mark.parametrize(
    "members",
    [
        {"../../../../../../CANARY": ("file", b"evil")},
        {"CANARY": ("file", b"evil")},
        {"link": ("symlink", "/"), "link/CANARY": ("file", b"evil")},
        {"link": ("symlink", "../../../../../../../../../.."), "link/CANARY": ("file", b"evil")},
        {"link": ("hardlink", "/CANARY"), "again": ("file", b"evil")},
        {"link": ("hardlink", "../../../../../../../../../../CANARY")},
        {"a": ("symlink", "CANARY"), "b": ("hardlink", "a"), "c": ("file", b"evil")},
        {"a": ("symlink", "CANARY"), "./a": ("file", b"evil")},
        {"CANARY_DIRECTORY/.wh.canary": ("file", b"")},
        {"link": ("symlink", "CANARY_DIRECTORY"), "link/.wh.canary": ("file", b"")},
        {"link": ("symlink", "CANARY_DIRECTORY"), "link/.wh..wh..opq": ("file", b"")},
        {".wh...": ("file", b"")},
        {".wh..": ("file", b"")},
        {".wh.": ("file", b"")},
        {"deep/" * 2000 + "x": ("file", b"")},
        {"n" * 5000: ("file", b"")},
        {"a" * 300 + "/b": ("file", b"")},
        {"file": ("file", b"1"), "file/below": ("file", b"2")},
    ],
)
def test_members_touch_nothing_outside(arena: Arena, tmp_path: Path, members: dict[str, tuple[str, Any]]) -> None:
    canary = tmp_path / "canary"
    canary.write_text("alive")

    def name(text: str) -> str:
        return text.replace("CANARY_DIRECTORY", str(tmp_path)).replace("CANARY", str(canary))

    evil = {
        name(key): (kind, name(value) if isinstance(value, str) else value)
        for key, (kind, value) in members.items()
    }
    layer = build_evil_layer(evil)
    reply = arena.load(build_archive("evil:latest", layer))
    assert reply.status == 200
    imported = arena.daemon.client.request("POST", "/images/create", layer, query={"fromSrc": "-", "repo": "evil"})
    assert imported.status in (200, 400)
    assert canary.read_text() == "alive"
    assert list(tmp_path.iterdir()) == [canary]


def _oversized(size: int) -> bytes:
    info = tarfile.TarInfo("large")
    info.size = size
    return info.tobuf() + bytes(1000)


def _sparse(size: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("sparse")
        names = {"major": "1", "minor": "0", "name": "sparse", "realsize": str(size)}
        info.pax_headers = {f"GNU.sparse.{key}": value for key, value in names.items()}
        data = b"1\n0\n1\n".ljust(512, b"\0") + b"x"
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize(
    "archive",
    [_oversized(1 << 43), _sparse(1 << 60), gzip.compress(build_layer())[:5000], lzma.compress(LAYER)[:-8]],
    ids=["longer than it is", "sparse", "torn gzip", "torn xz"],
)
def test_archives_that_promise_more_than_they_hold_are_refused(arena: Arena, archive: bytes) -> None:
    reply = arena.daemon.client.request("POST", "/images/create", archive, query={"fromSrc": "-", "repo": "evil"})
    assert _is_refused(reply)


def test_damaged_archives_end_in_an_error_or_an_image(arena: Arena) -> None:
    """Valid ones with bytes changed, taken out and put in, at random but each time the same."""
    chance = random.Random(20)
    small = _archive()
    valid = [
        small,
        build_archive("evil:latest", LAYER),
        gzip.compress(small),
        bz2.compress(small),
        lzma.compress(small),
    ]
    for number in range(150):
        data = bytearray(chance.choice(valid))
        for _ in range(chance.choice((1, 3, 30))):
            _damage(data, chance)
        if number % 2:
            reply = arena.load(bytes(data))
        else:
            query = {"fromSrc": "-", "repo": "evil"}
            reply = arena.daemon.client.request("POST", "/images/create", bytes(data), query=query)
        assert reply.status in (200, 400), (number, reply)
        assert b"internal" not in reply.body, (number, reply)


def _damage(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(min(len(data), chance.choice((len(data), 4096)))) if data else 0
    match chance.randrange(4):
        case 0:
            del data[at : at + chance.randrange(1, 600)]
        case 1:
            data[at:at] = chance.randbytes(chance.randrange(600))
        case _:
            data[at : at + 1] = chance.randbytes(1)


def test_compressed_by_programs_of_the_image_is_never_run(arena: Arena, tmp_path: Path) -> None:
    """CVE-2019-14271, CVE-2026-41567: the engine's own decoders, whatever PATH holds and the image brings."""
    script = f"#!/bin/sh\ntouch {tmp_path}/run\nexec cat\n".encode()
    names = ("unpigz", "pigz", "gzip", "xz", "zstd", "bzip2", "tar")
    layer = build_evil_layer(
        {f"{place}/{name}": ("file", script) for name in names for place in ("bin", "usr/bin")}
    )
    for archive in (
        gzip.compress(build_archive("evil:latest", layer)),
        lzma.compress(build_archive("evil:x", layer)),
    ):
        assert not _is_refused(arena.load(archive))
    assert list(tmp_path.iterdir()) == []
    assert os.path.exists("/bin/sh")

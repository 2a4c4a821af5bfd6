"""An image as the rest of the engine sees it, and the configuration document that it is made of.

The document is the OCI image configuration, which Docker writes as well
(https://github.com/opencontainers/image-spec/blob/main/config.md). It comes from anybody:
:func:`parse_config` checks every part that someone will read later, so that nobody else has to. No I/O.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rundlet.errors import CorruptArchive
from rundlet.images.digests import digest_of, hex_of
from rundlet.wire.documents import ZERO_TIME

MAX_LAYERS = 127
"""As in Docker; overlayfs itself takes 500."""
MAX_DOCUMENT = 4 << 20
"""Bytes of a configuration, manifest or index, as registries limit them."""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")

ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "i686": "386",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
"""What uname says -> what Go, and so the image specification, calls it."""


@dataclass(frozen=True)
class Image:
    """What the store knows of one image. ``config`` is shared and must not be changed."""

    id: str
    """``sha256:…``: the digest of the configuration document."""
    references: tuple[str, ...]
    """Its tags in familiar form (``busybox:latest``), sorted."""
    digests: tuple[str, ...]
    """The references by digest under which it was pulled (``busybox@sha256:…``), sorted."""
    config: Mapping[str, Any]
    """The whole OCI image configuration document."""
    layers: tuple[str, ...]
    """ChainIDs, lowest first."""
    size: int
    """Bytes of file data in all layers."""

    @property
    def created(self) -> str:
        """RFC 3339; Go's zero time when the image does not say."""
        return str(self.config.get("created") or ZERO_TIME)

    @property
    def architecture(self) -> str:
        """In Go's words: ``amd64``, ``arm64``."""
        return str(self.config.get("architecture") or "")

    @property
    def os(self) -> str:
        return str(self.config.get("os") or "linux")

    @property
    def defaults(self) -> Mapping[str, Any]:
        """What containers of the image inherit: Env, Cmd, Entrypoint, User, WorkingDir, Labels…"""
        return self.config.get("config") or {}

    @property
    def diff_ids(self) -> tuple[str, ...]:
        return tuple(self.config["rootfs"]["diff_ids"])

    @property
    def history(self) -> list[Mapping[str, Any]]:
        """The document's history, oldest first."""
        return list(self.config.get("history") or ())


def host_architecture() -> str:
    """This machine's architecture in Go's words."""
    machine = platform.machine()
    return ARCHITECTURES.get(machine, machine)


def now() -> str:
    """The time in RFC 3339, as image documents have it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def parse_document(data: bytes, what: str) -> Any:
    """Read a JSON document of an archive: bounded in size and depth, and all of it expressible in UTF-8."""
    if len(data) > MAX_DOCUMENT:
        raise CorruptArchive(what, f"it has {len(data)} bytes")
    try:
        document = json.loads(data)
        json.dumps(document, ensure_ascii=False).encode()  # lone surrogates would break every reader later
    except (ValueError, RecursionError) as error:
        raise CorruptArchive(what, f"it is not a JSON document: {str(error)[:200]}") from error
    return document


def parse_config(data: bytes) -> dict[str, Any]:
    """Read and check an image configuration. Raises CorruptArchive naming the first part that is wrong."""
    document = parse_document(data, "image configuration")
    _expect(document, dict, "the document")
    for key in ("architecture", "os", "created", "author", "comment", "variant", "docker_version"):
        _expect(document.get(key), (str, type(None)), key)
    if (document.get("os") or "linux") != "linux":
        raise CorruptArchive("image configuration", f"an image for {document['os']!r}, not for linux")
    if document.get("created") and not _RFC3339.fullmatch(document["created"]):
        raise CorruptArchive("image configuration", f"created is not a time: {document['created'][:40]!r}")
    _check_rootfs(document.get("rootfs"))
    _check_defaults(document.get("config"))
    _check_history(document.get("history"))
    return dict(document)


def encode_config(document: Mapping[str, Any]) -> tuple[str, bytes]:
    """The bytes of a document that this engine makes, and the image ID that they give."""
    data = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    return digest_of(data), data


def _check_rootfs(rootfs: Any) -> None:
    _expect(rootfs, dict, "rootfs")
    diff_ids = [] if rootfs.get("diff_ids") is None else rootfs["diff_ids"]
    _expect(diff_ids, list, "rootfs.diff_ids")
    if len(diff_ids) > MAX_LAYERS:
        raise CorruptArchive("image configuration", f"{len(diff_ids)} layers are more than {MAX_LAYERS}")
    for diff_id in diff_ids:
        hex_of(diff_id, "image configuration")
    rootfs["diff_ids"] = diff_ids


_STRING_LISTS = ("Env", "Cmd", "Entrypoint", "OnBuild", "Shell")
_STRINGS = ("User", "WorkingDir", "StopSignal", "Hostname", "Domainname", "Image")
_OBJECTS = ("ExposedPorts", "Volumes", "Labels", "Healthcheck")


def _check_defaults(config: Any) -> None:
    _expect(config, (dict, type(None)), "config")
    for key in _STRING_LISTS:
        value = (config or {}).get(key)
        _expect(value, (list, type(None)), f"config.{key}")
        for item in value or ():
            _expect(item, str, f"an item of config.{key}")
    for key in _STRINGS:
        _expect((config or {}).get(key), (str, type(None)), f"config.{key}")
    for key in _OBJECTS:
        _expect((config or {}).get(key), (dict, type(None)), f"config.{key}")
    for value in ((config or {}).get("Labels") or {}).values():
        _expect(value, str, "a label")


def _check_history(history: Any) -> None:
    _expect(history, (list, type(None)), "history")
    for item in history or ():
        _expect(item, dict, "an item of history")
        for key in ("created", "created_by", "comment", "author"):
            _expect(item.get(key), (str, type(None)), f"history {key}")
        if item.get("created") and not _RFC3339.fullmatch(item["created"]):
            raise CorruptArchive("image configuration", "a time in history is none")


def _expect(value: Any, kind: type | tuple[type, ...], what: str) -> None:
    if not isinstance(value, kind):
        raise CorruptArchive("image configuration", f"{what} is a {type(value).__name__}")

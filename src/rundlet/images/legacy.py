"""Images as Docker saved them before 1.10: one directory per layer, which was an image of its own.

    repositories          {"name": {"tag": "<id>"}}
    <id>/VERSION          1.0
    <id>/json             {"id", "parent", "created", "config", "container_config", …}
    <id>/layer.tar

They become ordinary images: a configuration document is written from the chain of parents. IDs are 64
hexadecimal digits chosen at random, not digests. Nothing is verified, since nothing says what it should be.

Format: https://github.com/moby/docker-image-spec/blob/main/v1.0.md
"""

from __future__ import annotations

import json
import re
from typing import Any

from rundlet.errors import CorruptArchive, InvalidReference
from rundlet.images.compression import CHUNK, decompressed
from rundlet.images.digests import HashingReader
from rundlet.images.image import MAX_LAYERS, host_architecture
from rundlet.images.members import ArchivedImage, Member, Members
from rundlet.wire import reference

_DESCRIPTION = re.compile(r"([0-9a-f]{64})/json")
_KEPT = ("created", "author", "docker_version", "architecture", "os", "config")


def images(members: Members) -> list[ArchivedImage]:
    """The tagged images of the archive, or those that are nobody's parent when none is tagged."""
    found = [match[1] for name in members if (match := _DESCRIPTION.fullmatch(name))]
    documents = {image_id: _document(members, image_id) for image_id in found}
    if not documents:
        raise CorruptArchive("image archive", "it has neither manifest.json nor index.json")
    tags = _tags(members)
    parents = {document.get("parent") for document in documents.values()}
    heads = list(tags) or [image_id for image_id in documents if image_id not in parents]
    result = []
    for image_id in heads:
        chain = _chain(documents, image_id)
        layers = [members.get(f"{layer}/layer.tar", "image archive") for layer in chain]
        config = _configuration([documents[layer] for layer in chain], layers)
        result.append(ArchivedImage(json.dumps(config).encode(), layers, tags.get(image_id, [])))
    return result


def _document(members: Members, image_id: str) -> dict[str, Any]:
    document = members.get(f"{image_id}/json", "image archive").document("image description")
    if not isinstance(document, dict):
        raise CorruptArchive("image description", "it is not an object")
    return document


def _tags(members: Members) -> dict[str, list[str]]:
    """Image ID -> canonical references."""
    member = members.find("repositories")
    repositories = member.document("repositories") if member else {}
    tags: dict[str, list[str]] = {}
    try:
        for name, versions in repositories.items():
            for tag, image_id in versions.items():
                tags.setdefault(image_id, []).append(str(reference.parse(f"{name}:{tag}")))
    except (AttributeError, TypeError, InvalidReference) as error:
        raise CorruptArchive("repositories", str(error)) from error
    return tags


def _chain(documents: dict[str, dict[str, Any]], image_id: str) -> list[str]:
    """The IDs from the lowest parent up to ``image_id``."""
    chain: list[str] = []
    current: Any = image_id
    while current:
        if not isinstance(current, str) or current not in documents:
            raise CorruptArchive("image archive", f"it has no image {str(current)[:80]!r}")
        if len(chain) >= MAX_LAYERS:
            raise CorruptArchive("image archive", f"image {image_id} has more than {MAX_LAYERS} layers")
        chain.append(current)
        current = documents[current].get("parent")
    return chain[::-1]


def _configuration(documents: list[dict[str, Any]], layers: list[Member]) -> dict[str, Any]:
    config = {key: documents[-1][key] for key in _KEPT if documents[-1].get(key)}
    config.setdefault("architecture", host_architecture())
    config.setdefault("os", "linux")
    config["rootfs"] = {"type": "layers", "diff_ids": [_diff_id(layer) for layer in layers]}
    config["history"] = [_history(document) for document in documents]
    return config


def _history(document: dict[str, Any]) -> dict[str, str]:
    made_by = document.get("container_config")
    command = made_by.get("Cmd") if isinstance(made_by, dict) else None
    item = {
        "created": document.get("created"),
        "created_by": " ".join(map(str, command)) if isinstance(command, list) else None,
        "author": document.get("author"),
        "comment": document.get("comment"),
    }
    return {key: value for key, value in item.items() if value}


def _diff_id(layer: Member) -> str:
    with layer.path.open("rb") as file:
        content = HashingReader(decompressed(file))
        while content.read(CHUNK):
            pass
        return content.digest

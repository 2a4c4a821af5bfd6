"""Reading what ``docker save``, skopeo, podman, umoci and buildkit write: archives of images.

    docker-archive    manifest.json, <config>.json, <layer>.tar …       (also as OCI layout since Docker 25)
    OCI archive       oci-layout, index.json, blobs/sha256/…            (oci-layout in a tar)
    before Docker 1.10   repositories, <id>/{VERSION,json,layer.tar}    (:mod:`rundlet.images.legacy`)

This module reads the documents and finds what they name (:mod:`rundlet.images.members`). Whether a
configuration makes sense, and whether the layers are what it says, is for those to check who use them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rundlet.errors import CorruptArchive, InvalidReference
from rundlet.images import legacy
from rundlet.images.compression import Readable, decompressed
from rundlet.images.image import MAX_LAYERS, host_architecture
from rundlet.images.members import ArchivedImage, Member, Members
from rundlet.images.progress import OnProgress
from rundlet.images.tar import TarLimits
from rundlet.wire import reference

_MAX_IMAGES = 1000
_MAX_INDEX_DEPTH = 4

_CONTAINERD_NAME = "io.containerd.image.name"
_OCI_NAME = "org.opencontainers.image.ref.name"
_ATTESTATION = "vnd.docker.reference.type"


def read_archive(
    stream: Readable, directory: Path, limits: TarLimits, progress: OnProgress
) -> list[ArchivedImage]:
    """Unpack the archive ``stream`` into ``directory`` and say which images it holds.

    Raises CorruptArchive when it holds none, or an incomplete one.
    """
    members = Members()
    members.read(decompressed(stream), directory, limits, progress)
    if manifest := members.find("manifest.json"):
        images = _docker_images(members, manifest)
    elif index := members.find("index.json"):
        images = _oci_images(members, index)
    else:
        images = legacy.images(members)
    if len(images) > _MAX_IMAGES:
        raise CorruptArchive("image archive", f"it holds more than {_MAX_IMAGES} images")
    return images


def _docker_images(members: Members, manifest: Member) -> list[ArchivedImage]:
    items = manifest.document("manifest.json")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise CorruptArchive("manifest.json", "it is not a list of images")
    images = []
    for item in items[: _MAX_IMAGES + 1]:
        layers = _list(item.get("Layers"), "manifest.json", "Layers")
        config = members.get(item.get("Config"), "manifest.json").content("image configuration")
        references = [_tagged(tag) for tag in _list(item.get("RepoTags"), "manifest.json", "RepoTags")]
        images.append(ArchivedImage(config, [members.get(layer, "manifest.json") for layer in layers], references))
    return images


def _oci_images(members: Members, index: Member) -> list[ArchivedImage]:
    """Every image that index.json names, and of a multi-platform image the one for this machine."""
    descriptors = _manifests(index.document("index.json"), "index.json")
    return [
        _oci_image(members, descriptor, depth=0)
        for descriptor in descriptors[: _MAX_IMAGES + 1]
        if not _is_attestation(descriptor)
    ]


def _oci_image(members: Members, descriptor: dict[str, Any], *, depth: int) -> ArchivedImage:
    what = "OCI manifest"
    document = members.blob(descriptor, what).document(what)
    if isinstance(document, dict) and "manifests" in document:
        if depth >= _MAX_INDEX_DEPTH:
            raise CorruptArchive("OCI index", "it is nested too deep")
        chosen = _for_this_machine(_manifests(document, "OCI index"))
        image = _oci_image(members, chosen, depth=depth + 1)
        return ArchivedImage(image.config, image.layers, _names(descriptor) or image.references)
    if not isinstance(document, dict) or "config" not in document:
        raise CorruptArchive(what, "it is not the manifest of an image")
    config = members.blob(document["config"], "OCI manifest").content("image configuration")
    layers = [members.blob(layer, what) for layer in _list(document.get("layers"), what, "layers")]
    return ArchivedImage(config, layers, _names(descriptor))


def _for_this_machine(descriptors: list[dict[str, Any]]) -> dict[str, Any]:
    usable = [descriptor for descriptor in descriptors if not _is_attestation(descriptor)]
    for descriptor in usable:
        platform = descriptor.get("platform")
        if not isinstance(platform, dict):
            return descriptor
        if (platform.get("os"), platform.get("architecture")) == ("linux", host_architecture()):
            return descriptor
    raise CorruptArchive("OCI index", f"it has no image for linux/{host_architecture()}")


def _manifests(document: Any, what: str) -> list[dict[str, Any]]:
    manifests = document.get("manifests") if isinstance(document, dict) else None
    if not isinstance(manifests, list) or not all(isinstance(item, dict) for item in manifests):
        raise CorruptArchive(what, "it has no list of manifests")
    return manifests


def _is_attestation(descriptor: dict[str, Any]) -> bool:
    return _ATTESTATION in _annotations(descriptor)


def _annotations(descriptor: dict[str, Any]) -> dict[str, Any]:
    annotations = descriptor.get("annotations")
    return annotations if isinstance(annotations, dict) else {}


def _names(descriptor: dict[str, Any]) -> list[str]:
    """What the image is called. A bare word is only a tag of a repository that the archive does not name
    (umoci writes ``latest``), so it names nothing here.
    """
    annotations = _annotations(descriptor)
    name = annotations.get(_CONTAINERD_NAME) or annotations.get(_OCI_NAME)
    if not isinstance(name, str) or not (":" in name or "/" in name):
        return []
    return [_tagged(name)]


def _tagged(name: object) -> str:
    try:
        parsed = reference.parse(str(name))
    except InvalidReference as error:
        raise CorruptArchive("image archive", str(error)) from error
    if parsed.tag is None:
        raise CorruptArchive("image archive", f"invalid tag {str(name)[:200]!r}")
    return str(parsed.with_tag(parsed.tag))


def _list(value: Any, what: str, key: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise CorruptArchive(what, f"{key} is not a list")
    if len(value) > max(MAX_LAYERS, _MAX_IMAGES):
        raise CorruptArchive(what, f"{key} has {len(value)} items")
    return value

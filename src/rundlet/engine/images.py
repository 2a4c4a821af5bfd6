"""The image store's face to asyncio: blocking work in threads, removal guarded against containers, API documents.

It adds no rule of its own about names or deletion: those are :mod:`rundlet.images`'.
"""

from __future__ import annotations

import asyncio
import fnmatch
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import BinaryIO

from rundlet.engine.events import Events
from rundlet.engine.image_uses import ImageUses
from rundlet.engine.platforms import architecture_of
from rundlet.engine.progress import JsonObject, run_with_progress
from rundlet.engine.registry import Registry
from rundlet.errors import EngineError, ImageNotFound, InvalidArgument
from rundlet.images import Image, ImageStore, Loaded, OnProgress, Users
from rundlet.images.host import PROGRAMS
from rundlet.images.image import host_architecture
from rundlet.wire import reference as references
from rundlet.wire.documents import (
    ContainerConfig,
    GraphDriver,
    HealthConfig,
    ImageDeleteItem,
    ImageHistoryItem,
    ImageInspect,
    ImageSummary,
    RootFS,
)

__all__ = ["HOST_IMAGE", "Images"]

HOST_IMAGE = "rundlet/host"
"""The image that this machine can make of itself."""


class Images:
    def __init__(self, store: ImageStore, uses: ImageUses, events: Events, registry: Registry) -> None:
        self._store = store
        self._uses = uses
        self._registry = registry
        self._events = events

    async def list(self, filters: Mapping[str, Sequence[str]] | None = None) -> Sequence[ImageSummary]:
        """Newest first. InvalidArgument for a filter that is not known."""

        def find() -> Sequence[Image]:
            test = self._test(filters or {})
            return sorted(filter(test, self._store.list()), key=lambda image: image.created, reverse=True)

        return [self._summary(image) for image in await asyncio.to_thread(find)]

    async def inspect(self, name: str) -> ImageInspect:
        return _inspected(await asyncio.to_thread(self._store.resolve, name))

    async def history(self, name: str) -> Sequence[ImageHistoryItem]:
        return await asyncio.to_thread(lambda: self._store.history(self._store.resolve(name)))

    async def tag(self, name: str, reference: str) -> None:
        await asyncio.to_thread(self._store.tag, name, reference)
        image = await asyncio.to_thread(self._store.resolve, reference)
        self._events.emit("image", "tag", image.id, {"name": references.parse(reference).familiar})

    async def remove(self, name: str, *, force: bool = False) -> Sequence[ImageDeleteItem]:
        """ImageInUse when containers need it. A container being created at this moment wins or waits."""
        condemned: set[str] = set()

        def users(image_id: str) -> Users:
            condemned.add(image_id)
            found = self._uses.users_or_condemn(image_id)
            running = [container_id for container_id in found if self._is_up(container_id)]
            return Users(running, [container_id for container_id in found if container_id not in running])

        try:
            items = await asyncio.to_thread(self._store.remove, name, force=force, users=users)
        finally:
            self._uses.pardon(condemned)
        for item in items:
            action, what = ("untag", item.Untagged) if item.Untagged else ("delete", item.Deleted)
            self._events.emit("image", action, what or "", {"name": what or ""})
        return items

    def load(self, stream: BinaryIO) -> AsyncIterator[JsonObject]:
        """Progress objects of POST /images/load. ``stream`` is read in a thread."""

        def work(report: OnProgress) -> Iterable[JsonObject]:
            return [_loaded(item) for item in self._store.load(stream, report)]

        return self._told("load", work)

    def import_(
        self,
        stream: BinaryIO,
        *,
        reference: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
    ) -> AsyncIterator[JsonObject]:
        """Progress objects of POST /images/create with ``fromSrc=-``; the last one says the new image's id.

        InvalidArgument, at once, for a ``platform`` that is none.
        """
        architecture = architecture_of(platform) if platform else ""

        def work(report: OnProgress) -> Iterable[JsonObject]:
            image = self._store.import_rootfs(
                stream,
                reference=reference or None,
                message=message,
                changes=changes,
                architecture=architecture,
                progress=report,
            )
            return [{"status": image.id}]

        return self._told("import", work)

    def pull(self, reference: str, *, platform: str = "") -> AsyncIterator[JsonObject]:
        """``rundlet/host`` is assembled, for this machine; anything else is ImageNotFound: raised at once."""
        parsed = references.parse(reference)
        if platform and architecture_of(platform) != host_architecture():
            raise ImageNotFound(parsed.familiar, f"this version does not pull, nor make an image for {platform}")
        if references.parse(HOST_IMAGE).name != parsed.name:
            raise ImageNotFound(
                parsed.familiar, f"this version does not pull: load an archive, or use {HOST_IMAGE}"
            )
        return self.assemble(reference=str(parsed))

    def assemble(self, *, reference: str = "", programs: Sequence[str] = ()) -> AsyncIterator[JsonObject]:
        """An image out of this machine's own Python, shell and tools, and ``programs`` beside them.

        The last progress object says its id the way a build does (``aux``).
        """
        name = reference or f"{HOST_IMAGE}:latest"

        def work(report: OnProgress) -> Iterable[JsonObject]:
            image = self._store.assemble_host(reference=name, programs=(*PROGRAMS, *programs), progress=report)
            return [
                {"status": f"Assembled {references.parse(name).familiar}: {image.id}"},
                {"aux": {"ID": image.id}},
            ]

        return self._told("import", work)

    async def _told(
        self, action: str, work: Callable[[OnProgress], Iterable[JsonObject]]
    ) -> AsyncIterator[JsonObject]:
        try:
            async for item in run_with_progress(work):
                yield item
        except (
            OSError,
            sqlite3.Error,
        ) as error:  # of the disk; what is wrong with an archive has errors of its own
            raise EngineError(f"{action} of an image: {error}") from error
        self._events.emit("image", action, "", {})

    def _is_up(self, container_id: str) -> bool:
        entry = self._registry.get(container_id)
        return entry is not None and entry.container.state.is_up

    def _test(self, filters: Mapping[str, Sequence[str]]) -> Callable[[Image], bool]:
        tests: Sequence[Callable[[Image], bool]] = [
            self._filter(key, values) for key, values in filters.items() if values
        ]
        return lambda image: all(test(image) for test in tests)

    def _filter(self, key: str, values: Sequence[str]) -> Callable[[Image], bool]:
        match key:
            case "dangling":
                wanted = values[-1].lower() in ("1", "true")
                return lambda image: (not image.references) is wanted
            case "reference":
                return lambda image: any(
                    fnmatch.fnmatchcase(name, value) or fnmatch.fnmatchcase(name.partition(":")[0], value)
                    for name in image.references
                    for value in values
                )
            case "label":
                return lambda image: all(_has_label(image, value) for value in values)
            case "before":
                created = self._store.resolve(values[0]).created
                return lambda image: image.created < created
            case "since":
                created = self._store.resolve(values[0]).created
                return lambda image: image.created > created
            case _:
                raise InvalidArgument(f"invalid filter '{key}'")

    def _summary(self, image: Image) -> ImageSummary:
        return ImageSummary(
            Id=image.id,
            ParentId="",
            RepoTags=list(image.references),
            RepoDigests=list(image.digests),
            Created=int(datetime.fromisoformat(image.created).timestamp()),
            Size=image.size,
            SharedSize=-1,
            VirtualSize=image.size,
            Labels=image.defaults.get("Labels"),
            Containers=-1,
        )


def _inspected(image: Image) -> ImageInspect:
    config = _config(image)
    return ImageInspect(
        Id=image.id,
        RepoTags=list(image.references),
        RepoDigests=list(image.digests),
        Parent="",
        Comment=str(image.config.get("comment") or ""),
        Created=image.created,
        DockerVersion="",
        Author=str(image.config.get("author") or ""),
        Config=config,
        ContainerConfig=config,
        Architecture=image.architecture,
        Variant=str(image.config.get("variant") or ""),
        Os=image.os,
        Size=image.size,
        VirtualSize=image.size,
        GraphDriver=GraphDriver("overlay2", None),
        RootFS=RootFS("layers", list(image.diff_ids)),
        Metadata={"LastTagTime": "0001-01-01T00:00:00Z"},
    )


def _config(image: Image) -> ContainerConfig:
    known = {field.name for field in fields(ContainerConfig)}
    values = {key: value for key, value in image.defaults.items() if key in known and value is not None}
    if health := values.get("Healthcheck"):
        names = {field.name for field in fields(HealthConfig)}
        values["Healthcheck"] = HealthConfig(**{key: value for key, value in health.items() if key in names})
    return ContainerConfig(**values)


def _loaded(item: Loaded) -> JsonObject:
    if item.reference:
        return {"stream": f"Loaded image: {item.reference}\n"}
    return {"stream": f"Loaded image ID: {item.image_id}\n"}


def _has_label(image: Image, text: str) -> bool:
    name, separator, value = text.partition("=")
    labels = image.defaults.get("Labels") or {}
    return name in labels and (not separator or labels[name] == value)

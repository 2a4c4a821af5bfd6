"""/images, and the extension ``POST /images/assemble``.

https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Image
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any

from rundlet.api.reply import CREATED, AnyReply, closing_iterator, json_reply, progress
from rundlet.api.request import Request
from rundlet.api.routing import Route
from rundlet.api.upload import Upload
from rundlet.errors import InvalidArgument, NotImplementedHere
from rundlet.wire import filters
from rundlet.wire.documents import ImageSummary

if TYPE_CHECKING:
    from rundlet.engine.engine import Engine


def routes(engine: Engine) -> list[Route]:
    api = _Images(engine)
    return [
        Route("GET", "/images/json", api.list, abandonable=True),
        Route("POST", "/images/create", api.create, abandonable=True),
        Route("POST", "/images/load", api.load, abandonable=True),
        Route("POST", "/images/assemble", api.assemble, abandonable=True),
        Route("GET", "/images/{name}/json", api.inspect, abandonable=True),
        Route("GET", "/images/{name}/history", api.history, abandonable=True),
        Route("POST", "/images/{name}/tag", api.tag),
        Route("DELETE", "/images/{name}", api.remove),
    ]


class _Images:
    def __init__(self, engine: Engine) -> None:
        self._images = engine.images

    async def list(self, request: Request) -> AnyReply:
        summaries = await self._images.list(filters.parse(request.text("filters")))
        if request.version < (1, 43):
            for summary in summaries:
                _name_the_nameless(summary)
        return json_reply(summaries)

    async def inspect(self, request: Request) -> AnyReply:
        return json_reply(await self._images.inspect(request.name))

    async def history(self, request: Request) -> AnyReply:
        return json_reply(await self._images.history(request.name))

    async def tag(self, request: Request) -> AnyReply:
        await self._images.tag(request.name, _reference(request.text("repo"), request.text("tag")))
        return CREATED

    async def remove(self, request: Request) -> AnyReply:
        return json_reply(await self._images.remove(request.name, force=request.flag("force")))

    async def create(self, request: Request) -> AnyReply:
        """Pull (``fromImage``) or import (``fromSrc=-``)."""
        if image := request.text("fromImage"):
            reference = _reference(image, request.text("tag"))
            return await progress(self._images.pull(reference, platform=request.text("platform")))
        source = request.text("fromSrc")
        if source != "-":
            if source:
                raise NotImplementedHere(f"importing an image from a URL is not supported: {source}")
            raise InvalidArgument("one of the parameters fromImage and fromSrc must be given")
        repo = request.text("repo")
        upload = Upload(request.body)
        imported = self._images.import_(
            upload,
            reference=_reference(repo, request.text("tag")) if repo else "",
            message=request.text("message"),
            changes=request.texts("changes"),
            platform=request.text("platform"),
        )
        return await progress(_with_upload(upload, imported))

    async def load(self, request: Request) -> AnyReply:
        """Always 200: docker-py looks for the error of a bad archive in the stream."""
        upload = Upload(request.body)
        loaded = _with_upload(upload, self._images.load(upload))
        if request.flag("quiet"):
            loaded = _without_status(loaded)
        return await progress(loaded, raise_early=False)

    async def assemble(self, request: Request) -> AnyReply:
        """Extension: an image out of this machine's own files. ``reference``; ``program`` may be repeated."""
        return await progress(
            self._images.assemble(reference=request.text("reference"), programs=request.texts("program"))
        )


def _reference(name: str, tag: str) -> str:
    """``tag`` is a digest when it has a colon: the CLI pulls ``name@sha256:…`` that way."""
    if not name:
        raise InvalidArgument("repository name must not be empty")
    if not tag:
        return name
    return f"{name}@{tag}" if ":" in tag else f"{name}:{tag}"


def _name_the_nameless(summary: ImageSummary) -> None:
    summary.RepoTags = summary.RepoTags or ["<none>:<none>"]
    summary.RepoDigests = summary.RepoDigests or ["<none>@<none>"]


async def _with_upload(upload: Upload, items: AsyncIterator[Any]) -> AsyncGenerator[Any]:
    """``items``, which a thread makes out of ``upload``: when they are abandoned, the thread must not wait on."""
    async with closing_iterator(items):
        try:
            async for item in items:
                yield item
        finally:
            upload.abandon()


async def _without_status(items: AsyncGenerator[Any]) -> AsyncGenerator[Any]:
    """The results (``stream``) without the progress (``status``)."""
    async with closing_iterator(items):
        async for item in items:
            if "status" not in item:
                yield item

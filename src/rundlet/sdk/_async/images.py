"""Images: https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Image

All methods raise what the engine's status stands for (NotFound for an unknown image), InvalidReference,
EngineUnavailable, EngineTimeout, ConnectionLost and ProtocolError.
"""

from __future__ import annotations

from rundlet.sdk import reply as replies
from rundlet.sdk._async.streams import AsyncMessages
from rundlet.sdk.request import Request, image
from rundlet.wire import filters as wire_filters
from rundlet.wire import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from rundlet.sdk._async.transport import AsyncTransport
    from rundlet.sdk.reply import Documents
    from rundlet.sdk.request import Upload

__all__ = ["AsyncImages"]


class AsyncImages:
    """What can be done with images. Work that takes its time gives its progress as :class:`AsyncMessages`."""

    __slots__ = ("_transport",)

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def list(
        self,
        *,
        all: bool = False,  # noqa: A002 - the API's own word
        filters: Mapping[str, str | Iterable[str]] | None = None,
    ) -> Documents:
        """Summaries, newest first."""
        request = Request("GET", "/images/json", {"all": all, "filters": wire_filters.build(filters or {})})
        return replies.documents(await self._transport.call(request))

    async def inspect(self, ref: str) -> dict[str, Any]:
        """Everything about one image."""
        return replies.document(await self._transport.call(Request("GET", image(ref, "json"))))

    async def history(self, ref: str) -> Documents:
        """The steps that made it, newest first."""
        return replies.documents(await self._transport.call(Request("GET", image(ref, "history"))))

    async def tag(self, ref: str, reference: str) -> None:
        """Give it one more name (``latest`` if there is no tag in it)."""
        target = references.parse(reference)
        await self._transport.call(Request("POST", image(ref, "tag"), {"repo": target.name, "tag": target.tag}))

    async def remove(self, ref: str, *, force: bool = False, noprune: bool = False) -> Documents:
        """Take away a name, and with the last one the image: ``[{"Untagged": …}, {"Deleted": …}]``.

        Returns when it is gone, however long that takes. Conflict when containers use it.
        """
        query = {"force": force, "noprune": noprune}
        return replies.documents(await self._transport.call(Request("DELETE", image(ref), query), patient=True))

    async def load(self, archive: Upload, *, quiet: bool = True) -> AsyncMessages:
        """Take in the images of an archive of ``docker save`` or in OCI layout, compressed or not.

        Returns when all of it was sent. The last messages name what was loaded (``stream``).
        """
        request = Request("POST", "/images/load", {"quiet": quiet}, upload=archive)
        return AsyncMessages(await self._transport.open(request))

    async def import_(
        self, archive: Upload, *, reference: str | None = None, changes: Iterable[str] = (), message: str = ""
    ) -> AsyncMessages:
        """Make an image of a tar of a root filesystem; ``changes`` are Dockerfile instructions.

        Returns when all of it was sent. The last message's ``status`` is the image ID.
        """
        target = references.parse(reference) if reference else None
        query = {
            "fromSrc": "-",
            "repo": target.name if target else None,
            "tag": target.tag if target else None,
            "message": message,
            "changes": tuple(changes),
        }
        return AsyncMessages(await self._transport.open(Request("POST", "/images/create", query, upload=archive)))

    async def pull(self, reference: str, *, platform: str | None = None) -> AsyncMessages:
        """Fetch an image (``latest`` if neither tag nor digest is given) from its registry.

        Raises NotFound when there is no such image.
        """
        source = references.parse(reference)
        query = {"fromImage": source.name, "tag": source.digest or source.tag, "platform": platform}
        return AsyncMessages(await self._transport.open(Request("POST", "/images/create", query)))

    async def assemble(self, *, reference: str | None = None, programs: Iterable[str] = ()) -> AsyncMessages:
        """Make an image out of the engine's machine: its Python, its shell, its core tools. Rundlet only.

        ``programs`` are further programs to put in, by name or path. Other engines answer NotFound.
        """
        query = {"reference": reference, "program": tuple(programs)}
        return AsyncMessages(await self._transport.open(Request("POST", "/images/assemble", query)))

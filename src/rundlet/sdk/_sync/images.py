# Generated from src/rundlet/sdk/_async/images.py by tools/unasync.py; do not edit.
"""Images: https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Image

All methods raise what the engine's status stands for (NotFound for an unknown image), InvalidReference,
EngineUnavailable, EngineTimeout, ConnectionLost and ProtocolError.
"""

from __future__ import annotations

from rundlet.sdk import reply as replies
from rundlet.sdk._sync.streams import Messages
from rundlet.sdk.request import Request, image
from rundlet.wire import filters as wire_filters
from rundlet.wire import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from rundlet.sdk._sync.transport import Transport
    from rundlet.sdk.reply import Documents
    from rundlet.sdk.request import Upload

__all__ = ["Images"]


class Images:
    """What can be done with images. Work that takes its time gives its progress as :class:`Messages`."""

    __slots__ = ("_transport",)

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        all: bool = False,  # noqa: A002 - the API's own word
        filters: Mapping[str, str | Iterable[str]] | None = None,
    ) -> Documents:
        """Summaries, newest first."""
        request = Request("GET", "/images/json", {"all": all, "filters": wire_filters.build(filters or {})})
        return replies.documents(self._transport.call(request))

    def inspect(self, ref: str) -> dict[str, Any]:
        """Everything about one image."""
        return replies.document(self._transport.call(Request("GET", image(ref, "json"))))

    def history(self, ref: str) -> Documents:
        """The steps that made it, newest first."""
        return replies.documents(self._transport.call(Request("GET", image(ref, "history"))))

    def tag(self, ref: str, reference: str) -> None:
        """Give it one more name (``latest`` if there is no tag in it)."""
        target = references.parse(reference)
        self._transport.call(Request("POST", image(ref, "tag"), {"repo": target.name, "tag": target.tag}))

    def remove(self, ref: str, *, force: bool = False, noprune: bool = False) -> Documents:
        """Take away a name, and with the last one the image: ``[{"Untagged": …}, {"Deleted": …}]``.

        Returns when it is gone, however long that takes. Conflict when containers use it.
        """
        query = {"force": force, "noprune": noprune}
        return replies.documents(self._transport.call(Request("DELETE", image(ref), query), patient=True))

    def load(self, archive: Upload, *, quiet: bool = True) -> Messages:
        """Take in the images of an archive of ``docker save`` or in OCI layout, compressed or not.

        Returns when all of it was sent. The last messages name what was loaded (``stream``).
        """
        request = Request("POST", "/images/load", {"quiet": quiet}, upload=archive)
        return Messages(self._transport.open(request))

    def import_(
        self, archive: Upload, *, reference: str | None = None, changes: Iterable[str] = (), message: str = ""
    ) -> Messages:
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
        return Messages(self._transport.open(Request("POST", "/images/create", query, upload=archive)))

    def pull(self, reference: str, *, platform: str | None = None) -> Messages:
        """Fetch an image (``latest`` if neither tag nor digest is given) from its registry.

        Raises NotFound when there is no such image.
        """
        source = references.parse(reference)
        query = {"fromImage": source.name, "tag": source.digest or source.tag, "platform": platform}
        return Messages(self._transport.open(Request("POST", "/images/create", query)))

    def assemble(self, *, reference: str | None = None, programs: Iterable[str] = ()) -> Messages:
        """Make an image out of the engine's machine: its Python, its shell, its core tools. Rundlet only.

        ``programs`` are further programs to put in, by name or path. Other engines answer NotFound.
        """
        query = {"reference": reference, "program": tuple(programs)}
        return Messages(self._transport.open(Request("POST", "/images/assemble", query)))

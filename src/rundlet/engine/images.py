"""The image store's face to asyncio: blocking work in threads, one writer per reference, removal guarded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import BinaryIO

from rundlet.wire.documents import ImageDeleteItem, ImageInspect, ImageSummary

__all__ = ["Images", "Progress"]


class Images:
    async def list(self, filters: object = None) -> list[ImageSummary]:
        raise NotImplementedError

    async def inspect(self, name: str) -> ImageInspect:
        raise NotImplementedError

    async def history(self, name: str) -> Sequence[object]:
        raise NotImplementedError

    async def tag(self, name: str, reference: str) -> None:
        raise NotImplementedError

    async def remove(self, name: str, *, force: bool = False) -> list[ImageDeleteItem]:
        raise NotImplementedError

    def load(self, stream: BinaryIO) -> AsyncIterator[dict[str, object]]:
        """Progress objects of POST /images/load. ``stream`` is read in a thread."""
        raise NotImplementedError

    def import_(
        self, stream: BinaryIO, *, reference: str, message: str = "", changes: Sequence[str] = ()
    ) -> AsyncIterator[dict[str, object]]:
        raise NotImplementedError

    def pull(self, reference: str) -> AsyncIterator[dict[str, object]]:
        """``rundlet/host`` is assembled; anything else is ImageNotFound: raised before the first object."""
        raise NotImplementedError

    def assemble(self, *, reference: str = "", programs: Sequence[str] = ()) -> AsyncIterator[dict[str, object]]:
        raise NotImplementedError

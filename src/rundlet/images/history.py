"""How an image came to be, line by line: the configuration's history and the layers' sizes put together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rundlet.images.image import Image
from rundlet.wire.documents import ImageHistoryItem

_UNKNOWN = "<missing>"
"""What Docker writes for a step whose own image is not here."""


def history(image: Image, sizes: Sequence[int]) -> list[ImageHistoryItem]:
    """Newest first. ``sizes`` are those of the image's layers, lowest first; a document that tells of more
    layers than there are gets no size for the rest.
    """
    left = iter(sizes)
    items = [
        ImageHistoryItem(
            Id=_UNKNOWN,
            Created=unix_seconds(step.get("created")),
            CreatedBy=step.get("created_by") or "",
            Tags=None,
            Size=0 if step.get("empty_layer") else next(left, 0),
            Comment=step.get("comment") or "",
        )
        for step in image.history
    ]
    items.reverse()
    if items:
        items[0].Id = image.id
        items[0].Tags = list(image.references) or None
    return items


def unix_seconds(time: str | None) -> int:
    """RFC 3339 -> seconds since 1970; 0 when there is none."""
    return int(datetime.fromisoformat(time).timestamp()) if time else 0

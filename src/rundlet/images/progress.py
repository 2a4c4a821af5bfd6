"""What a long operation tells while it runs.

One small value, so that the API can make Docker's progress JSON of it and the CLI a bar. Callbacks come from
worker threads too, must not block, and what they raise ends the operation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    status: str
    """For people: ``Loading layer``."""
    id: str = ""
    """What it is about, short: 12 digits of a layer's digest. Empty when it is about the whole."""
    current: int = 0
    total: int = 0
    """Bytes, or entries where there are no bytes; 0 when nobody knows."""


OnProgress = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """For callers that do not want to know."""

"""The names of :mod:`rundlet`, async: ``from rundlet.async_ import Engine`` and put ``await`` before each call."""

from __future__ import annotations

from rundlet import errors
from rundlet.sdk._async.engine import AsyncEngine

Engine = AsyncEngine

__all__ = ["AsyncEngine", "Engine", "errors"]

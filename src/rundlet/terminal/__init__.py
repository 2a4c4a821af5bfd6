"""Terminals: raw mode, window size and its changes. Standard library only, and no knowledge of containers."""

from __future__ import annotations

from rundlet.terminal.raw import RawMode
from rundlet.terminal.window import WindowSize, watch_window_size, window_size

__all__ = ["RawMode", "WindowSize", "watch_window_size", "window_size"]

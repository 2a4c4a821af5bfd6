"""Sizes in bytes as Docker's command line reads and writes them (``64m``, ``1.5GiB``; ``4.26MB``).

The letters stand for powers of 1024 where Docker speaks of memory, and of 1000 where it speaks of files
(image sizes, ``max-size`` of logs): https://pkg.go.dev/github.com/docker/go-units
"""

from __future__ import annotations

import re

from rundlet.errors import InvalidArgument

__all__ = ["format_binary", "format_decimal", "parse_binary", "parse_decimal"]

_SIZE = re.compile(
    r"([0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20}) ?(?:([kmgtp])(?:i?b)?|b)?", re.ASCII | re.IGNORECASE
)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_MAX_BYTES = 2**63 - 1


def parse_binary(text: str) -> int:
    """Bytes in ``text``, where k is 1024 (``--memory``, ``--shm-size``). Raises InvalidArgument."""
    return _parse(text, 1024)


def parse_decimal(text: str) -> int:
    """Bytes in ``text``, where k is 1000 (``--log-opt max-size``). Raises InvalidArgument."""
    return _parse(text, 1000)


def format_binary(size: float) -> str:
    """``1.944MiB``: four digits, powers of 1024 (as ``docker stats`` writes memory)."""
    return _format(size, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"), 4)


def format_decimal(size: float, digits: int = 3) -> str:
    """``4.26MB``: powers of 1000 (as ``docker images`` writes sizes)."""
    return _format(size, 1000, ("B", "kB", "MB", "GB", "TB", "PB", "EB"), digits)


def _parse(text: str, base: int) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InvalidArgument(f"invalid size: '{text}'")
    number, letter = match[1], (match[2] or "").lower()
    factor = base ** _POWERS[letter]
    # An integer must not pass through a float, which has only 53 bits.
    size = int(number) * factor if number.isdigit() else int(float(number) * factor)
    if size > _MAX_BYTES:
        raise InvalidArgument(f"invalid size: '{text}' is more than 64 bits hold")
    return size


def _format(size: float, base: int, units: tuple[str, ...], digits: int) -> str:
    power = 0
    while size >= base and power < len(units) - 1:
        size /= base
        power += 1
    return f"{size:.{digits}g}{units[power]}"

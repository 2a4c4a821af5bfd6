"""Compiled seccomp filters by the text they were compiled from: almost every container has the same one."""

from __future__ import annotations

import json

from rundlet.errors import InvalidArgument
from rundlet.runtime.seccomp.compiler import compile as compile_filter

LIMIT = 32


class Filters:
    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def compiled(self, text: str | None) -> bytes | None:
        """The filter for an OCI ``linux.seccomp`` object as JSON text; None is unconfined."""
        if text is None:
            return None
        if text not in self._compiled:
            try:
                profile = json.loads(text)
            except ValueError as error:
                raise InvalidArgument(f"linux.seccomp: not JSON: {error}") from error
            if len(self._compiled) >= LIMIT:
                del self._compiled[next(iter(self._compiled))]
            self._compiled[text] = compile_filter(profile)
        return self._compiled[text]

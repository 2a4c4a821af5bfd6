"""Execs: further programs in a running container."""

from __future__ import annotations

from rundlet.engine.session import Session
from rundlet.wire.documents import ExecCreateRequest, ExecInspect, ExecStartRequest

__all__ = ["Execs"]


class Execs:
    async def create(self, container_ref: str, request: ExecCreateRequest) -> str:
        """The id. ContainerNotRunning, ContainerStateConflict (paused), InvalidArgument (no command)."""
        raise NotImplementedError

    async def start(self, exec_id: str, request: ExecStartRequest) -> Session | None:
        """None when detached. A program that cannot be started is not an error of an attached start: the
        session yields the reason on stdout, and the exit code is 126 or 127. Conflict when it has already run.
        """
        raise NotImplementedError

    def inspect(self, exec_id: str) -> ExecInspect:
        raise NotImplementedError

    async def resize(self, exec_id: str, height: int, width: int) -> None:
        raise NotImplementedError

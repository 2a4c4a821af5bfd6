"""Start a container with the client attached, and give the exit status that the client ends with.

Shared by ``run``, ``start --attach`` and ``attach``. The order of the calls is the point: attach, wait, start.
"""

from __future__ import annotations

from contextlib import nullcontext

from rundlet.cli.session import Session
from rundlet.cli.signals import forwarded
from rundlet.errors import EngineError, RundletError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from typing import Any

    from rundlet.sdk import Engine, Stream, Waiter


class Attachment:
    """What of a container's stdio the client joins: ``config`` is its ContainerConfig (or create request).

    ``keys`` leave a session with a terminal. Raises ValueError for bad ones.
    """

    def __init__(self, config: Mapping[str, Any], *, keys: str = "", forwards_signals: bool = True) -> None:
        self._tty = bool(config.get("Tty"))
        self._stdin = bool(config.get("AttachStdin"))
        self._stdout = bool(config.get("AttachStdout"))
        self._stderr = bool(config.get("AttachStderr"))
        self._keys = keys
        self._forwards_signals = forwards_signals
        self._session = Session(stdin=self._stdin, tty=self._tty, keys=keys)

    @property
    def has_streams(self) -> bool:
        return self._stdin or self._stdout or self._stderr

    def start(
        self, engine: Engine, container_id: str, *, removes: bool, on_start: Callable[[], object] = lambda: None
    ) -> int:
        """Attach, wait, start; then the session. The container's exit status, or 0 when the person detached.

        ``removes``: the container is removed when it ends, and the status comes after that. ``on_start`` is called
        when it runs, before any of its output is shown. Raises what the SDK
        raises when it cannot be started, once the engine has cleaned up.
        """
        containers = engine.containers
        if not self.has_streams:
            containers.start(container_id)
            on_start()
            return 0
        with (
            self._signals(engine, container_id),
            self._stream(engine, container_id) as stream,
            containers.wait(container_id, "removed" if removes else "next-exit") as waiter,
        ):
            try:
                containers.start(container_id)
            except RundletError:
                if removes:
                    waiter.result()
                raise
            on_start()
            return self._finish(engine, container_id, stream, waiter)

    def join(self, engine: Engine, container_id: str) -> int:
        """The same for a container that runs already."""
        with (
            self._signals(engine, container_id),
            engine.containers.wait(container_id) as waiter,
            self._stream(engine, container_id) as stream,
        ):
            return self._finish(engine, container_id, stream, waiter)

    def _finish(self, engine: Engine, container_id: str, stream: Stream, waiter: Waiter) -> int:
        has_ended = self._session.run(
            stream, lambda size: engine.containers.resize(container_id, height=size.rows, width=size.columns)
        )
        if not has_ended:
            return 0
        status, error = waiter.result()
        if error:
            raise EngineError(error)
        return status

    def _signals(self, engine: Engine, container_id: str) -> AbstractContextManager[None]:
        if not self._forwards_signals:
            return nullcontext()
        return forwarded(lambda name: engine.containers.kill(container_id, name))

    def _stream(self, engine: Engine, container_id: str) -> Stream:
        return engine.containers.attach(
            container_id,
            stdin=self._stdin,
            stdout=self._stdout,
            stderr=self._stderr,
            detach_keys=self._keys or None,
            tty=self._tty,
        )

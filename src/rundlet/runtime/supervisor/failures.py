"""How an error becomes the answer :class:`~rundlet.runtime.messages.Failed`: the one place where it does."""

from __future__ import annotations

from rundlet.errors import Conflict, InvalidArgument, NotFound, NotImplementedHere, RundletError, Unsupported
from rundlet.runtime.launch import LaunchError
from rundlet.runtime.messages import Failed, FailureKind
from rundlet.runtime.supervisor.log import log_exception

_KINDS: tuple[tuple[type[RundletError], FailureKind], ...] = (
    (InvalidArgument, "invalid"),
    (NotFound, "not-found"),
    (Conflict, "conflict"),
    (Unsupported, "unsupported"),
    (NotImplementedHere, "unsupported"),
)


def failed(serial: int, stage: str, error: Exception) -> Failed:
    """The answer for ``error``. What nobody expected is logged, and told as an internal error."""
    if isinstance(error, LaunchError):
        return Failed(serial, error.kind, error.stage, error.message, error.errno or 0)
    if isinstance(error, RundletError):
        kinds = [kind for cls, kind in _KINDS if isinstance(error, cls)]
        return Failed(serial, kinds[0] if kinds else "system", stage, str(error))
    if isinstance(error, OSError):
        return Failed(serial, "system", stage, str(error), error.errno or 0)
    log_exception(stage)
    return Failed(serial, "system", stage, f"internal error of the supervisor: {error!r}")

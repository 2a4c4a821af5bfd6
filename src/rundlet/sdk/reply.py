"""What the body of a reply means: a document of the kind asked for, or the error that it reports.

The status decides which error; an engine's text is passed on and never searched. Rundlet adds ``exitCode``
to the body when a program could not be started; other engines leave it out.
"""

from __future__ import annotations

import json

from rundlet.errors import (
    HTTP_STATUS,
    EngineError,
    Kind,
    ProtocolError,
    RundletError,
    StartFailed,
    error_from_status,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final, TypeAlias, TypeGuard

    from rundlet.wire.http import Head

    Documents: TypeAlias = list[dict[str, Any]]
    """For classes that have a method named ``list``."""

__all__ = ["MAX_DOCUMENT_BYTES", "document", "documents", "failure", "progress", "wait_result"]

MAX_DOCUMENT_BYTES: Final = 256 * 1024 * 1024

_KIND_BY_STATUS = {status: kind for kind, status in HTTP_STATUS.items()}


def document(body: bytes) -> dict[str, Any]:
    """A JSON object; an empty body is an empty one. Raises ProtocolError for anything else."""
    return _object(_load(body) if body.strip() else {})


def documents(body: bytes) -> list[dict[str, Any]]:
    """A JSON array of objects; ``null``, as Go writes an empty one, is empty. Raises ProtocolError."""
    items = _load(body)
    if items is None:
        return []
    if not _is_list(items):
        raise ProtocolError("the engine's reply is not a list")
    return [_object(item) for item in items]


def progress(item: Any) -> dict[str, Any]:
    """One object of a progress stream. Raises EngineError for one that reports failure (their only way to)."""
    report = _object(item)
    if message := _part(report, "errorDetail").get("message") or report.get("error"):
        raise EngineError(str(message))
    return report


def wait_result(body: bytes) -> tuple[int, str | None]:
    """Exit code and, if the wait itself failed, why. Raises ProtocolError."""
    report = document(body)
    code, error = report.get("StatusCode"), _part(report, "Error")
    if not isinstance(code, int):
        raise ProtocolError("the engine's reply to wait has no status code")
    return code, str(error.get("Message") or "") or None


def failure(head: Head, body: bytes) -> RundletError:
    """The error that a reply with an unsuccessful status stands for."""
    try:
        report = document(body)
    except ProtocolError:
        report = {"message": body.decode(errors="replace").strip()}  # dockerd: errors before a hijack are text
    message = str(report.get("message") or f"the engine answered {head.status} {head.reason} and said no more")
    exit_code = report.get("exitCode")
    if isinstance(exit_code, int):
        return StartFailed(message, exit_code, _KIND_BY_STATUS.get(head.status, Kind.INTERNAL))
    return error_from_status(head.status, message)


def _load(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the engine's reply is not JSON: {body[:80]!r}") from error


def _object(value: Any) -> dict[str, Any]:
    if not _is_object(value):
        raise ProtocolError(f"the engine's reply is not a JSON object: {str(value)[:80]}")
    return value


def _is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _part(report: dict[str, Any], name: str) -> dict[str, Any]:
    """A part that may be missing or null."""
    value = report.get(name)
    return _object(value) if value is not None else {}

"""``create``: a container that is not started."""

from __future__ import annotations

import os

from rundlet.cli.command import USAGE_STATUS, Command, CommandFailed
from rundlet.cli.container_flags import ALIASES, CONTAINER_FLAGS
from rundlet.cli.create_body import create_body
from rundlet.cli.failures import one_line, start_status
from rundlet.cli.get_image import create_container
from rundlet.errors import RundletError
from rundlet.terminal import window_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from rundlet.cli.context import Context
    from rundlet.cli.flags import Arguments

_STDOUT = 1


def create(
    context: Context,
    arguments: Arguments,
    body: Mapping[str, Any],
    *,
    status_of: Callable[[RundletError], int] = start_status,
) -> tuple[str, list[str]]:
    """Make the container and write its ID where ``--cidfile`` says: the ID, and the engine's warnings.

    Raises CommandFailed, with the status: ``status_of`` what the engine says, 125 for everything else.
    """
    cidfile = arguments["cidfile"]
    if cidfile and os.path.lexists(cidfile):
        raise CommandFailed(
            f"container ID file found, make sure the other container isn't running or delete {cidfile}",
            USAGE_STATUS,
        )
    try:
        created = create_container(context, arguments, body)
    except RundletError as error:
        raise CommandFailed(one_line(error), status_of(error)) from error
    container_id = str(created["Id"])
    if cidfile:
        _write_cidfile(cidfile, container_id)
    return container_id, created.get("Warnings") or []


def _write_cidfile(path: str, container_id: str) -> None:
    try:
        with open(path, "x", encoding="ascii") as file:
            file.write(container_id)
    except OSError as error:
        why = f"failed to write the container ID {container_id} to {path}: {error.strerror}"
        raise CommandFailed(why, USAGE_STATUS) from error


def with_console_size(body: dict[str, Any]) -> dict[str, Any]:
    """A program on a terminal shall find the right size from its first moment on."""
    if body.get("Tty") and (size := window_size(_STDOUT)):
        body["HostConfig"]["ConsoleSize"] = [size.rows, size.columns]
    return body


def _create(context: Context, arguments: Arguments) -> int:
    body = with_console_size(create_body(arguments))
    container_id, warnings = create(context, arguments, body, status_of=lambda error: 1)
    context.warn_all(warnings)
    context.out(container_id + "\n")
    return 0


CREATE = Command(
    "create",
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a new container",
    _create,
    flags=CONTAINER_FLAGS,
    at_least=1,
    at_most=None,
    interspersed=False,
    completes="image",
    aliases=ALIASES,
)

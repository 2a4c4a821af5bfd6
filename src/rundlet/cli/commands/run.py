"""``run``: create, attach, wait, start, in this order, and then the session.

The wait is asked for before the start, so that no exit is too fast for it; the attachment before the start, so
that no output is.
"""

from __future__ import annotations

import os

from rundlet.cli.command import USAGE_STATUS, Command, CommandFailed
from rundlet.cli.commands.create import create, with_console_size
from rundlet.cli.container_flags import ALIASES, CONTAINER_FLAGS
from rundlet.cli.create_body import create_body
from rundlet.cli.failures import one_line, start_status
from rundlet.cli.flags import option, switch
from rundlet.errors import RundletError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rundlet.cli.context import Context
    from rundlet.cli.flags import Arguments

_RUN_FLAGS = (
    switch("detach", "Run container in background and print container ID", short="d"),
    option("detach-keys", "Override the key sequence for detaching a container"),
    switch("sig-proxy", "Proxy received signals to the process", default=True),
)


def _run(context: Context, arguments: Arguments) -> int:
    body = create_body(arguments)
    if arguments["detach"]:
        return _run_detached(context, arguments, body)
    if body["AttachStdin"] and arguments["tty"] and not os.isatty(0):
        raise CommandFailed("the input device is not a TTY")
    from rundlet.cli.attached import Attachment

    try:
        attachment = Attachment(body, keys=arguments["detach-keys"], forwards_signals=arguments["sig-proxy"])
    except ValueError as error:
        raise CommandFailed(str(error), USAGE_STATUS) from error
    container_id, warnings = create(context, arguments, with_console_size(body))
    if not attachment.has_streams:
        context.out(container_id + "\n")
    try:
        return attachment.start(
            context.engine(),
            container_id,
            removes=arguments["rm"],
            # A container that could not be started has one line, and no warnings beside it.
            on_start=lambda: context.warn_all(warnings),
        )
    except RundletError as error:
        raise CommandFailed(one_line(error), start_status(error)) from error


def _run_detached(context: Context, arguments: Arguments, body: dict[str, Any]) -> int:
    if arguments["attach"]:
        raise CommandFailed("conflicting options: cannot specify both --attach and --detach", USAGE_STATUS)
    body |= dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"), False)
    container_id, warnings = create(context, arguments, with_console_size(body))
    try:
        context.engine().containers.start(container_id)
    except RundletError as error:
        raise CommandFailed(one_line(error), start_status(error)) from error
    context.warn_all(warnings)
    context.out(container_id + "\n")
    return 0


RUN = Command(
    "run",
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create and run a new container from an image",
    _run,
    flags=tuple(sorted((*CONTAINER_FLAGS, *_RUN_FLAGS), key=lambda flag: flag.name)),
    at_least=1,
    at_most=None,
    interspersed=False,
    completes="image",
    aliases=ALIASES,
)

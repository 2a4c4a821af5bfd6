"""``start`` and ``attach``: containers that exist already."""

from __future__ import annotations

from rundlet.cli.command import USAGE_STATUS, Command, CommandFailed
from rundlet.cli.failures import for_each, one_line, start_status
from rundlet.cli.flags import option, switch
from rundlet.errors import RundletError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rundlet.cli.attached import Attachment
    from rundlet.cli.context import Context
    from rundlet.cli.flags import Arguments


def _start(context: Context, arguments: Arguments) -> int:
    if not (arguments["attach"] or arguments["interactive"]):
        return for_each(context, arguments.positional, context.engine().containers.start)
    if len(arguments.positional) > 1:
        raise CommandFailed("you cannot start and attach multiple containers at once")
    container = context.engine().containers.inspect(arguments.positional[0])
    joined = {"AttachStdout": True, "AttachStderr": True, "AttachStdin": arguments["interactive"]}
    attachment = _attachment(container, joined, arguments)
    try:
        return attachment.start(
            context.engine(), container["Id"], removes=bool(container["HostConfig"].get("AutoRemove"))
        )
    except RundletError as error:
        raise CommandFailed(one_line(error), start_status(error)) from error


def _attach(context: Context, arguments: Arguments) -> int:
    container = context.engine().containers.inspect(arguments.positional[0])
    state = container["State"]
    for word, hint in (
        ("Paused", "You cannot attach to a paused container, unpause it first"),
        ("Restarting", "You cannot attach to a restarting container, wait until it is running"),
    ):
        if state.get(word):
            raise CommandFailed(hint)
    if not state["Running"]:
        raise CommandFailed("You cannot attach to a stopped container, start it first")
    joined = {"AttachStdout": True, "AttachStderr": True, "AttachStdin": not arguments["no-stdin"]}
    return _attachment(container, joined, arguments).join(context.engine(), container["Id"])


def _attachment(container: dict[str, Any], joined: dict[str, bool], arguments: Arguments) -> Attachment:
    from rundlet.cli.attached import Attachment

    config = container["Config"]
    joined["AttachStdin"] = joined["AttachStdin"] and bool(config.get("OpenStdin"))
    try:
        return Attachment(
            {"Tty": config.get("Tty"), **joined},
            keys=arguments["detach-keys"],
            # With a terminal, the signals are keys, which the terminal of the container makes signals again.
            forwards_signals=arguments["sig-proxy"] if "sig-proxy" in arguments else not config.get("Tty"),
        )
    except ValueError as error:
        raise CommandFailed(str(error), USAGE_STATUS) from error


START = Command(
    "start",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Start one or more stopped containers",
    _start,
    flags=(
        switch("attach", "Attach STDOUT/STDERR and forward signals", short="a"),
        option("detach-keys", "Override the key sequence for detaching a container"),
        switch("interactive", "Attach container's STDIN", short="i"),
    ),
    at_least=1,
    at_most=None,
    completes="container",
)
ATTACH = Command(
    "attach",
    "[OPTIONS] CONTAINER",
    "Attach local standard input, output, and error streams to a running container",
    _attach,
    flags=(
        option("detach-keys", "Override the key sequence for detaching a container"),
        switch("no-stdin", "Do not attach STDIN"),
        switch("sig-proxy", "Proxy all received signals to the process", default=True),
    ),
    at_least=1,
    at_most=1,
    completes="container",
)

"""``exec``: a program more in a container that runs."""

from __future__ import annotations

import os

from rundlet.cli import values
from rundlet.cli.command import USAGE_STATUS, Command, CommandFailed
from rundlet.cli.create_body import environment
from rundlet.cli.flags import option, repeated, switch
from rundlet.terminal import window_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rundlet.cli.context import Context
    from rundlet.cli.flags import Arguments

_STDOUT = 1


def _exec(context: Context, arguments: Arguments) -> int:
    container = arguments.positional[0]
    is_detached, tty = arguments["detach"], arguments["tty"]
    execs = context.engine().execs
    body = _body(arguments)
    if is_detached:
        execs.start_detached(execs.create(container, body), tty=tty)
        return 0
    if arguments["interactive"] and tty and not os.isatty(0):
        raise CommandFailed("the input device is not a TTY")
    from rundlet.cli.session import Session

    try:
        session = Session(stdin=arguments["interactive"], tty=tty, keys=arguments["detach-keys"])
    except ValueError as error:
        raise CommandFailed(str(error), USAGE_STATUS) from error
    exec_id = execs.create(container, body)
    size = window_size(_STDOUT) if tty else None
    with execs.start(exec_id, tty=tty, console_size=(size.rows, size.columns) if size else None) as stream:
        has_ended = session.run(stream, lambda size: execs.resize(exec_id, height=size.rows, width=size.columns))
    if not has_ended:
        return 0
    return int(execs.inspect(exec_id)["ExitCode"] or 0)


def _body(arguments: Arguments) -> dict[str, Any]:
    is_attached = not arguments["detach"]
    try:
        variables = list(environment(arguments))
    except ValueError as error:
        raise CommandFailed(str(error), USAGE_STATUS) from error
    body: dict[str, Any] = {
        "AttachStdin": is_attached and arguments["interactive"],
        "AttachStdout": is_attached,
        "AttachStderr": is_attached,
        "Cmd": arguments.positional[1:],
        "DetachKeys": arguments["detach-keys"],
        "Env": variables,
        "Privileged": arguments["privileged"],
        "Tty": arguments["tty"],
        "User": arguments["user"],
        "WorkingDir": arguments["workdir"],
    }
    return {name: value for name, value in body.items() if value}


EXEC = Command(
    "exec",
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    "Execute a command in a running container",
    _exec,
    flags=(
        switch("detach", "Detached mode: run command in the background", short="d"),
        option("detach-keys", "Override the key sequence for detaching a container"),
        repeated("env", "Set environment variables", short="e", convert=values.variable),
        repeated("env-file", "Read in a file of environment variables"),
        switch("interactive", "Keep STDIN open even if not attached", short="i"),
        switch("privileged", "Give extended privileges to the command"),
        switch("tty", "Allocate a pseudo-TTY", short="t"),
        option("user", 'Username or UID (format: "<name|uid>[:<group|gid>]")', short="u"),
        option("workdir", "Working directory inside the container", short="w"),
    ),
    at_least=2,
    at_most=None,
    interspersed=False,
    completes="container",
)

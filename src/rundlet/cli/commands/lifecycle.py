"""``stop``, ``restart``, ``kill``, ``pause``, ``unpause``, ``rm``, ``rename``, ``wait``: a call per container."""

from __future__ import annotations

from rundlet.cli import values
from rundlet.cli.command import Command
from rundlet.cli.failures import for_each
from rundlet.cli.flags import option, switch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rundlet.cli.context import Context
    from rundlet.cli.flags import Arguments

_SEVERAL = "CONTAINER [CONTAINER...]"
_STOP_FLAGS = (
    option("signal", "Signal to send to the container", short="s", default=None),
    option(
        "timeout",
        "Seconds to wait before killing the container",
        short="t",
        metavar="int",
        convert=values.integer,
        default=None,
    ),
)


def _stop(context: Context, arguments: Arguments) -> int:
    containers = context.engine().containers
    return for_each(
        context,
        arguments.positional,
        lambda name: containers.stop(name, timeout_s=arguments["timeout"], signal=arguments["signal"]),
    )


def _restart(context: Context, arguments: Arguments) -> int:
    containers = context.engine().containers
    return for_each(
        context,
        arguments.positional,
        lambda name: containers.restart(name, timeout_s=arguments["timeout"], signal=arguments["signal"]),
    )


def _kill(context: Context, arguments: Arguments) -> int:
    containers = context.engine().containers
    return for_each(context, arguments.positional, lambda name: containers.kill(name, arguments["signal"]))


def _pause(context: Context, arguments: Arguments) -> int:
    return for_each(context, arguments.positional, context.engine().containers.pause)


def _unpause(context: Context, arguments: Arguments) -> int:
    return for_each(context, arguments.positional, context.engine().containers.unpause)


def _rm(context: Context, arguments: Arguments) -> int:
    containers = context.engine().containers
    return for_each(
        context,
        arguments.positional,
        lambda name: containers.remove(name, force=arguments["force"], volumes=arguments["volumes"]),
        may_be_missing=arguments["force"],  # scripts clean up with it
    )


def _rename(context: Context, arguments: Arguments) -> int:
    old, new = arguments.positional
    context.engine().containers.rename(old, new)
    return 0


def _wait(context: Context, arguments: Arguments) -> int:
    containers = context.engine().containers

    def wait(name: str) -> None:
        status, _ = containers.wait(name).result()
        context.out(f"{status}\n")

    return for_each(context, arguments.positional, wait, echo=False)


STOP = Command(
    "stop",
    f"[OPTIONS] {_SEVERAL}",
    "Stop one or more running containers",
    _stop,
    flags=_STOP_FLAGS,
    at_least=1,
    at_most=None,
    completes="container",
    aliases={"time": "timeout"},
)
RESTART = Command(
    "restart",
    f"[OPTIONS] {_SEVERAL}",
    "Restart one or more containers",
    _restart,
    flags=_STOP_FLAGS,
    at_least=1,
    at_most=None,
    completes="container",
    aliases={"time": "timeout"},
)
KILL = Command(
    "kill",
    f"[OPTIONS] {_SEVERAL}",
    "Kill one or more running containers",
    _kill,
    flags=(option("signal", "Signal to send to the container", short="s", default="KILL"),),
    at_least=1,
    at_most=None,
    completes="container",
)
PAUSE = Command(
    "pause",
    _SEVERAL,
    "Pause all processes within one or more containers",
    _pause,
    at_least=1,
    at_most=None,
    completes="container",
)
UNPAUSE = Command(
    "unpause",
    _SEVERAL,
    "Unpause all processes within one or more containers",
    _unpause,
    at_least=1,
    at_most=None,
    completes="container",
)
RM = Command(
    "rm",
    f"[OPTIONS] {_SEVERAL}",
    "Remove one or more containers",
    _rm,
    flags=(
        switch("force", "Force the removal of a running container (uses SIGKILL)", short="f"),
        switch("volumes", "Remove anonymous volumes associated with the container", short="v"),
    ),
    at_least=1,
    at_most=None,
    completes="container",
)
RENAME = Command(
    "rename", "CONTAINER NEW_NAME", "Rename a container", _rename, at_least=2, at_most=2, completes="container"
)
WAIT = Command(
    "wait",
    _SEVERAL,
    "Block until one or more containers stop, then print their exit codes",
    _wait,
    at_least=1,
    at_most=None,
    completes="container",
)

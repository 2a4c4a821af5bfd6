"""Which commands there are and where each lives: data, so that a start imports the one command it runs.

A path (``ps``, ``image ls``) maps to ``module:ATTRIBUTE`` below :mod:`rundlet.cli.commands` and to the line that
the help shows. The same command may stand under several paths, as in Docker.
"""

from __future__ import annotations

from rundlet.cli.command import Command

_TOP: dict[str, tuple[str, str]] = {
    "run": ("run:RUN", "Create and run a new container from an image"),
    "exec": ("exec:EXEC", "Execute a command in a running container"),
    "ps": ("ps:PS", "List containers"),
    "images": ("images:IMAGES", "List images"),
    "logs": ("logs:LOGS", "Fetch the logs of a container"),
    "doctor": ("doctor:DOCTOR", "Say what this machine can and cannot do, and how to mend it"),
    "info": ("info:INFO", "Display system-wide information"),
    "version": ("info:VERSION_COMMAND", "Show the Rundlet version information"),
    "attach": ("start:ATTACH", "Attach local standard input, output, and error streams to a running container"),
    "completion": ("completion:COMPLETION", "Print the completion script of a shell"),
    "create": ("create:CREATE", "Create a new container"),
    "daemon": ("daemon:DAEMON", "Run an engine in the foreground"),
    "history": ("images:HISTORY", "Show the history of an image"),
    "import": ("image_content:IMPORT", "Import the contents from a tarball to create a filesystem image"),
    "inspect": ("inspect:INSPECT", "Return low-level information on containers and images"),
    "kill": ("lifecycle:KILL", "Kill one or more running containers"),
    "list": ("ps:PS", "List containers"),
    "load": ("image_content:LOAD", "Load an image from a tar archive or STDIN"),
    "pause": ("lifecycle:PAUSE", "Pause all processes within one or more containers"),
    "pull": ("image_content:PULL", "Get an image"),
    "rename": ("lifecycle:RENAME", "Rename a container"),
    "restart": ("lifecycle:RESTART", "Restart one or more containers"),
    "rm": ("lifecycle:RM", "Remove one or more containers"),
    "rmi": ("images:RMI", "Remove one or more images"),
    "start": ("start:START", "Start one or more stopped containers"),
    "stop": ("lifecycle:STOP", "Stop one or more running containers"),
    "tag": ("images:TAG", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
    "unpause": ("lifecycle:UNPAUSE", "Unpause all processes within one or more containers"),
    "wait": ("lifecycle:WAIT", "Block until one or more containers stop, then print their exit codes"),
}

COMMON = ("run", "exec", "ps", "images", "logs", "doctor", "version", "info")
"""Shown first in the help, in this order."""

GROUPS: dict[str, str] = {
    "container": "Manage containers",
    "image": "Manage images",
    "system": "Manage the engine",
}

_UNDER_CONTAINER = (
    *("attach", "create", "exec", "kill", "list", "logs", "pause", "ps", "rename", "restart", "rm", "run"),
    *("start", "stop", "unpause", "wait"),
)

COMMANDS: dict[str, tuple[str, str]] = {
    **_TOP,
    **{f"container {name}": _TOP[name] for name in _UNDER_CONTAINER},
    "container inspect": ("inspect:CONTAINER_INSPECT", "Display detailed information on one or more containers"),
    "container ls": _TOP["ps"],
    "container remove": _TOP["rm"],
    "image assemble": (
        "image_content:ASSEMBLE",
        "Make an image of this machine's own programs, without a network",
    ),
    "image history": _TOP["history"],
    "image import": _TOP["import"],
    "image inspect": ("inspect:IMAGE_INSPECT", "Display detailed information on one or more images"),
    "image list": _TOP["images"],
    "image load": _TOP["load"],
    "image ls": _TOP["images"],
    "image pull": _TOP["pull"],
    "image remove": _TOP["rmi"],
    "image rm": _TOP["rmi"],
    "image tag": _TOP["tag"],
    "system info": _TOP["info"],
}

_SYNONYMS = frozenset(("list", "container list", "container ps", "container remove", "image list", "image remove"))
"""Paths that work and that the help of their group leaves out."""


def find(path: str) -> Command:
    """Import and give the command at ``path``. Raises KeyError when there is none."""
    from importlib import import_module

    target, _ = COMMANDS[path]
    module, _, attribute = target.partition(":")
    command: Command = getattr(import_module(f"rundlet.cli.commands.{module}"), attribute)
    return command if command.path == path else command.renamed(path)


def listing(group: str = "") -> list[tuple[str, str]]:
    """``(name, summary)`` of the commands of a group, or of the top, for its help."""
    prefix = f"{group} " if group else ""
    return [
        (path.removeprefix(prefix), summary)
        for path, (_, summary) in sorted(COMMANDS.items())
        if path.startswith(prefix) and " " not in path.removeprefix(prefix) and path not in _SYNONYMS
    ]

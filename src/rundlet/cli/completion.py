"""What the shell offers at Tab: ``rundlet __complete WORDS…`` prints one candidate a line.

The scripts of :mod:`rundlet.cli.commands.completion` call it with the words of the line, the last of which is
the one under the cursor. It asks a running engine for names, never starts one, and says nothing when it cannot.
"""

from __future__ import annotations

from rundlet.cli.registry import COMMANDS, GROUPS, find, listing
from rundlet.errors import RundletError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rundlet.cli.command import Command
    from rundlet.cli.context import Context

_NAMES_TIMEOUT_S = 2.0


def complete(context: Context, words: list[str]) -> int:
    *before, current = words or [""]
    for candidate in sorted(set(_candidates(context, before, current))):
        if candidate.startswith(current):
            context.out(candidate + "\n")
    return 0


def _candidates(context: Context, before: list[str], current: str) -> Iterable[str]:
    if not before:
        return [*(name for name, _ in listing()), *GROUPS]
    if before[0] in GROUPS and len(before) == 1:
        return [name for name, _ in listing(before[0])]
    path = " ".join(before[:2]) if before[0] in GROUPS else before[0]
    if path not in COMMANDS:
        return []
    command = find(path)
    if current.startswith("-"):
        return [f"--{flag.name}" for flag in command.flags] + ["--help"]
    return _objects(context, command)


def _objects(context: Context, command: Command) -> Iterable[str]:
    from rundlet.sdk import Engine

    try:
        engine = Engine(context.host, timeout_s=_NAMES_TIMEOUT_S)
        if command.completes == "container":
            summaries = engine.containers.list(all=True)
            return [name.removeprefix("/") for summary in summaries for name in summary.get("Names") or ()]
        if command.completes == "image":
            tags = [tag for summary in engine.images.list() for tag in summary.get("RepoTags") or ()]
            return [*tags, *(tag.removesuffix(":latest") for tag in tags)]
    except RundletError:
        return []
    return []

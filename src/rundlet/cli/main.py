"""The ``rundlet`` command: finds the command, parses its flags, runs it, turns errors into a line and a status.

The one place where exceptions end. Everything that a start does not need is imported where it is used: the
start is part of every ``rundlet run`` (tests/unit/cli/test_startup.py bounds it).
"""

from __future__ import annotations

import os
import sys

from rundlet.cli.command import PROGRAM, USAGE_STATUS, CommandFailed, WrongCount, flag_lines
from rundlet.cli.context import Context
from rundlet.cli.failures import one_line
from rundlet.cli.flags import Flag, HelpRequested, UsageError, option, parse, switch
from rundlet.cli.registry import COMMANDS, COMMON, GROUPS, find, listing
from rundlet.errors import EXIT_STATUS, RundletError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_SIGNAL_STATUS = 128
_SIGINT, _SIGPIPE = 2, 13

_GLOBAL_FLAGS: tuple[Flag, ...] = (
    switch("debug", "Show the whole traceback of an error", short="D"),
    option("host", "Engine to talk to: unix:///path or tcp://host:port (RUNDLET_HOST)", short="H"),
    switch("version", "Print version information and quit", short="v"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit status; nothing is raised but what ``--debug`` asks for."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(words)
        sys.stdout.flush()  # here a reader that has gone can still be told from a failure
        return status
    except KeyboardInterrupt:
        return _SIGNAL_STATUS + _SIGINT
    except BrokenPipeError:
        # The reader of our output has gone. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), sys.stdout.fileno())
        return _SIGNAL_STATUS + _SIGPIPE


def _dispatch(words: list[str]) -> int:
    try:
        options = parse(words, _GLOBAL_FLAGS, interspersed=False)
    except HelpRequested:
        return _print(_main_help())
    except UsageError as error:
        return _complain(f"{error}. See '{PROGRAM} --help'.", USAGE_STATUS)
    rest = options.positional
    if options["version"]:
        from rundlet.version import VERSION

        return _print(f"Rundlet version {VERSION}\n")
    if not rest:
        return _print(_main_help())
    context = Context(options["host"] or None, is_debugging=options["debug"])
    if rest[0] == "__complete":
        from rundlet.cli.completion import complete

        return complete(context, rest[1:])
    if rest[0] == "help":
        rest = [*rest[1:], "--help"]
    return _run(context, rest)


def _run(context: Context, words: list[str]) -> int:
    path, words = _split_path(words)
    if path in GROUPS:
        if words and words[0] not in ("--help", "-h"):
            return _complain(f"'{path} {words[0]}' is not a {PROGRAM} command. See '{PROGRAM} {path} --help'.", 1)
        return _print(_group_help(path))
    if path == "--help":
        return _print(_main_help())
    if path not in COMMANDS:
        return _complain(f"'{path}' is not a {PROGRAM} command. See '{PROGRAM} --help'.", 1)
    command = find(path)
    try:
        arguments = command.parse(words)
    except HelpRequested:
        return _print(command.help())
    except UsageError as error:
        status = 1 if isinstance(error, WrongCount) else USAGE_STATUS
        return _complain(f"{error}. See '{PROGRAM} {path} --help'.", status)
    try:
        return command.run(context, arguments)
    except CommandFailed as error:
        return _complain(str(error), error.status)
    except RundletError as error:
        if context.is_debugging:
            raise
        return _complain(one_line(error), EXIT_STATUS[error.kind])


def _split_path(words: list[str]) -> tuple[str, list[str]]:
    if words[0] in GROUPS and len(words) > 1:
        path = f"{words[0]} {words[1]}"
        if path in COMMANDS:
            return path, words[2:]
    return words[0], words[1:]


def _print(text: str) -> int:
    sys.stdout.write(text)
    return 0


def _complain(message: str, status: int) -> int:
    if message:
        sys.stdout.flush()
        sys.stderr.write(f"{PROGRAM}: {message}\n")
    return status


def _main_help() -> str:
    summaries = dict(listing())
    others = [(name, summary) for name, summary in listing() if name not in COMMON]
    return "\n".join(
        (
            f"Usage:  {PROGRAM} [OPTIONS] COMMAND",
            "",
            "A container engine and sandbox platform",
            "",
            "Common Commands:",
            *_columns([(name, summaries[name]) for name in COMMON]),
            "",
            "Management Commands:",
            *_columns(list(GROUPS.items())),
            "",
            "Commands:",
            *_columns(others),
            "",
            "Global Options:",
            *flag_lines(_GLOBAL_FLAGS),
            "",
            f"Run '{PROGRAM} COMMAND --help' for more information on a command.",
            "",
        )
    )


def _group_help(group: str) -> str:
    return "\n".join(
        (f"Usage:  {PROGRAM} {group} COMMAND", "", GROUPS[group], "", "Commands:", *_columns(listing(group)), "")
    )


def _columns(entries: Sequence[tuple[str, str]]) -> list[str]:
    width = max(11, max(len(name) for name, _ in entries) + 1)
    return [f"  {name.ljust(width)} {summary}" for name, summary in entries]

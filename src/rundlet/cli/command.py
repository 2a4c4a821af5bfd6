"""One command of the command line as data: its flags, its words, its function; and the help made of them.

A module of ``commands/`` declares :class:`Command` objects; :mod:`rundlet.cli.main` finds, parses and runs
them. What a command does to an engine is its module's business.
"""

from __future__ import annotations

from types import MappingProxyType

from rundlet.cli.flags import Arguments, Flag, UsageError, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rundlet.cli.context import Context

PROGRAM = "rundlet"
USAGE_STATUS = 125
"""Exit status of a wrong flag, as Docker has it."""


class CommandFailed(Exception):
    """End the command with ``status``. An empty message: what there is to say has been said."""

    def __init__(self, message: str = "", status: int = 1) -> None:
        self.status = status
        super().__init__(message)


class Command:
    """``path`` is how it is called (``image ls``), ``usage`` what follows it in the usage line.

    ``at_least``/``at_most`` bound the positional arguments (``at_most=None``: any number). ``completes`` says
    what the shell offers for them: ``container``, ``image``, ``file`` or nothing. ``aliases`` are old spellings of
    long flags.
    """

    __slots__ = (
        "aliases",
        "at_least",
        "at_most",
        "completes",
        "flags",
        "interspersed",
        "path",
        "run",
        "summary",
        "usage",
    )

    def __init__(
        self,
        path: str,
        usage: str,
        summary: str,
        run: Callable[[Context, Arguments], int],
        *,
        flags: Sequence[Flag] = (),
        at_least: int = 0,
        at_most: int | None = 0,
        interspersed: bool = True,
        completes: str = "",
        aliases: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.path = path
        self.usage = usage
        self.summary = summary
        self.run = run
        self.flags = flags
        self.at_least = at_least
        self.at_most = at_most
        self.interspersed = interspersed
        self.completes = completes
        self.aliases = aliases

    def parse(self, argv: Sequence[str]) -> Arguments:
        arguments = parse(argv, self.flags, interspersed=self.interspersed, aliases=self.aliases)
        self._check_count(len(arguments.positional))
        return arguments

    def _check_count(self, count: int) -> None:
        if count >= self.at_least and (self.at_most is None or count <= self.at_most):
            return
        name = f'"{PROGRAM} {self.path}"'
        if self.at_most == 0:
            raise WrongCount(f"{name} accepts no arguments")
        exact = self.at_least == self.at_most
        how_many = "exactly" if exact else "at least" if count < self.at_least else "at most"
        wanted = self.at_least if how_many != "at most" else self.at_most
        raise WrongCount(f"{name} requires {how_many} {wanted} argument{'' if wanted == 1 else 's'}")

    def renamed(self, path: str) -> Command:
        """The same command under another path (``container ls`` for ``ps``)."""
        copy = object.__new__(type(self))
        for slot in Command.__slots__:
            setattr(copy, slot, getattr(self, slot))
        copy.path = path
        return copy

    def help(self) -> str:
        lines = [f"Usage:  {PROGRAM} {self.path} {self.usage}".rstrip(), "", self.summary]
        if self.flags:
            lines += ["", "Options:", *flag_lines(self.flags)]
        return "\n".join(lines) + "\n"


class WrongCount(UsageError):
    """Too few or too many positional arguments: exit status 1 with Docker, where a wrong flag has 125."""


def flag_lines(flags: Sequence[Flag]) -> list[str]:
    """The ``Options:`` block: one flag a line, the explanations in one column."""
    heads = []
    for flag in flags:
        head = f"  -{flag.short}, --{flag.name}" if flag.short else f"      --{flag.name}"
        heads.append(f"{head} {flag.metavar}".rstrip())
    width = max(map(len, heads)) + 3
    return [head.ljust(width) + _explanation(flag) for head, flag in zip(heads, flags, strict=True)]


def _explanation(flag: Flag) -> str:
    if not flag.default or flag.repeated:
        return flag.help
    default = (
        "true" if flag.default is True else f'"{flag.default}"' if isinstance(flag.default, str) else flag.default
    )
    return f"{flag.help} (default {default})"

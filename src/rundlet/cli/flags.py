"""The grammar of Docker's command line: flags as data, and the parser that reads them.

It is pflag's (https://pkg.go.dev/github.com/spf13/pflag#hdr-Command_line_flag_syntax): ``--name value``,
``--name=value``, ``--switch``, ``--switch=false``, ``-n value``, ``-nvalue``, ``-abc`` for switches, ``--``.
That grammar, with its ``--sig-proxy=false``, is the reason why no library reads the command line here; the
other one is start-up time (docs/adr/ has the figures).

No I/O and no knowledge of any command. Errors are :class:`UsageError`, in pflag's words.
"""

from __future__ import annotations

from types import MappingProxyType

from rundlet.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    Converter = Callable[[str], Any]


class UsageError(Exception):
    """The command line is wrong: the message says where. The command's help would help."""


class HelpRequested(Exception):
    """``--help`` was on the command line."""


class Flag:
    """One flag: how it is written, what its value means, what the help says.

    ``convert`` turns the text into the value; it raises ValueError or InvalidArgument with the reason. A
    ``repeated`` flag gathers its values in a list; a flag without a converter is a switch.
    """

    __slots__ = ("convert", "default", "help", "metavar", "name", "repeated", "short")

    def __init__(
        self,
        name: str,
        short: str,
        metavar: str,
        help: str,  # noqa: A002 - the word of every command line
        *,
        convert: Converter | None,
        default: Any,
        repeated: bool = False,
    ) -> None:
        self.name = name
        self.short = short
        self.metavar = metavar
        self.help = help
        self.convert = convert
        self.default = default
        self.repeated = repeated

    @property
    def spelling(self) -> str:
        """As error messages name it: ``-m, --memory`` or ``--name``."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


def switch(name: str, help: str, *, short: str = "", default: bool = False) -> Flag:  # noqa: A002
    return Flag(name, short, "", help, convert=None, default=default)


def option(
    name: str,
    help: str,  # noqa: A002
    *,
    short: str = "",
    metavar: str = "string",
    convert: Converter = str,
    default: Any = "",
) -> Flag:
    return Flag(name, short, metavar, help, convert=convert, default=default)


def repeated(
    name: str,
    help: str,  # noqa: A002
    *,
    short: str = "",
    metavar: str = "list",
    convert: Converter = str,
) -> Flag:
    return Flag(name, short, metavar, help, convert=convert, default=(), repeated=True)


class Arguments:
    """What was on the command line: ``arguments["no-trunc"]`` is a flag's value, ``positional`` the rest."""

    __slots__ = ("_values", "given", "positional")

    def __init__(self, values: dict[str, Any], given: set[str], positional: list[str]) -> None:
        self._values = values
        self.given = given
        """Names of the flags that were really written."""
        self.positional = positional

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __contains__(self, name: str) -> bool:
        return name in self._values


def parse(
    argv: Sequence[str],
    flags: Iterable[Flag],
    *,
    interspersed: bool = True,
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> Arguments:
    """Read ``argv``. Unless ``interspersed``, the first word that is no flag ends the flags (``run``, ``exec``);
    ``aliases`` are other spellings of long flags.

    Raises UsageError, or HelpRequested for ``--help`` (and ``-h`` where no flag claims it).
    """
    return _Parser(argv, flags, interspersed, aliases).run()


class _Parser:
    def __init__(
        self, argv: Sequence[str], flags: Iterable[Flag], interspersed: bool, aliases: Mapping[str, str]
    ) -> None:
        self.words = list(argv)
        self.interspersed = interspersed
        self.aliases = aliases
        self.long: dict[str, Flag] = {}
        self.short: dict[str, Flag] = {}
        self.values: dict[str, Any] = {}
        self.given: set[str] = set()
        self.positional: list[str] = []
        for flag in flags:
            self.long[flag.name] = flag
            if flag.short:
                self.short[flag.short] = flag
            self.values[flag.name] = [] if flag.repeated else flag.default

    def run(self) -> Arguments:
        while self.words:
            word = self.words.pop(0)
            if word == "--":
                self.positional += self.words
                break
            if word.startswith("--"):
                self._long(word)
            elif word.startswith("-") and word != "-":
                self._short(word)
            elif self.interspersed:
                self.positional.append(word)
            else:
                self.positional += [word, *self.words]
                break
        return Arguments(self.values, self.given, self.positional)

    def _long(self, word: str) -> None:
        name, equals, text = word[2:].partition("=")
        flag = self.long.get(self.aliases.get(name, name))
        if flag is None:
            if name == "help":
                raise HelpRequested
            raise UsageError(f"unknown flag: --{name}")
        if equals:
            self._set(flag, text)
        elif flag.convert is None:
            self._set(flag, "true")
        elif self.words:
            self._set(flag, self.words.pop(0))
        else:
            raise UsageError(f"flag needs an argument: --{name}")

    def _short(self, word: str) -> None:
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            flag = self.short.get(letter)
            if flag is None:
                if letter == "h":
                    raise HelpRequested
                raise UsageError(f"unknown shorthand flag: '{letter}' in {word}")
            if letters.startswith("="):
                self._set(flag, letters[1:])
                return
            if flag.convert is None:
                self._set(flag, "true")
            elif letters:
                self._set(flag, letters)
                return
            elif self.words:
                self._set(flag, self.words.pop(0))
            else:
                raise UsageError(f"flag needs an argument: '{letter}' in {word}")

    def _set(self, flag: Flag, text: str) -> None:
        try:
            value = _boolean(text) if flag.convert is None else flag.convert(text)
        except (ValueError, InvalidArgument) as error:
            raise UsageError(f'invalid argument "{text}" for "{flag.spelling}" flag: {error}') from error
        self.given.add(flag.name)
        if flag.repeated:
            self.values[flag.name].append(value)
        else:
            self.values[flag.name] = value


def _boolean(text: str) -> bool:
    """Go's strconv.ParseBool."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError("not a boolean (true or false)")

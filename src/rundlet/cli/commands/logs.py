"""``logs``: what a container has written, and goes on to write."""

from __future__ import annotations

import re
import time

from rundlet.cli.command import Command
from rundlet.cli.flags import option, switch
from rundlet.errors import InvalidArgument
from rundlet.wire import durations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rundlet.cli.context import Context
    from rundlet.cli.flags import Arguments

_UNIX_SECONDS = re.compile(r"\d+(?:\.\d{1,9})?", re.ASCII)


def _logs(context: Context, arguments: Arguments) -> int:
    from rundlet.cli.session import STDERR, STDOUT, write_all

    containers = context.engine().containers
    container = containers.inspect(arguments.positional[0])
    with containers.logs(
        container["Id"],
        follow=arguments["follow"],
        tail=arguments["tail"],
        since=arguments["since"],
        until=arguments["until"],
        timestamps=arguments["timestamps"],
        details=arguments["details"],
        tty=bool(container["Config"].get("Tty")),
    ) as frames:
        for stream, data in frames:
            write_all(STDERR if stream == STDERR else STDOUT, data)
    return 0


def point_in_time(text: str) -> float:
    """Unix seconds of ``1700000000.5``, of ``2013-01-02T13:23:37Z`` or of ``42m`` (ago). Raises ValueError.

    A time without a zone is local; a date alone is its midnight.
    """
    if _UNIX_SECONDS.fullmatch(text):
        return float(text)
    try:
        return time.time() - durations.parse(text) / durations.SECOND_NS
    except InvalidArgument:
        return _of_date(text)


def _of_date(text: str) -> float:
    from datetime import datetime

    # fromisoformat reads six digits of a fraction at most; Docker writes nine.
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).timestamp()
    except ValueError:
        raise ValueError(f'invalid value: "{text}" is neither a time nor a duration like 42m') from None


def line_count(text: str) -> int | None:
    """``--tail``: None is all. What is no number means all, as with Docker."""
    return int(text) if text.isascii() and text.isdigit() else None


LOGS = Command(
    "logs",
    "[OPTIONS] CONTAINER",
    "Fetch the logs of a container",
    _logs,
    flags=(
        switch("details", "Show extra details provided to logs"),
        switch("follow", "Follow log output", short="f"),
        option(
            "since",
            'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
            convert=point_in_time,
            default=None,
        ),
        option(
            "tail",
            'Number of lines to show from the end of the logs (default "all")',
            short="n",
            convert=line_count,
            default=None,
        ),
        switch("timestamps", "Show timestamps", short="t"),
        option(
            "until",
            'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
            convert=point_in_time,
            default=None,
        ),
    ),
    at_least=1,
    at_most=1,
    completes="container",
)

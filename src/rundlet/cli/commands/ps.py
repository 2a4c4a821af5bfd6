"""``ps`` (also ``list``): which containers there are."""

from __future__ import annotations

from rundlet.cli import values
from rundlet.cli.command import Command, CommandFailed
from rundlet.cli.container_row import HEADINGS, SIZE_COLUMN, TABLE, container_row
from rundlet.cli.flags import option, repeated, switch
from rundlet.cli.format import FORMAT_HELP, QUIET_TEMPLATE, filters_of, render_rows
from rundlet.cli.template import TemplateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rundlet.cli.context import Context
    from rundlet.cli.flags import Arguments


def _ps(context: Context, arguments: Arguments) -> int:
    limit = arguments["last"]
    if arguments["latest"] and limit < 0:
        limit = 1
    template = _template(context, arguments)
    summaries = context.engine().containers.list(
        all=arguments["all"],
        limit=max(limit, 0),
        size=arguments["size"] or (".Size" in template and "size" not in arguments.given),
        filters=filters_of(arguments["filter"]),
    )
    rows = [container_row(summary, truncate=not arguments["no-trunc"]) for summary in summaries]
    try:
        context.out(render_rows(template, rows, HEADINGS))
    except TemplateError as error:
        raise CommandFailed(f"template parsing error: {error}") from error
    return 0


def _template(context: Context, arguments: Arguments) -> str:
    template: str = "json" if arguments["json"] else arguments["format"]
    if arguments["quiet"]:
        if template:
            context.err("WARNING: Ignoring custom format, because both --format and --quiet are set.")
        return QUIET_TEMPLATE
    if template in ("", "table"):
        return TABLE + (SIZE_COLUMN if arguments["size"] else "")
    return template


PS = Command(
    "ps",
    "[OPTIONS]",
    "List containers",
    _ps,
    flags=(
        switch("all", "Show all containers (default shows just running)", short="a"),
        repeated(
            "filter",
            "Filter output based on conditions provided",
            short="f",
            metavar="filter",
            convert=values.filter_pair,
        ),
        option("format", FORMAT_HELP),
        switch("json", "Print one JSON object a line: --format json"),
        option(
            "last",
            "Show n last created containers (includes all states)",
            short="n",
            metavar="int",
            convert=values.integer,
            default=-1,
        ),
        switch("latest", "Show the latest created container (includes all states)", short="l"),
        switch("no-trunc", "Don't truncate output"),
        switch("quiet", "Only display container IDs", short="q"),
        switch("size", "Display total file sizes", short="s"),
    ),
)

"""``images``, ``rmi``, ``tag``, ``history``: what is in the image store."""

from __future__ import annotations

from rundlet.cli import human, values
from rundlet.cli.command import Command, CommandFailed
from rundlet.cli.failures import for_each
from rundlet.cli.flags import option, repeated, switch
from rundlet.cli.format import FORMAT_HELP, QUIET_TEMPLATE, filters_of, render_rows
from rundlet.cli.template import TemplateError
from rundlet.errors import InvalidReference
from rundlet.wire import reference, sizes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from rundlet.cli.context import Context
    from rundlet.cli.flags import Arguments

_TABLE = "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
_TABLE_WITH_DIGESTS = "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
_HEADINGS = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "Containers": "CONTAINERS",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
}
_HISTORY_TABLE = "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
_HISTORY_HEADINGS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
_NONE = "<none>"


def _images(context: Context, arguments: Arguments) -> int:
    filters = filters_of(arguments["filter"])
    if arguments.positional:
        filters.setdefault("reference", []).append(arguments.positional[0])
    template = _template(arguments)
    needs_digest = arguments["digests"] or "{{.Digest}}" in template
    rows = [
        row
        for summary in context.engine().images.list(all=arguments["all"], filters=filters)
        for row in _image_rows(summary, digests=needs_digest, truncate=not arguments["no-trunc"])
    ]
    if arguments["quiet"]:
        rows = list({row["ID"]: row for row in rows}.values())
    _write(context, template, rows, _HEADINGS)
    return 0


def _template(arguments: Arguments) -> str:
    if arguments["quiet"]:
        return QUIET_TEMPLATE
    template: str = "json" if arguments["json"] else arguments["format"]
    if template in ("", "table"):
        return _TABLE_WITH_DIGESTS if arguments["digests"] else _TABLE
    return template


def _write(context: Context, template: str, rows: list[dict[str, Any]], headings: Mapping[str, str]) -> None:
    try:
        context.out(render_rows(template, rows, headings))
    except TemplateError as error:
        raise CommandFailed(f"template parsing error: {error}") from error


def _image_rows(summary: Mapping[str, Any], *, digests: bool, truncate: bool) -> Iterator[dict[str, Any]]:
    """A row for every tag (and digest, if they are shown); one row for an image without a name."""
    common = _common(summary, truncate)
    tags = [_parsed(text) for text in summary.get("RepoTags") or () if text != f"{_NONE}:{_NONE}"]
    known: dict[str, list[str]] = {}
    for text in summary.get("RepoDigests") or ():
        if text != f"{_NONE}@{_NONE}":
            name, _, digest = text.rpartition("@")
            known.setdefault(_parsed(name)[0], []).append(digest)
    if not tags and not known:
        yield {"Repository": _NONE, "Tag": _NONE, "Digest": _NONE, **common}
    for name, tag in tags:
        of_name = known.pop(name, None) or [_NONE]
        for digest in of_name if digests else [_NONE]:
            yield {"Repository": name, "Tag": tag, "Digest": digest, **common}
    for name, of_name in known.items():
        for digest in of_name if digests else of_name[:1]:
            yield {"Repository": name, "Tag": _NONE, "Digest": digest, **common}


def _parsed(text: str) -> tuple[str, str]:
    """Familiar repository and tag."""
    try:
        parsed = reference.parse(text)
    except InvalidReference:
        name, _, tag = text.rpartition(":")
        return name or text, tag if name else _NONE
    return parsed.familiar_name, parsed.tag or _NONE


def _common(summary: Mapping[str, Any], truncate: bool) -> dict[str, Any]:
    size, shared, containers = summary["Size"], summary.get("SharedSize", -1), summary.get("Containers", -1)
    return {
        "ID": human.short_id(summary["Id"]) if truncate else summary["Id"],
        "CreatedSince": human.ago(summary["Created"]) if summary["Created"] > 0 else "N/A",
        "CreatedAt": human.timestamp(summary["Created"]),
        "Size": sizes.format_decimal(size),
        "Containers": "N/A" if containers < 0 else str(containers),
        "SharedSize": "N/A" if shared < 0 else sizes.format_decimal(shared, 4),
        "UniqueSize": "N/A" if shared < 0 else sizes.format_decimal(size - shared, 4),
    }


def _rmi(context: Context, arguments: Arguments) -> int:
    images = context.engine().images

    def remove(name: str) -> None:
        for item in images.remove(name, force=arguments["force"], noprune=arguments["no-prune"]):
            if item.get("Deleted"):
                context.out(f"Deleted: {item['Deleted']}\n")
            else:
                context.out(f"Untagged: {item['Untagged']}\n")

    return for_each(context, arguments.positional, remove, echo=False, may_be_missing=arguments["force"])


def _tag(context: Context, arguments: Arguments) -> int:
    source, target = arguments.positional
    context.engine().images.tag(source, target)
    return 0


def _history(context: Context, arguments: Arguments) -> int:
    truncate, is_human = not arguments["no-trunc"], arguments["human"]
    rows = []
    for entry in context.engine().images.history(arguments.positional[0]):
        created_by = entry["CreatedBy"].replace("\t", " ")
        rows.append(
            {
                "ID": human.short_id(entry["Id"]) if truncate else entry["Id"],
                "CreatedSince": human.ago(entry["Created"]) if is_human else human.timestamp(entry["Created"]),
                "CreatedAt": human.timestamp(entry["Created"]),
                "CreatedBy": human.ellipsis(created_by, 45) if truncate else created_by,
                "Size": sizes.format_decimal(entry["Size"]) if is_human else str(entry["Size"]),
                "Comment": entry["Comment"],
            }
        )
    template = QUIET_TEMPLATE if arguments["quiet"] else arguments["format"]
    _write(context, _HISTORY_TABLE if template in ("", "table") else template, rows, _HISTORY_HEADINGS)
    return 0


IMAGES = Command(
    "images",
    "[OPTIONS] [REPOSITORY[:TAG]]",
    "List images",
    _images,
    flags=(
        switch("all", "Show all images (default hides intermediate images)", short="a"),
        switch("digests", "Show digests"),
        repeated(
            "filter",
            "Filter output based on conditions provided",
            short="f",
            metavar="filter",
            convert=values.filter_pair,
        ),
        option("format", FORMAT_HELP),
        switch("json", "Print one JSON object a line: --format json"),
        switch("no-trunc", "Don't truncate output"),
        switch("quiet", "Only show image IDs", short="q"),
    ),
    at_most=1,
    completes="image",
)
RMI = Command(
    "rmi",
    "[OPTIONS] IMAGE [IMAGE...]",
    "Remove one or more images",
    _rmi,
    flags=(
        switch("force", "Force removal of the image", short="f"),
        switch("no-prune", "Do not delete untagged parents"),
    ),
    at_least=1,
    at_most=None,
    completes="image",
)
TAG = Command(
    "tag",
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    _tag,
    at_least=2,
    at_most=2,
    completes="image",
)
HISTORY = Command(
    "history",
    "[OPTIONS] IMAGE",
    "Show the history of an image",
    _history,
    flags=(
        option("format", FORMAT_HELP),
        switch("human", "Print sizes and dates in human readable format", short="H", default=True),
        switch("no-trunc", "Don't truncate output"),
        switch("quiet", "Only show image IDs", short="q"),
    ),
    at_least=1,
    at_most=1,
    completes="image",
)

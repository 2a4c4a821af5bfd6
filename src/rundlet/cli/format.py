"""``--format``: rows of a list as a table, as JSON lines or through a template, the way Docker prints them.

Follows docker/cli ``formatter``: ``table TEMPLATE`` gives headings and columns, ``json`` one object a line,
anything else is a template rendered once a row. It knows no kind of row; the lists bring theirs.
"""

from __future__ import annotations

from rundlet.cli.template import Template
from rundlet.cli.template_functions import HEADER_FUNCTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

JSON_TEMPLATE = "{{json .}}"
QUIET_TEMPLATE = "{{.ID}}"

FORMAT_HELP = "Format output: 'table', 'table TEMPLATE', 'json', or a Go template a row"

MIN_COLUMN = 10
PADDING = 3


def render_rows(template: str, rows: Iterable[Mapping[str, Any]], headings: Mapping[str, str]) -> str:
    """All rows as text, ending in a line feed if there is any. Raises TemplateError.

    ``template`` is what ``--format`` said; ``table`` alone has been replaced by the list's own before.
    """
    is_table = template.startswith("table")
    source = JSON_TEMPLATE if template == "json" else template.removeprefix("table") if is_table else template
    source = source.strip(" ").replace("\\t", "\t").replace("\\n", "\n")
    compiled = Template(source)
    lines = [compiled.render(dict(row)) for row in rows]
    if not is_table:
        return "".join(line + "\n" for line in lines)
    heading = compiled.render({**headings, "Label": lambda name: name}, functions=HEADER_FUNCTIONS)
    return align([heading, *lines])


def align(lines: Sequence[str]) -> str:
    """Columns out of tabs: Go's tabwriter with a least width of 10 and a padding of 3, the last column free."""
    table = [line.split("\t") for text in lines for line in text.split("\n")]
    widths: dict[int, int] = {}
    for cells in table:
        for number, cell in enumerate(cells[:-1]):
            widths[number] = max(widths.get(number, MIN_COLUMN), len(cell) + PADDING)
    return "".join(
        "".join(cell.ljust(widths[number]) for number, cell in enumerate(cells[:-1])) + cells[-1] + "\n"
        for cells in table
    )


def filters_of(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """``--filter a=1 --filter a=2`` as the API's map of lists."""
    filters: dict[str, list[str]] = {}
    for name, value in pairs:
        filters.setdefault(name, []).append(value)
    return filters

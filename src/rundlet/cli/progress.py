"""What an engine reports while it works, shown to a person: a live display on a terminal, plain lines elsewhere.

All of it goes to stderr, so that stdout stays the command's own. ``rich`` draws the live display when it is
installed, and is imported for nothing else.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    Report = Mapping[str, Any]


def show(reports: Iterable[Report], *, quiet: bool = False) -> list[Report]:
    """Consume ``reports``, showing each as it comes unless ``quiet``; and give those that name a result.

    A result is a report without a ``progressDetail``: ``Loaded image: …``, ``Status: …``, an image's id. Raises
    what the iterator raises.
    """
    return [report for report in (reports if quiet else _shown(reports)) if not report.get("progressDetail")]


def _shown(reports: Iterable[Report]) -> Iterator[Report]:
    if sys.stderr.isatty():
        try:
            from rich.console import Console
        except ImportError:
            return _plain(reports)
        return _live(reports, Console(stderr=True))
    return _plain(reports)


def text_of(report: Report) -> str:
    """One report as a line: ``layer: Extracting 12.3MB/40MB``; empty for one that says nothing to people."""
    text = str(report.get("stream") or report.get("status") or "").rstrip()
    if text and report.get("id"):
        text = f"{report['id']}: {text}"
    detail = report.get("progressDetail") or {}
    if text and detail.get("current"):
        from rundlet.wire import sizes

        total = f"/{sizes.format_decimal(detail['total'])}" if detail.get("total") else ""
        text += f" {sizes.format_decimal(detail['current'])}{total}"
    return text


def _plain(reports: Iterable[Report]) -> Iterator[Report]:
    """A line for each step; how far a step has come is not worth a line."""
    for report in reports:
        if not report.get("progressDetail") and (text := text_of(report)):
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
        yield report


def _live(reports: Iterable[Report], console: Any) -> Iterator[Report]:
    """The step under way in one line that changes; steps without progress stay as lines above it."""
    with console.status("") as status:
        for report in reports:
            if text := text_of(report):
                if report.get("progressDetail"):
                    status.update(text, spinner_style="cyan")
                else:
                    console.print(text, markup=False, highlight=False)
            yield report

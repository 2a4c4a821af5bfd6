"""How it is shown: a table with the ratio for people, JSON for machines."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from bench.measure import Figure

OURS = "rundlet"


def write_json(figures: Sequence[Figure], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([dataclasses.asdict(item) for item in figures], indent=1) + "\n")


def table(figures: Sequence[Figure]) -> str:
    """One line per workload, metric and engine; the ratio stands at ours and says how many times better it is."""
    header = f"{'workload':35}{'metric':17}{'engine':10}{'p50':>10}{'p95':>10}  {'unit':5}{'n':>5}{'ratio':>9}"
    lines = (
        f"{item.workload:35}{item.metric:17}{item.engine:10}{item.p50:10.2f}{item.p95:10.2f}"
        f"  {item.unit:5}{item.n:5}{_ratio(item, figures):>9}"
        for item in figures
    )
    return "\n".join([header, "─" * len(header), *lines])


def _ratio(item: Figure, figures: Sequence[Figure]) -> str:
    """Theirs over ours, or ours over theirs for a rate: above 1 is better."""
    if item.engine != OURS:
        return ""
    for other in figures:
        if (other.workload, other.metric) == (item.workload, item.metric) and other.engine != OURS:
            above, below = (item.p50, other.p50) if item.unit == "1/s" else (other.p50, item.p50)
            return f"{above / below:.1f}×" if below > 0 else ""
    return ""

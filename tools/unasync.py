"""Generates the sync colour of the SDK, and of its tests, from the async source.

    python tools/unasync.py            write it
    python tools/unasync.py --check    write nothing; exit 1 if what is committed is not what would be written

Every line goes through the table below, which is all there is to it: no parsing, no special cases. What needs
one belongs into ``sdk/_twins``. A rule that no longer applies anywhere is an error, so that the table stays true.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

TREES = {
    "src/rundlet/sdk/_async": "src/rundlet/sdk/_sync",
    "tests/unit/sdk/_async": "tests/unit/sdk/_sync",
}

RULES = [
    (r"\basync (def|for|with)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\b__a(enter|exit|iter)__\b", r"__\1__"),
    (r"\b__anext__\b", "__next__"),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\b(_?)Async([A-Z]\w*)", r"\1\2"),
    (r"\b_twins import async_ as\b", "_twins import sync as"),
    (r"\bsdk\._async\b", "sdk._sync"),
    (r"\brundlet\.async_ import\b", "rundlet import"),
]


def main() -> int:
    parser = argparse.ArgumentParser(description="Generate the sync colour of the SDK from the async source.")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    check = parser.parse_args().check

    used: set[str] = set()
    stale = [
        path for source, target in TREES.items() for path in generate(ROOT / source, ROOT / target, check, used)
    ]
    unused = [pattern for pattern, _ in RULES if pattern not in used]
    for pattern in unused:
        print(f"rule applies nowhere: {pattern}", file=sys.stderr)
    for path in stale:
        print(
            f"{path.relative_to(ROOT)} is not what its source gives; run python tools/unasync.py", file=sys.stderr
        )
    return 1 if unused or stale else 0


def generate(source: Path, target: Path, check: bool, used: set[str]) -> list[Path]:
    """Write ``target`` from ``source``; with ``check``, the files that would change or go instead."""
    wanted = {target / path.name: convert(path, used) for path in sorted(source.glob("*.py"))}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    orphans = [path for path in target.glob("*.py") if path not in wanted]
    if check:
        return stale + orphans
    target.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(wanted[path])
    for path in orphans:
        path.unlink()
    return []


def convert(path: Path, used: set[str]) -> str:
    """The sync twin of a file, formatted: names become shorter, so lines break elsewhere."""
    lines = [f"# Generated from {path.relative_to(ROOT)} by tools/unasync.py; do not edit."]
    for line in path.read_text().splitlines():
        for pattern, replacement in RULES:
            line, count = re.subn(pattern, replacement, line)
            if count:
                used.add(pattern)
        lines.append(line)
    return formatted("\n".join(lines) + "\n", path)


def formatted(text: str, path: Path) -> str:
    # Whether "rundlet.sdk._sync" is ours must not depend on whether it has been written yet.
    ours = '--config=lint.isort.known-first-party=["rundlet", "tests"]'
    for command in (
        ["check", ours, "--fix-only", "--unsafe-fixes", "--select=I,C416"],
        ["format"],
    ):
        ruff = [sys.executable, "-m", "ruff", *command, "--quiet", f"--stdin-filename={path}", "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    return text


if __name__ == "__main__":
    sys.exit(main())

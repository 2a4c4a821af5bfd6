"""Check the size budgets, and the rules that no linter knows.

    python tools/budgets.py

Budgets (lines of a function are counted without its docstring; generated code is exempt):

    module   ≤ 500 lines, with a reason ≤ 800      class     ≤ 20 methods
    function ≤  40 lines, with a reason ≤  80      function  ≤  5 positional parameters, self not counted

A number is a question, not a verdict: what reads better whole stays whole, and its reason stands in
:data:`ALLOWED`. A reason that nothing needs any more is an error too.

And: a module says what it is for; ``ctypes`` lives in ``rundlet.linux`` alone.

It reads source, it imports none of it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TREES = ("src", "tools", "bench")
GENERATED = "src/rundlet/sdk/_sync/"

ALLOWED: dict[str, str] = {
    "src/rundlet/wire/documents.py": "a list of the API's documents: data, read by searching",
    "src/rundlet/cgroups/v1.py::CgroupV1": "one short method for each call of the Cgroup interface",
    "src/rundlet/engine/attach.py::AttachSession.__init__": "made in one place, of collaborators alone",
    "src/rundlet/engine/execs.py::Execs": "one short method for each thing that happens to an exec",
    "src/rundlet/engine/launcher.py::Launcher._prepare": "one message, put together in one straight line",
    "src/rundlet/engine/store.py::Store": "one line for each record and verb; the writer is ten methods",
    "src/rundlet/engine/system.py::System.info": "one document of the API, key by key",
    "src/rundlet/runtime/supervisor/service.py::Service": "one short handler for each message and event",
    "src/rundlet/runtime/supervisor/starter.py::Starter.start": "what a failure undoes stands beside what made it",
    "src/rundlet/runtime/supervisor/starter.py::Starter.exec": "as start: one flow, three callbacks",
}
"""``path`` or ``path::Qualified.name`` to the reason why it may be up to the upper bound."""


class Excess(Exception):
    """One budget overrun: where, what, and whether a reason can excuse it."""

    def __init__(self, where: str, what: str, *, excusable: bool) -> None:
        self.where = where
        self.excusable = excusable
        super().__init__(f"{where}: {what}")


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end, without the docstring."""
    assert node.end_lineno is not None
    total = node.end_lineno - node.lineno + 1
    first = node.body[0]
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        assert first.end_lineno is not None
        total -= first.end_lineno - first.lineno + 1
    return total


def functions_of(
    tree: ast.AST, prefix: str = ""
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    """Every function and class below ``tree`` with its qualified name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{node.name}"
            yield name, node
            yield from functions_of(node, f"{name}.")
        else:
            yield from functions_of(node, prefix)


def check_function(where: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Excess]:
    lines = lines_of(node)
    if lines > 40:
        yield Excess(where, f"{lines} lines (at most 40)", excusable=lines <= 80)
    positional = [a.arg for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in ("self", "cls")]
    if len(positional) > 5:
        yield Excess(where, f"{len(positional)} positional parameters (at most 5)", excusable=True)


def check_class(where: str, node: ast.ClassDef) -> Iterator[Excess]:
    methods = sum(isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) for item in node.body)
    if methods > 20:
        yield Excess(where, f"{methods} methods (at most 20)", excusable=True)


def check_imports(path: str, tree: ast.Module) -> Iterator[Excess]:
    if not path.startswith("src/") or path.startswith("src/rundlet/linux/"):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        if any(name.split(".")[0] == "ctypes" for name in names):
            yield Excess(f"{path}:{node.lineno}", "ctypes outside rundlet.linux", excusable=False)


def check_module(path: str, text: str) -> Iterator[Excess]:
    lines = text.count("\n")
    if lines > 500:
        yield Excess(path, f"{lines} lines (at most 500)", excusable=lines <= 800)
    tree = ast.parse(text, path)
    if text.strip() and ast.get_docstring(tree) is None:
        yield Excess(path, "no module docstring: what is it for, and what will it not do?", excusable=False)
    yield from check_imports(path, tree)
    for name, node in functions_of(tree):
        where = f"{path}::{name}"
        if isinstance(node, ast.ClassDef):
            yield from check_class(where, node)
        else:
            yield from check_function(where, node)


def main() -> int:
    unused = dict(ALLOWED)
    failures: list[str] = []
    for base in TREES:
        for file in sorted((ROOT / base).rglob("*.py")):
            path = file.relative_to(ROOT).as_posix()
            if path.startswith(GENERATED):
                continue
            for excess in check_module(path, file.read_text(encoding="utf-8")):
                if excess.excusable and excess.where in ALLOWED:
                    unused.pop(excess.where, None)
                else:
                    failures.append(str(excess))
    failures += [f"{where}: allowed in tools/budgets.py, but within its budget: drop it" for where in unused]
    print("\n".join(failures) or "budgets: all within")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""The budget check finds what it claims to find."""

from __future__ import annotations

import textwrap

import pytest

from tools.budgets import check_module


def findings(path: str, text: str) -> list[tuple[str, bool]]:
    return [(str(item), item.excusable) for item in check_module(path, textwrap.dedent(text))]


def test_a_module_within_its_budgets_passes() -> None:
    assert findings("src/rundlet/a.py", '"""What for."""\n\ndef f(a, b):\n    return a + b\n') == []


@pytest.mark.parametrize(("lines", "excusable"), [(501, True), (801, False)])
def test_a_long_module_is_reported(lines: int, excusable: bool) -> None:
    text = '"""What for."""\n' + "x = 1\n" * (lines - 1)
    assert findings("src/rundlet/a.py", text) == [(f"src/rundlet/a.py: {lines} lines (at most 500)", excusable)]


def test_a_long_function_is_reported_by_its_qualified_name() -> None:
    text = '"""What for."""\n\nclass C:\n    def m(self):\n' + "        x = 1\n" * 40
    assert findings("src/rundlet/a.py", text) == [("src/rundlet/a.py::C.m: 41 lines (at most 40)", True)]


def test_a_docstring_does_not_count() -> None:
    text = '"""What for."""\n\ndef f():\n    """' + "words\n" * 60 + '    """\n    return 1\n'
    assert findings("src/rundlet/a.py", text) == []


def test_a_class_of_many_methods_and_a_function_of_many_parameters_are_reported() -> None:
    methods = "".join(f"    def m{number}(self): ...\n" for number in range(21))
    text = f'"""What for."""\n\nclass C:\n{methods}\ndef f(a, b, c, d, e, f, *, g): ...\n'
    assert findings("tools/a.py", text) == [
        ("tools/a.py::C: 21 methods (at most 20)", True),
        ("tools/a.py::f: 6 positional parameters (at most 5)", True),
    ]


def test_a_module_without_docstring_is_reported() -> None:
    [(message, excusable)] = findings("tools/a.py", "x = 1\n")
    assert "no module docstring" in message
    assert not excusable


@pytest.mark.parametrize("statement", ["import ctypes", "from ctypes import util", "import ctypes.util as u"])
def test_ctypes_lives_in_linux_alone(statement: str) -> None:
    text = f'"""What for."""\n{statement}\n'
    assert findings("src/rundlet/linux/a.py", text) == []
    assert findings("src/rundlet/engine/a.py", text) == [
        ("src/rundlet/engine/a.py:2: ctypes outside rundlet.linux", False)
    ]

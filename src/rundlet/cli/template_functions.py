"""The functions that a ``--format`` template may call, and how Go prints values.

Go's own (https://pkg.go.dev/text/template#hdr-Functions) and Docker's (docker/cli ``templates``). All work on
plain JSON values.
"""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Function = Callable[..., Any]


class TemplateError(Exception):
    """The template is malformed, or asks for something that is not there."""


def text_of(value: Any) -> str:
    """As Go's fmt prints a value: ``true``, ``<no value>``, ``[a b]``, ``map[k:v]``."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_nested(item)}" for key, item in sorted(value.items())) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(_nested, value)) + "]"
    if callable(value):
        raise TemplateError("wrong number of args: want 1 got 0")
    return str(value)


def _nested(value: Any) -> str:
    return "<nil>" if value is None else text_of(value)


def is_true(value: Any) -> bool:
    """Go's truth: the zero value of any type is false. A callable (a method) is there, hence true."""
    return bool(value)


def to_json(value: Any) -> str:
    if isinstance(value, dict):  # a row's methods are not its data
        value = {key: item for key, item in value.items() if not callable(item)}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _join(elements: Any, separator: str) -> str:
    if elements is None:
        return ""
    if isinstance(elements, dict):
        return separator.join(sorted(map(text_of, elements.values())))
    if not isinstance(elements, (list, tuple)):
        raise TypeError(f"expected slice, got {text_of(elements)}")
    return separator.join(map(text_of, elements))


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key, "")  # Go gives the zero value of a map's missing key
        elif isinstance(value, (list, tuple, str)):
            if not 0 <= key < len(value):
                raise LookupError(f"index out of range: {key}")
            value = value[key]
        else:
            raise TypeError("index of untyped nil" if value is None else f"can't index {text_of(value)}")
    return value


def _slice(value: Any, start: int = 0, end: int | None = None) -> Any:
    return value[start:end]


def _equal(first: Any, *others: Any) -> bool:
    return any(first == other for other in others)


def _and(*values: Any) -> Any:
    return next((value for value in values if not is_true(value)), values[-1])


def _or(*values: Any) -> Any:
    return next((value for value in values if is_true(value)), values[-1])


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


def _print(*values: Any) -> str:
    """Go's Sprint: a blank between two operands when neither is a string."""
    pieces: list[str] = []
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            pieces.append(" ")
        pieces.append(text_of(value))
    return "".join(pieces)


_VERB = re.compile(r"%([-+0# ]*\d*(?:\.\d+)?)([sdvqfxt%])")


def _printf(layout: str, *values: Any) -> str:
    remaining = list(values)

    def one(match: re.Match[str]) -> str:
        verb = match[2]
        if verb == "%":
            return "%"
        if not remaining:
            raise ValueError(f"missing argument for %{verb}")
        value = remaining.pop(0)
        if verb in "dfx" and isinstance(value, (int, float)):
            return f"%{match[1]}{verb}" % value
        text = quote(text_of(value)) if verb == "q" else text_of(value)
        return f"%{match[1]}s" % text

    return _VERB.sub(one, layout)


def quote(text: str) -> str:
    """Go's strconv.Quote, for text without control characters beyond the usual."""
    return json.dumps(text, ensure_ascii=False)


FUNCTIONS: dict[str, Function] = {
    "and": _and,
    "or": _or,
    "not": lambda value: not is_true(value),
    "len": len,
    "index": _index,
    "slice": _slice,
    "eq": _equal,
    "ne": lambda first, second: first != second,
    "lt": lambda first, second: first < second,
    "le": lambda first, second: first <= second,
    "gt": lambda first, second: first > second,
    "ge": lambda first, second: first >= second,
    "print": _print,
    "printf": _printf,
    "println": lambda *values: " ".join(map(text_of, values)) + "\n",
    "json": to_json,
    "join": _join,
    "split": lambda text, separator: text.split(separator),
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "title": lambda text: text.title(),
    "pad": _pad,
    "truncate": lambda text, length: text[:length],
}

HEADER_FUNCTIONS: dict[str, Function] = FUNCTIONS | dict.fromkeys(
    ("json", "join", "split", "lower", "upper", "title", "truncate"), lambda text, *arguments: text
)
"""For the headings of a table: what shapes a value leaves a heading alone."""

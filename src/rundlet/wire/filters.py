"""The ``filters`` parameter of the Engine API's lists, in both of its encodings.

``{"label":{"a=b":true}}`` is what Docker's CLI sends, ``{"label":["a=b"]}`` what docker-py and aiodocker send.
Which keys a list knows, and what a value matches, is the list's business.
"""

from __future__ import annotations

import json

from rundlet.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

__all__ = ["build", "parse"]


def build(filters: Mapping[str, str | Iterable[str]]) -> str:
    """The parameter's text, in the encoding that every engine since 2016 reads; "" for no filters."""
    fields = {
        key: dict.fromkeys([values] if isinstance(values, str) else values, True)
        for key, values in filters.items()
    }
    return json.dumps(fields, separators=(",", ":")) if fields else ""


def parse(text: str) -> dict[str, list[str]]:
    """Key -> values, in the order sent and without repetition; no filters for "".

    As in Docker, a value is present whatever boolean stands behind it. What cannot be read is refused and
    never taken for "no filter": ``prune`` would then remove everything.

    Raises InvalidArgument.
    """
    if not text:
        return {}
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"invalid filters: {error}") from error
    if fields is None:
        return {}
    if not isinstance(fields, dict):
        raise InvalidArgument("invalid filters: not a JSON object")
    return {key: _values(key, values) for key, values in fields.items()}


def _values(key: str, values: Any) -> list[str]:
    if values is None:
        return []
    if isinstance(values, dict) and all(isinstance(flag, bool) for flag in values.values()):
        return list(values)
    if isinstance(values, list) and all(isinstance(value, str) for value in values):
        return list(dict.fromkeys(values))
    raise InvalidArgument(f'invalid filters: values of "{key}" are neither a list of strings nor a set of them')

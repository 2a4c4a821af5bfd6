"""Reading members of a JSON object with their types checked: the one place where a config's shape can be wrong.

null, like an absent member, means the default. Nothing here knows what a member is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from rundlet.errors import InvalidArgument

_T = TypeVar("_T")


class Members:
    """A JSON object and where it stands in its document. Each method raises InvalidArgument naming the member."""

    __slots__ = ("mapping", "where")

    def __init__(self, mapping: Mapping[str, Any], where: str) -> None:
        if not isinstance(mapping, Mapping):
            raise InvalidArgument(f"{where}: not an object")
        self.mapping = mapping
        self.where = where

    def _get(self, name: str, kind: type[_T]) -> _T | None:
        value = self.mapping.get(name)
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise InvalidArgument(f"{self.where}.{name}: not {_NAMES[kind]}")
        return value

    def string(self, name: str) -> str:
        value = self._get(name, str) or ""
        self._check_text(name, value)
        return value

    def boolean(self, name: str) -> bool:
        return self._get(name, bool) or False

    def integer(self, name: str, *, minimum: int = 0, maximum: int) -> int | None:
        value = self._get(name, int)
        if value is not None and not minimum <= value <= maximum:
            raise InvalidArgument(f"{self.where}.{name}: {value} is not between {minimum} and {maximum}")
        return value

    def object(self, name: str, *, required: bool = False) -> Members:
        value = self._get(name, dict)
        if value is None and required:
            raise InvalidArgument(f"{self.where}.{name}: missing")
        return Members(value or {}, f"{self.where}.{name}")

    def objects(self, name: str) -> list[Members]:
        values = self._get(name, list) or []
        return [Members(value, f"{self.where}.{name}[{index}]") for index, value in enumerate(values)]

    def strings(self, name: str) -> list[str]:
        values = self._get(name, list) or []
        if not all(isinstance(value, str) for value in values):
            raise InvalidArgument(f"{self.where}.{name}: not a list of strings")
        self._check_text(name, "".join(values))
        return values

    def integers(self, name: str, *, maximum: int) -> list[int]:
        values = self._get(name, list) or []
        for value in values:
            if not isinstance(value, int) or not 0 <= value <= maximum:
                raise InvalidArgument(f"{self.where}.{name}: {value!r} is not between 0 and {maximum}")
        return values

    def strings_by_name(self, name: str) -> dict[str, str]:
        values = self._get(name, dict) or {}
        if not all(isinstance(value, str) for value in values.values()):
            raise InvalidArgument(f"{self.where}.{name}: not an object of strings")
        self._check_text(name, "".join((*values, *values.values())))
        return values

    def _check_text(self, name: str, text: str) -> None:
        """The kernel takes bytes up to the first NUL; those that are no UTF-8 are escaped as Python does it."""
        if "\0" in text:
            raise InvalidArgument(f"{self.where}.{name}: contains a NUL byte")
        try:
            text.encode(errors="surrogateescape")
        except UnicodeEncodeError as error:
            raise InvalidArgument(f"{self.where}.{name}: contains a surrogate that stands for no byte") from error


_NAMES: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    list: "a list",
    dict: "an object",
}

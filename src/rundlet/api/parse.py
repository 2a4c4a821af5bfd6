"""Reads request documents the way Go's ``encoding/json`` does, since that is what every Docker client is used to,
and writes replies that way.

Keys match in any case, unknown keys are ignored, ``null`` anywhere means "left out", an empty body is an
empty object, a lone string stands for a one-element command. What Go refuses is refused here, too: a wrong
type, a number that fits no int64, anything behind the document. The error names the field.

Works over any dataclass of :mod:`rundlet.wire.documents`: what is to be done for a class is worked out from
its annotations once, on first use. It knows nothing of what the fields mean; the engine validates that.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import msgspec

from rundlet.errors import InvalidArgument

T = TypeVar("T")

_Step = Callable[[Any], Any]
"""Makes a decoded JSON value fit for msgspec's strict conversion. Leaves what it does not understand alone:
the conversion that follows finds it and names the place."""

_STRING_OR_LIST = frozenset({"Cmd", "Entrypoint", "Shell", "CapAdd", "CapDrop"})
"""The fields whose type in Go is ``strslice.StrSlice``, which reads a string as a list of one."""

_OMITTED = frozenset(
    {
        *("Annotations", "ArgsEscaped", "Deleted", "Error", "Health", "Healthcheck", "Init", "MacAddress"),
        *("Mounts", "NetworkDisabled", "Shell", "SizeRootFs", "SizeRw", "StopSignal", "StopTimeout"),
        *("StorageOpt", "Sysctls", "Tmpfs", "Untagged"),
    }
)
"""The fields that moby marks ``omitempty``: left out rather than null. All others are written as null."""

_INT64 = range(-(2**63), 2**63)


def parse_document(raw: bytes, cls: type[T]) -> T:
    """Read ``raw`` as a ``cls``. Raises :class:`InvalidArgument` that names the field at fault."""
    if not raw or raw.isspace():
        return cls()
    try:
        document = msgspec.json.decode(raw)
        return msgspec.convert({} if document is None else _step_for(cast(type, cls))(document), cls)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"invalid JSON: {error}") from error
    except RecursionError as error:
        raise InvalidArgument("invalid JSON: nested too deeply") from error


def encode_document(document: Any) -> bytes:
    """``document`` as JSON, ended by a newline as Go's encoder ends it."""
    plain = msgspec.to_builtins(document)
    _drop_omitted(plain)
    return msgspec.json.encode(plain) + b"\n"


def _drop_omitted(value: Any) -> None:
    items: Iterable[Any] = ()
    if type(value) is dict:
        for key in _OMITTED.intersection(value):
            if value[key] is None:
                del value[key]
        items = value.values()
    elif type(value) is list:
        items = value
    for item in items:
        _drop_omitted(item)


@functools.cache
def _step_for(cls: type) -> _Step:
    """The step for dataclass ``cls``: a dict with the class's own keys and without nulls."""
    hints = typing.get_type_hints(cls)
    fields: dict[str, tuple[str, _Step | None]] = {}
    for field in dataclasses.fields(cls):
        step = _one_or_list if field.name in _STRING_OR_LIST else _step(hints[field.name], field.name)
        fields[field.name] = fields[field.name.lower()] = field.name, step

    def object_step(value: Any) -> Any:
        if type(value) is not dict:
            return value
        result = {}
        for key, item in value.items():
            if item is None:
                continue
            found = fields.get(key) or fields.get(key.lower())
            if found is not None:
                name, step = found
                result[name] = item if step is None else step(item)
        return result

    return object_step


def _step(hint: Any, field: str) -> _Step | None:
    """The step for an annotation; None when the decoded value can stay as it is."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (hint,) = (each for each in arguments if each is not types.NoneType)
        return _step(hint, field)
    if origin is list:
        return _list_step(_step(arguments[0], field), arguments[0])
    if origin is dict:
        return _map_step(_step(arguments[1], field), arguments[1])
    if dataclasses.is_dataclass(hint):
        return _step_for(cast(type, hint))
    return functools.partial(_int64, field) if hint is int else None


def _list_step(step: _Step | None, item_type: Any) -> _Step:
    """Go reads a null element as the zero value of its type."""

    def list_step(value: Any) -> Any:
        if type(value) is not list or (step is None and None not in value):
            return value
        return [_zero(item_type) if item is None else step(item) if step else item for item in value]

    return list_step


def _map_step(step: _Step | None, value_type: Any) -> _Step | None:
    if value_type is Any:
        return None

    def map_step(value: Any) -> Any:
        if type(value) is not dict:
            return value
        return {
            key: _zero(value_type) if item is None else step(item) if step else item for key, item in value.items()
        }

    return map_step


def _zero(hint: Any) -> Any:
    """Go's zero value: null for what may be null, empty or 0 for the rest."""
    if types.NoneType in typing.get_args(hint):
        return None
    return {} if dataclasses.is_dataclass(hint) else (typing.get_origin(hint) or hint)()


def _one_or_list(value: Any) -> Any:
    return [value] if type(value) is str else _strings(value)


_strings = _list_step(None, str)


def _int64(field: str, value: Any) -> Any:
    if type(value) is int and value not in _INT64:
        raise InvalidArgument(f"invalid JSON: {field}: number {value} does not fit into 64 bits")
    return value

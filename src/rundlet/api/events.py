"""GET /events: what happened, past and live."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rundlet.api.parse import encode_document
from rundlet.api.reply import AnyReply, Stream, closing_iterator
from rundlet.api.request import Request
from rundlet.api.routing import Route
from rundlet.errors import InvalidArgument
from rundlet.wire import filters

if TYPE_CHECKING:
    from rundlet.engine.engine import Engine
    from rundlet.engine.events import Event


def routes(engine: Engine) -> list[Route]:
    async def events(request: Request) -> AnyReply:
        found = engine.events.subscribe(
            since_ns=request.time_ns("since"),
            until_ns=request.time_ns("until"),
            wanted=_matcher(filters.parse(request.text("filters"))),
        )
        return Stream(_lines(found))

    return [Route("GET", "/events", events, abandonable=True)]


async def _lines(events: AsyncIterator[Event]) -> AsyncGenerator[bytes]:
    async with closing_iterator(events):
        async for event in events:
            yield encode_document(event.document())


def _matcher(wanted: Mapping[str, Sequence[str]]) -> Callable[[Event], bool]:
    """All keys must match, each by any of its values; ``label`` by all (moby ``daemon/events/filter.go``)."""
    for key in wanted:
        if key not in _TESTS:
            raise InvalidArgument(f"invalid filter '{key}'")
    tests = [(_TESTS[key], values, all if key == "label" else any) for key, values in wanted.items() if values]
    return lambda event: all(combine(test(event, value) for value in values) for test, values, combine in tests)


def _is_object(type_: str) -> Callable[[Event, str], bool]:
    """By prefix of the id, or by name; an event of a container names its image, too."""

    def test(event: Event, value: str) -> bool:
        if event.type == type_:
            return event.actor_id.startswith(value) or event.attributes.get("name") == value
        return event.attributes.get(type_) == value

    return test


def _is_action(event: Event, value: str) -> bool:
    """``exec_start: sh`` is matched by ``exec_start``."""
    return event.action == value or event.action.startswith(f"{value}:")


def _has_label(event: Event, value: str) -> bool:
    key, equals, text = value.partition("=")
    return key in event.attributes and (not equals or event.attributes[key] == text)


_TESTS: Mapping[str, Callable[[Event, str], bool]] = {
    "type": lambda event, value: event.type == value,
    "event": _is_action,
    "label": _has_label,
    "scope": lambda event, value: value == "local",
    **{type_: _is_object(type_) for type_ in ("container", "image", "network", "volume", "daemon")},
}

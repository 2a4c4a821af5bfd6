"""``docker ps``: which containers a list shows, in which order, in which words.

https://docs.docker.com/reference/api/engine/version/v1.47/#operation/ContainerList. An unknown filter is refused,
never ignored: a prune would otherwise remove everything.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TypeAlias

from rundlet.engine.container import Container, Status
from rundlet.engine.inspection import Inspection, networks_of, ports_of
from rundlet.engine.registry import Entry, Registry
from rundlet.engine.tasks import Tasks
from rundlet.engine.words import command_line, status_text
from rundlet.errors import ImageNotFound, InvalidArgument
from rundlet.images import ImageStore
from rundlet.wire.documents import ContainerSummary, Port, SummaryHostConfig, SummaryNetworkSettings
from rundlet.wire.durations import parse as parse_duration

__all__ = ["Filters", "Listing"]

Filters: TypeAlias = Mapping[str, Sequence[str]]
Test: TypeAlias = Callable[[Container], bool]

_STATUSES = frozenset(status.value for status in Status if status is not Status.STARTING)
_HEALTH = frozenset({"starting", "healthy", "unhealthy", "none"})


class Listing:
    def __init__(self, registry: Registry, inspection: Inspection, images: ImageStore, tasks: Tasks) -> None:
        self._registry = registry
        self._inspection = inspection
        self._images = images
        self._tasks = tasks

    async def list(
        self, *, show_all: bool, limit: int, filters: Filters, size: bool
    ) -> Sequence[ContainerSummary]:
        ancestors = await self._ancestors(filters.get("ancestor", ()))
        test = self._test(filters, ancestors)
        shows_stopped = show_all or limit > 0 or bool(filters.get("status")) or bool(filters.get("exited"))
        found = [
            entry.container
            for entry in self._newest_first()
            if (shows_stopped or entry.container.state.is_up) and test(entry.container)
        ]
        now_ns = time.time_ns()
        summaries = [_summary(container, now_ns) for container in (found[:limit] if limit > 0 else found)]
        if size:
            for summary, container in zip(summaries, found, strict=False):
                summary.SizeRw, summary.SizeRootFs = await self._inspection.sizes(container.definition)
        return summaries

    def prunable(self, filters: Filters) -> Sequence[Entry]:
        """What ``container prune`` removes: all that do not run, unless a filter keeps them."""
        tests: list[Test] = []
        for key, values in filters.items():
            if key in ("label", "label!"):
                tests += [_label_test(value, wanted=key == "label") for value in values]
            elif key == "until":
                if len(values) != 1:
                    raise InvalidArgument("more than one until filter specified")
                tests.append(_created_before(_read_time_ns(values[0])))
            else:
                raise InvalidArgument(f"invalid filter '{key}'")
        return [
            entry
            for entry in self._registry
            if entry.container.state.visible in (Status.CREATED, Status.EXITED, Status.DEAD)
            and all(test(entry.container) for test in tests)
        ]

    def _newest_first(self) -> Sequence[Entry]:
        return sorted(self._registry, key=lambda entry: entry.container.definition.created_ns, reverse=True)

    async def _ancestors(self, names: Sequence[str]) -> frozenset[str]:
        def resolve() -> frozenset[str]:
            ids = set()
            for name in names:
                try:
                    ids.add(self._images.resolve(name).id)
                except (ImageNotFound, InvalidArgument):
                    continue  # no such image: no container of it either
            return frozenset(ids)

        return await self._tasks.in_thread(resolve) if names else frozenset()

    def _test(self, filters: Filters, ancestors: frozenset[str]) -> Test:
        """Keys are joined by AND, the values of a key by OR; labels by AND."""
        tests: list[Test] = []
        for key, values in filters.items():
            if key == "label":
                tests += [_label_test(value, wanted=True) for value in values]
            elif key == "ancestor":
                tests.append(_ancestor_test(ancestors, frozenset(values)))
            elif key in ("before", "since"):
                tests += [self._relative_test(key, value) for value in values]
            elif key in _TESTS:
                tests.append(_any_of([_TESTS[key](value) for value in values]))
            else:
                raise InvalidArgument(f"invalid filter '{key}'")
        return lambda container: all(test(container) for test in tests)

    def _relative_test(self, key: str, ref: str) -> Test:
        created_ns = self._registry.resolve(ref).container.definition.created_ns
        if key == "before":
            return _created_before(created_ns)
        return lambda container: container.definition.created_ns > created_ns


def _any_of(tests: Sequence[Test]) -> Test:
    return lambda container: not tests or any(test(container) for test in tests)


def _ancestor_test(ids: frozenset[str], names: frozenset[str]) -> Test:
    return lambda container: container.definition.image_id in ids or container.definition.config.Image in names


def _label_test(text: str, *, wanted: bool) -> Test:
    name, separator, value = text.partition("=")

    def test(container: Container) -> bool:
        labels = container.definition.config.Labels or {}
        return (name in labels and (not separator or labels[name] == value)) is wanted

    return test


def _created_before(time_ns: int) -> Test:
    return lambda container: container.definition.created_ns < time_ns


def _name_test(text: str) -> Test:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise InvalidArgument(f"invalid filter 'name={text}': {error}") from error
    return lambda container: bool(pattern.search(container.name) or pattern.search(f"/{container.name}"))


def _status_test(text: str) -> Test:
    if text not in _STATUSES:
        raise InvalidArgument(f"invalid filter 'status={text}'")
    return lambda container: container.state.visible.value == text


def _exited_test(text: str) -> Test:
    try:
        code = int(text)
    except ValueError:
        raise InvalidArgument(f"invalid filter 'exited={text}'") from None
    return lambda container: container.state.visible is Status.EXITED and container.state.exit_code == code


def _health_test(text: str) -> Test:
    if text not in _HEALTH:
        raise InvalidArgument(f"invalid filter 'health={text}'")
    return lambda container: text == "none"


def _task_test(text: str) -> Test:
    if text not in ("true", "false"):
        raise InvalidArgument(f"invalid filter 'is-task={text}'")
    return lambda container: text == "false"


def _network_test(text: str) -> Test:
    return lambda container: text in networks_of(container.definition)


def _volume_test(text: str) -> Test:
    return lambda container: any(
        text in (spec.name, spec.target, spec.source) for spec in container.definition.mounts
    )


def _expose_test(text: str) -> Test:
    port = text if "/" in text else f"{text}/tcp"
    return lambda container: port in (container.definition.config.ExposedPorts or {})


def _publish_test(text: str) -> Test:
    port = text if "/" in text else f"{text}/tcp"
    return lambda container: port in (container.definition.host.PortBindings or {})


_TESTS: Mapping[str, Callable[[str], Test]] = {
    "exited": _exited_test,
    "expose": _expose_test,
    "health": _health_test,
    "id": lambda text: lambda container: container.id.startswith(text),
    "is-task": _task_test,
    "isolation": lambda text: lambda container: text in ("", "default"),
    "name": _name_test,
    "network": _network_test,
    "publish": _publish_test,
    "status": _status_test,
    "volume": _volume_test,
}


def _read_time_ns(text: str) -> int:
    """Unix seconds, a date with or without a time (local if it does not say where), or a duration before now."""
    with suppress(ValueError, OverflowError):
        return int(float(text) * 1e9)
    with suppress(ValueError, OverflowError):
        return int(datetime.fromisoformat(text).timestamp() * 1e9)
    try:
        return time.time_ns() - parse_duration(text)
    except InvalidArgument:
        raise InvalidArgument(f'failed to parse value as time or duration: "{text}"') from None


def _summary(container: Container, now_ns: int) -> ContainerSummary:
    definition, state = container.definition, container.state
    config = definition.config
    return ContainerSummary(
        Id=definition.id,
        Names=[f"/{definition.name}"],
        Image=config.Image,
        ImageID=definition.image_id,
        Command=command_line(definition.args),
        Created=definition.created_ns // 1_000_000_000,
        Ports=[_port(port) for port in ports_of(definition)] if state.is_up else [],
        Labels=config.Labels or {},
        State=state.visible.value,
        Status=status_text(state, now_ns),
        HostConfig=SummaryHostConfig(definition.host.NetworkMode, definition.host.Annotations),
        NetworkSettings=SummaryNetworkSettings(networks_of(definition)),
        Mounts=[spec.document() for spec in definition.mounts if spec.type != "tmpfs"],
    )


def _port(text: str) -> Port:
    number, _, kind = text.partition("/")
    return Port(PrivatePort=int(number) if number.isdecimal() else 0, Type=kind or "tcp")

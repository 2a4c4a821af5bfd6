"""``docker volume ls`` and ``inspect``: the volumes that there are, in the API's words. It makes and removes none.

https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Volume
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rundlet.engine.registry import Registry
from rundlet.engine.volumes import Volume, Volumes
from rundlet.engine.words import format_time
from rundlet.errors import InvalidArgument, NotFound

__all__ = ["VolumeListing"]

_ANONYMOUS = {"com.docker.volume.anonymous": ""}
"""The label by which Docker, too, tells a volume that nobody named."""


class VolumeListing:
    def __init__(self, volumes: Volumes, registry: Registry) -> None:
        self._volumes = volumes
        self._registry = registry

    def list(self, filters: Mapping[str, Sequence[str]]) -> Sequence[dict[str, Any]]:
        """By name. InvalidArgument for a filter that is not known."""
        for key in filters:
            if key not in ("dangling", "driver", "label", "name"):
                raise InvalidArgument(f"invalid filter '{key}'")
        used = {spec.name for entry in self._registry for spec in entry.container.definition.mounts}
        return [
            self._document(volume)
            for volume in sorted(self._volumes, key=lambda volume: volume.name)
            if all(_matches(volume, key, values, used) for key, values in filters.items())
        ]

    def inspect(self, name: str) -> dict[str, Any]:
        """NotFound."""
        volume = self._volumes.get(name)
        if volume is None:
            raise NotFound(f"get {name}: no such volume")
        return self._document(volume)

    def _document(self, volume: Volume) -> dict[str, Any]:
        return {
            "CreatedAt": format_time(volume.created_ns),
            "Driver": "local",
            "Labels": dict(_ANONYMOUS) if volume.anonymous else None,
            "Mountpoint": str(self._volumes.data_dir(volume.name)),
            "Name": volume.name,
            "Options": None,
            "Scope": "local",
        }


def _matches(volume: Volume, key: str, values: Sequence[str], used: set[str]) -> bool:
    if key == "dangling":
        return any((value.lower() in ("1", "true")) is (volume.name not in used) for value in values)
    if key == "driver":
        return "local" in values
    if key == "label":
        labels = _ANONYMOUS if volume.anonymous else {}
        return all(value.removesuffix("=") in labels for value in values)
    try:
        return any(re.search(value, volume.name) for value in values)
    except re.error as error:
        raise InvalidArgument(f"invalid filter 'name': {error}") from error

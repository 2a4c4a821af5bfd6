"""The networks that every engine has: ``bridge``, ``host`` and ``none``. Others, addresses and ports are not here.

``bridge`` is where a container is put that asks for nothing. In this version it leads nowhere: each container has
its own loopback there, hence ``Internal``.

https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Network
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rundlet.engine.inspection import networks_of
from rundlet.engine.registry import Registry
from rundlet.errors import Forbidden, InvalidArgument, NotFound

__all__ = ["Networks"]

_DRIVERS = {"bridge": "bridge", "host": "host", "none": "null"}

_Document = dict[str, Any]
_FILTERS: Mapping[str, Callable[[_Document, str], bool]] = {
    "dangling": lambda network, value: value.lower() not in ("1", "true"),  # these are never in anybody's way
    "driver": lambda network, value: network["Driver"] == value,
    "id": lambda network, value: network["Id"].startswith(value),
    "label": lambda network, value: False,
    "name": lambda network, value: value in network["Name"],
    "scope": lambda network, value: value == "local",
    "type": lambda network, value: value == "builtin",
}


class Networks:
    def __init__(self, registry: Registry, data_root: Path) -> None:
        """``data_root`` tells these networks from those of another engine on this machine."""
        self._registry = registry
        self._ids = {name: hashlib.sha256(bytes(data_root / name)).hexdigest() for name in _DRIVERS}

    def list(self, filters: Mapping[str, Sequence[str]]) -> Sequence[_Document]:
        """Without their containers. InvalidArgument for a filter that is not known."""
        for key in filters:
            if key not in _FILTERS:
                raise InvalidArgument(f"invalid filter '{key}'")
        return [
            network
            for network in map(self._document, _DRIVERS)
            if all(
                any(_FILTERS[key](network, value) for value in values) for key, values in filters.items() if values
            )
        ]

    def inspect(self, ref: str, scope: str = "") -> _Document:
        """By name, id, or the beginning of one; with the containers that run there. NotFound."""
        name = self._resolve(ref)
        if scope not in ("", "local"):
            raise NotFound(f"network {ref} not found")
        containers = {
            entry.id: {
                "Name": entry.container.name,
                "EndpointID": "",
                "MacAddress": "",
                "IPv4Address": "",
                "IPv6Address": "",
            }
            for entry in self._registry
            if entry.container.state.has_process and name in networks_of(entry.container.definition)
        }
        return self._document(name) | {"Containers": containers}

    def refusal_to_remove(self, ref: str) -> Forbidden:
        """NotFound for what is none of them."""
        return Forbidden(f"{self._resolve(ref)} is a pre-defined network and cannot be removed")

    def _resolve(self, ref: str) -> str:
        if ref in _DRIVERS:
            return ref
        found = [name for name, network_id in self._ids.items() if ref and network_id.startswith(ref)]
        if len(found) != 1:
            raise NotFound(f"network {ref} not found")
        return found[0]

    def _document(self, name: str) -> _Document:
        return {
            "Name": name,
            "Id": self._ids[name],
            "Scope": "local",
            "Driver": _DRIVERS[name],
            "EnableIPv6": False,
            "IPAM": {"Driver": "default", "Options": None, "Config": []},
            "Internal": name == "bridge",
            "Attachable": False,
            "Ingress": False,
            "ConfigFrom": {"Network": ""},
            "ConfigOnly": False,
            "Containers": {},
            "Options": {},
            "Labels": {},
        }

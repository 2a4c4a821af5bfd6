"""``--mount``, ``--volume`` and ``--publish``: the three little languages of ``run`` and ``create``.

Pure: relative host paths are made absolute against the working directory, and nothing is looked up on disk.
Errors are ValueErrors in docker/cli's words.
"""

from __future__ import annotations

import os

from rundlet.cli import values
from rundlet.errors import InvalidArgument
from rundlet.wire import sizes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_BARE = frozenset(("readonly", "ro", "volume-nocopy", "bind-create-src"))
_TRUTH = {"1": True, "true": True, "0": False, "false": False}
_RECURSION = {
    "enabled": None,
    "disabled": "NonRecursive",
    "writable": "ReadOnlyNonRecursive",
    "readonly": "ReadOnlyForceRecursive",
}
_OPTIONS_OF = {"bind": "BindOptions", "volume": "VolumeOptions", "tmpfs": "TmpfsOptions"}

_VOLUME_MODES = frozenset(
    ("ro", "rw", "z", "Z", "nocopy", "shared", "rshared", "slave", "rslave", "private", "rprivate",
     "consistent", "cached", "delegated", "rro")
)  # fmt: skip


def mount(text: str) -> dict[str, Any]:
    """``type=bind,source=/a,target=/b,readonly`` as the API's Mount."""
    import csv

    if not text.strip():
        raise ValueError("value is empty")
    result: dict[str, Any] = {"Type": "volume", "Target": ""}
    for field in next(csv.reader([text.strip()])):
        key, found, value = field.partition("=")
        key = key.lower()
        if not found and key not in _BARE:
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
        setter = _MOUNT_FIELDS.get(key)
        if setter is None:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
        setter(result, key, value if found else "true")
    _check_mount(result)
    return result


def _check_mount(mount_: dict[str, Any]) -> None:
    if not mount_["Target"]:
        raise ValueError("target is required")
    for kind, options in _OPTIONS_OF.items():
        if options in mount_ and mount_["Type"] != kind:
            raise ValueError(f"cannot mix '{kind}-*' options with mount type '{mount_['Type']}'")
    bind = mount_.get("BindOptions", {})
    for option, word in (("ReadOnlyNonRecursive", "writable"), ("ReadOnlyForceRecursive", "readonly")):
        if option in bind and not mount_.get("ReadOnly"):
            raise ValueError(f"option 'bind-recursive={word}' requires 'readonly' to be specified in conjunction")
    if "ReadOnlyForceRecursive" in bind and bind.get("Propagation") != "rprivate":
        raise ValueError(
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
        )


def _plain(name: str, convert: Callable[[str], Any] = str) -> Callable[[dict[str, Any], str, str], None]:
    def setter(mount_: dict[str, Any], key: str, value: str) -> None:
        mount_[name] = convert(value)

    return setter


def _within(*path: str, convert: Callable[[str, str], Any]) -> Callable[[dict[str, Any], str, str], None]:
    """Set a field of a nested object; ``convert`` gets key and value. A pair is added to the map there."""

    def setter(mount_: dict[str, Any], key: str, value: str) -> None:
        parent = mount_
        for step in path[:-1]:
            parent = parent.setdefault(step, {})
        result = convert(key, value)
        if isinstance(result, tuple):
            parent.setdefault(path[-1], {})[result[0]] = result[1]
        else:
            parent[path[-1]] = result

    return setter


def _text(key: str, value: str) -> str:
    return value


def _pair(key: str, value: str) -> tuple[str, str]:
    return values.key_value(value)


def _truth(key: str, value: str) -> bool:
    if value not in _TRUTH:
        raise ValueError(f"invalid value for {key}: {value}")
    return _TRUTH[value]


def _size(key: str, value: str) -> int:
    try:
        return sizes.parse_binary(value)
    except InvalidArgument:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _octal(key: str, value: str) -> int:
    try:
        return int(value, 8)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _read_only(mount_: dict[str, Any], key: str, value: str) -> None:
    mount_["ReadOnly"] = _truth(key, value)


def _recursion(mount_: dict[str, Any], key: str, value: str) -> None:
    if value not in _RECURSION:
        raise ValueError(
            f'invalid value for {key}: {value} (must be "enabled", "disabled", "writable", or "readonly")'
        )
    if option := _RECURSION[value]:
        mount_.setdefault("BindOptions", {})[option] = True


def _absolute_if_dotted(path: str) -> str:
    return os.path.abspath(path) if path.startswith(".") else path


_SOURCE = _plain("Source", _absolute_if_dotted)
_TARGET = _plain("Target")
_MOUNT_FIELDS: dict[str, Callable[[dict[str, Any], str, str], None]] = {
    "type": _plain("Type", str.lower),
    "source": _SOURCE,
    "src": _SOURCE,
    "target": _TARGET,
    "dst": _TARGET,
    "destination": _TARGET,
    "readonly": _read_only,
    "ro": _read_only,
    "consistency": _plain("Consistency", str.lower),
    "bind-propagation": _within("BindOptions", "Propagation", convert=lambda key, value: value.lower()),
    "bind-recursive": _recursion,
    "bind-create-src": _within("BindOptions", "CreateMountpoint", convert=_truth),
    "volume-subpath": _within("VolumeOptions", "Subpath", convert=_text),
    "volume-nocopy": _within("VolumeOptions", "NoCopy", convert=_truth),
    "volume-label": _within("VolumeOptions", "Labels", convert=_pair),
    "volume-driver": _within("VolumeOptions", "DriverConfig", "Name", convert=_text),
    "volume-opt": _within("VolumeOptions", "DriverConfig", "Options", convert=_pair),
    "tmpfs-size": _within("TmpfsOptions", "SizeBytes", convert=_size),
    "tmpfs-mode": _within("TmpfsOptions", "Mode", convert=_octal),
}


def volume(text: str) -> tuple[str, bool]:
    """``[source:]target[:options]`` as ``(what to send, whether it is a bind)``.

    Without a source it is an anonymous volume, which the API takes in ``Volumes``; the rest goes to ``Binds``.
    """
    parts = text.split(":")
    if not all(parts) or len(parts) > 3:
        raise ValueError(f"invalid volume specification: '{text}'")
    if len(parts) == 1:
        target = parts[0]
    elif len(parts) == 2 and set(parts[1].split(",")) <= _VOLUME_MODES and parts[0].startswith("/"):
        raise ValueError(f"invalid volume specification: '{text}': a mount path must be absolute")
    else:
        target = parts[1]
    if not target.startswith("/"):
        raise ValueError(
            f"invalid volume specification: '{text}': invalid mount path: '{target}' mount path must be absolute"
        )
    if len(parts) == 3 and not set(parts[2].split(",")) <= _VOLUME_MODES:
        raise ValueError(f"invalid volume specification: '{text}': invalid mode: {parts[2]}")
    if len(parts) == 1:
        return target, False
    return ":".join([_absolute_if_dotted(parts[0]), *parts[1:]]), True


# ── ports ───────────────────────────────────────────────────────────────────────────────────────────────────


class PortMapping:
    """One container port (``80/tcp``) and where it is published; ``host_port`` may be empty: any."""

    __slots__ = ("container_port", "host_ip", "host_port")

    def __init__(self, container_port: str, host_ip: str, host_port: str) -> None:
        self.container_port = container_port
        self.host_ip = host_ip
        self.host_port = host_port


def publish(text: str) -> list[PortMapping]:
    """``[[ip:]host-port:]port[/protocol]``, with ranges; or ``published=…,target=…,protocol=…``."""
    if "=" in text:
        text = _publish_long(text)
    spec, _, protocol = text.partition("/")
    protocol = protocol or "tcp"
    if protocol.lower() not in ("tcp", "udp", "sctp"):
        raise ValueError(f"invalid proto: {protocol}")
    address, host, container = _publish_parts(spec)
    first, last = port_range(container, "containerPort")
    if not host:
        return [PortMapping(f"{port}/{protocol.lower()}", address, "") for port in range(first, last + 1)]
    host_first, host_last = port_range(host, "hostPort")
    if last - first == host_last - host_first:
        return [
            PortMapping(f"{first + n}/{protocol.lower()}", address, str(host_first + n))
            for n in range(last - first + 1)
        ]
    if first == last:  # any one of these host ports
        return [PortMapping(f"{first}/{protocol.lower()}", address, host)]
    raise ValueError(f"invalid ranges specified for container and host Ports: {container} and {host}")


def _publish_long(text: str) -> str:
    fields = {"protocol": "tcp", "published": "", "target": ""}
    for part in text.split(","):
        key, found, value = part.partition("=")
        if not found or not key:
            raise ValueError(f"invalid publish opts format (should be name=value but got '{part}')")
        if key not in fields and key != "mode":
            raise ValueError(f"invalid publish opts: unknown key '{key}' in '{part}'")
        fields[key] = value
    return f"{fields['published']}:{fields['target']}/{fields['protocol']}"


def _publish_parts(spec: str) -> tuple[str, str, str]:
    head, _, container = spec.rpartition(":")
    if not container:
        raise ValueError(f"no port specified: {spec}<empty>")
    address, _, host = head.rpartition(":")
    if address:
        address = address.removeprefix("[").removesuffix("]")
        try:
            address = values.ip_address(address)
        except ValueError:
            raise ValueError(f"invalid IP address: {address}") from None
    return address, host, container


def port_range(text: str, what: str) -> tuple[int, int]:
    first, found, last = text.partition("-")
    ends = (first, last if found else first)
    if not all(end.isdigit() and int(end) <= 65535 for end in ends) or int(ends[0]) > int(ends[1]):
        raise ValueError(f"invalid {what}: {text}")
    return int(ends[0]), int(ends[1])


def expose(text: str) -> list[str]:
    """``port[-port][/protocol]`` as ``["80/tcp", …]``."""
    ports, _, protocol = text.partition("/")
    protocol = protocol or "tcp"
    if protocol.lower() not in ("tcp", "udp", "sctp"):
        raise ValueError(f"invalid proto: {protocol}")
    try:
        first, last = port_range(ports, "port")
    except ValueError:
        raise ValueError(f"invalid range format for --expose: {text}") from None
    return [f"{port}/{protocol.lower()}" for port in range(first, last + 1)]

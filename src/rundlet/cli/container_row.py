"""One container of ``ps`` as its template sees it: Docker's field names and their texts (docker/cli formatter)."""

from __future__ import annotations

from rundlet.cli import human
from rundlet.cli.template_functions import quote
from rundlet.errors import InvalidReference
from rundlet.wire import reference, sizes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

TABLE = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
SIZE_COLUMN = "\t{{.Size}}"

HEADINGS = {
    "ID": "CONTAINER ID",
    "Names": "NAMES",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
}


def container_row(summary: Mapping[str, Any], *, truncate: bool = True) -> dict[str, Any]:
    labels = summary.get("Labels") or {}
    mounts = [mount.get("Name") or mount.get("Source", "") for mount in summary.get("Mounts") or ()]
    networks = (summary.get("NetworkSettings") or {}).get("Networks") or {}
    command = summary.get("Command", "")
    return {
        "Command": quote(human.ellipsis(command, 20) if truncate else command),
        "CreatedAt": human.timestamp(summary["Created"]),
        "ID": human.short_id(summary["Id"]) if truncate else summary["Id"],
        "Image": _image(summary, truncate),
        "Label": lambda name: labels.get(name, ""),
        "Labels": ",".join(sorted(f"{name}={value}" for name, value in labels.items())),
        "LocalVolumes": str(sum(mount.get("Driver") == "local" for mount in summary.get("Mounts") or ())),
        "Mounts": ",".join(human.ellipsis(mount, 15) if truncate else mount for mount in mounts),
        "Names": _names(summary.get("Names") or (), truncate),
        "Networks": ",".join(sorted(networks)),
        "Ports": ports(summary.get("Ports") or ()),
        "RunningFor": human.ago(summary["Created"]),
        "Size": _size(summary),
        "State": summary.get("State", ""),
        "Status": summary.get("Status", ""),
    }


def _image(summary: Mapping[str, Any], truncate: bool) -> str:
    image: str = summary.get("Image") or "<no image>"
    if not truncate or image == "<no image>":
        return image
    if human.short_id(summary.get("ImageID", "")) == human.short_id(image):
        return human.short_id(image)
    try:
        parsed = reference.parse(image)
    except InvalidReference:
        return image
    if parsed.digest is not None:  # a digest says nothing to people; the tag stays
        return parsed.familiar_name + (f":{parsed.tag}" if parsed.tag else "")
    return image


def _names(names: Iterable[str], truncate: bool) -> str:
    """Without the slash; truncated, only the container's own name and not its names within others (links)."""
    plain = [name.removeprefix("/") for name in names]
    return next((name for name in plain if "/" not in name), "") if truncate else ",".join(plain)


def _size(summary: Mapping[str, Any]) -> str:
    text = sizes.format_decimal(summary.get("SizeRw") or 0)
    total = summary.get("SizeRootFs") or 0
    return f"{text} (virtual {sizes.format_decimal(total)})" if total else text


def ports(published: Iterable[Mapping[str, Any]]) -> str:
    """``0.0.0.0:8080->80/tcp, 90-92/udp``: neighbours on the same address become a range."""
    groups: list[list[Any]] = []  # [address, protocol, first, last]
    mapped: list[str] = []
    for port in sorted(published, key=_port_order):
        address, private, protocol = port.get("IP", ""), port["PrivatePort"], port["Type"]
        if address and port.get("PublicPort") != private:
            mapped.append(f"{_join(address, port.get('PublicPort', 0))}->{private}/{protocol}")
            continue
        group = next(
            (group for group in groups if group[:2] == [address, protocol] and group[3] == private - 1), None
        )
        if group is None:
            groups.append([address, protocol, private, private])
        else:
            group[3] = private
    texts = []
    for address, protocol, first, last in groups:
        span = str(first) if first == last else f"{first}-{last}"
        texts.append(f"{_join(address, span)}->{span}/{protocol}" if address else f"{span}/{protocol}")
    return ", ".join(texts + mapped)


def _port_order(port: Mapping[str, Any]) -> tuple[int, str, int, str]:
    return port["PrivatePort"], port.get("IP", ""), port.get("PublicPort", 0), port["Type"]


def _join(address: str, port: object) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

"""The three files that a container finds in /etc about its network: hosts, hostname, resolv.conf.

Written anew at each start into DATA/containers/<id>/etc/, bind-mounted from there. A container without the host's
network has its own loopback and nothing else in this version, and that is what the files say.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from pathlib import Path

from rundlet.engine.container import Definition
from rundlet.errors import InvalidArgument

__all__ = ["check_extra_hosts", "host_name", "write_network_files"]

_HOSTS = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""

_GATEWAY = "host-gateway"
"""The host as the container reaches it: only the host's own network has such an address in this version."""


def host_name(definition: Definition) -> str:
    return definition.config.Hostname or definition.id[:12]


def check_extra_hosts(hosts: Iterable[str]) -> None:
    """``name:address`` or ``name=address``. InvalidArgument."""
    for host in hosts:
        _extra_host(host)


def write_network_files(definition: Definition, directory: Path) -> None:
    """Blocking."""
    is_host = definition.host.NetworkMode == "host"
    name = host_name(definition)
    (directory / "hostname").write_text(name + "\n")
    (directory / "resolv.conf").write_text(_resolv_conf(definition, is_host=is_host))
    hosts = Path("/etc/hosts").read_text(errors="replace") if is_host else _HOSTS + f"127.0.0.1\t{name}\n"
    for host in definition.host.ExtraHosts or ():
        extra_name, address = _extra_host(host)
        if address != _GATEWAY:
            hosts += f"{address}\t{extra_name}\n"
        elif is_host:
            hosts += f"127.0.0.1\t{extra_name}\n"
    (directory / "hosts").write_text(hosts)


def _extra_host(text: str) -> tuple[str, str]:
    name, separator, address = text.partition("=")
    if not separator:
        name, separator, address = text.partition(":")
    if not (name and separator) or any(letter.isspace() for letter in name):
        raise InvalidArgument(f'bad format for add-host: "{text}"')
    if address == _GATEWAY:
        return name, address
    try:
        return name, str(ipaddress.ip_address(address.strip("[]")))
    except ValueError:
        raise InvalidArgument(f'invalid IP address in add-host: "{address}"') from None


def _resolv_conf(definition: Definition, *, is_host: bool) -> str:
    host = definition.host
    lines = []
    try:
        lines = Path("/etc/resolv.conf").read_text(errors="replace").splitlines()
    except OSError:  # a machine without one: then the container has what it asked for
        lines = []
    kept = [
        line
        for line in lines
        if not (host.Dns and line.startswith("nameserver"))
        and not (host.DnsSearch and line.startswith(("search", "domain")))
        and not (host.DnsOptions and line.startswith("options"))
        and (is_host or not _is_local_nameserver(line))
    ]
    kept += [f"nameserver {address}" for address in host.Dns or ()]
    if host.DnsSearch and host.DnsSearch != ["."]:
        kept.append("search " + " ".join(host.DnsSearch))
    if host.DnsOptions:
        kept.append("options " + " ".join(host.DnsOptions))
    return "".join(line + "\n" for line in kept)


def _is_local_nameserver(line: str) -> bool:
    """One that listens on the host's own loopback, which is not the container's."""
    words = line.split()
    return len(words) > 1 and words[0] == "nameserver" and (words[1].startswith("127.") or words[1] == "::1")

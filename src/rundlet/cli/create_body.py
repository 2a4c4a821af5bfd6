"""From the flags of ``run`` and ``create`` to the body of POST /containers/create, as docker/cli makes it.

Only what was asked for is sent: what is missing, the engine takes for its default. Environment and label files
and seccomp profiles are read here; nothing else touches the disk. Errors are :class:`CommandFailed` with exit
status 125, as Docker has it for every wrong option.
"""

from __future__ import annotations

import os

from rundlet.cli import values
from rundlet.cli.command import USAGE_STATUS, CommandFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from rundlet.cli.flags import Arguments

    Json = dict[str, Any]

_CONFIG_FIELDS = (
    ("hostname", "Hostname"),
    ("domainname", "Domainname"),
    ("user", "User"),
    ("tty", "Tty"),
    ("interactive", "OpenStdin"),
    ("workdir", "WorkingDir"),
    ("stop-signal", "StopSignal"),
    ("stop-timeout", "StopTimeout"),
)
_HOST_FIELDS = (
    ("add-host", "ExtraHosts"),
    ("blkio-weight", "BlkioWeight"),
    ("blkio-weight-device", "BlkioWeightDevice"),
    ("cap-add", "CapAdd"),
    ("cap-drop", "CapDrop"),
    ("cgroup-parent", "CgroupParent"),
    ("cgroupns", "CgroupnsMode"),
    ("cidfile", "ContainerIDFile"),
    ("cpu-period", "CpuPeriod"),
    ("cpu-quota", "CpuQuota"),
    ("cpu-rt-period", "CpuRealtimePeriod"),
    ("cpu-rt-runtime", "CpuRealtimeRuntime"),
    ("cpu-shares", "CpuShares"),
    ("cpus", "NanoCpus"),
    ("cpuset-cpus", "CpusetCpus"),
    ("cpuset-mems", "CpusetMems"),
    ("device", "Devices"),
    ("device-cgroup-rule", "DeviceCgroupRules"),
    ("device-read-bps", "BlkioDeviceReadBps"),
    ("device-read-iops", "BlkioDeviceReadIOps"),
    ("device-write-bps", "BlkioDeviceWriteBps"),
    ("device-write-iops", "BlkioDeviceWriteIOps"),
    ("dns", "Dns"),
    ("dns-option", "DnsOptions"),
    ("dns-search", "DnsSearch"),
    ("group-add", "GroupAdd"),
    ("init", "Init"),
    ("ipc", "IpcMode"),
    ("link", "Links"),
    ("memory", "Memory"),
    ("memory-reservation", "MemoryReservation"),
    ("memory-swap", "MemorySwap"),
    ("memory-swappiness", "MemorySwappiness"),
    ("mount", "Mounts"),
    ("oom-kill-disable", "OomKillDisable"),
    ("oom-score-adj", "OomScoreAdj"),
    ("pid", "PidMode"),
    ("pids-limit", "PidsLimit"),
    ("privileged", "Privileged"),
    ("publish-all", "PublishAllPorts"),
    ("read-only", "ReadonlyRootfs"),
    ("restart", "RestartPolicy"),
    ("rm", "AutoRemove"),
    ("runtime", "Runtime"),
    ("shm-size", "ShmSize"),
    ("ulimit", "Ulimits"),
    ("userns", "UsernsMode"),
    ("uts", "UTSMode"),
    ("volume-driver", "VolumeDriver"),
    ("volumes-from", "VolumesFrom"),
)
_MAPS = (("annotation", "Annotations"), ("sysctl", "Sysctls"))
_HEALTH_FIELDS = (
    ("health-interval", "Interval"),
    ("health-timeout", "Timeout"),
    ("health-start-period", "StartPeriod"),
    ("health-start-interval", "StartInterval"),
    ("health-retries", "Retries"),
)
_BUILT_IN_NETWORKS = frozenset(("", "default", "bridge", "host", "none"))


def create_body(arguments: Arguments) -> Json:
    """The request for the image and command in ``arguments.positional``."""
    try:
        _check(arguments)
        image, *command = arguments.positional
        body = _fields(arguments, _CONFIG_FIELDS)
        body |= {"Image": image, "HostConfig": _host_config(arguments)}
        body |= _attached(arguments)
        if command:
            body["Cmd"] = command
        if "entrypoint" in arguments.given:  # given and empty, it clears the image's
            body["Entrypoint"] = [arguments["entrypoint"]]
        body |= _without_empty(
            Env=list(environment(arguments)),
            Labels=dict(_labels(arguments)),
            Volumes={target: {} for target, is_bind in arguments["volume"] if not is_bind},
            ExposedPorts=_exposed_ports(arguments),
            Healthcheck=_health_check(arguments),
        )
        if endpoints := _endpoints(arguments):
            body["NetworkingConfig"] = {"EndpointsConfig": endpoints}
    except ValueError as error:
        raise CommandFailed(str(error), USAGE_STATUS) from error
    return body


def _check(arguments: Arguments) -> None:
    """What no single flag can know. Raises ValueError."""
    swappiness = arguments["memory-swappiness"]
    if swappiness != -1 and not 0 <= swappiness <= 100:
        raise ValueError(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
    restart = arguments["restart"]
    if arguments["rm"] and restart and restart["Name"] != "no":
        raise ValueError("conflicting options: cannot specify both --restart and --rm")
    if arguments["log-driver"] == "none" and arguments["log-opt"]:
        raise ValueError("invalid logging opts for driver none")
    for flag, allowed, word in (
        ("pid", ("", "host"), "PID"),
        ("uts", ("", "host"), "UTS"),
        ("userns", ("", "host"), "USER"),
        ("cgroupns", ("", "host", "private"), "CGROUP"),
        ("ipc", ("", "host", "private", "shareable", "none"), "IPC"),
    ):
        value = arguments[flag]
        if value not in allowed and not (flag in ("pid", "ipc") and value.startswith("container:")):
            raise ValueError(f"--{flag}: invalid {word} mode")


def _fields(arguments: Arguments, table: Iterable[tuple[str, str]]) -> Json:
    return {field: arguments[flag] for flag, field in table if flag in arguments.given}


def _without_empty(**fields: Any) -> Json:
    return {name: value for name, value in fields.items() if value}


def _attached(arguments: Arguments) -> Json:
    streams = arguments["attach"]
    stdin = "stdin" in streams or arguments["interactive"]
    return {
        "AttachStdin": stdin,
        "AttachStdout": not streams or "stdout" in streams,
        "AttachStderr": not streams or "stderr" in streams,
        # Attached, the container's stdin ends with the client's.
        "StdinOnce": stdin and arguments["interactive"],
    }


def _host_config(arguments: Arguments) -> Json:
    host = _fields(arguments, _HOST_FIELDS)
    host |= {field: dict(arguments[flag]) for flag, field in _MAPS if flag in arguments.given}
    security, unconfined = _security_options(arguments["security-opt"])
    if unconfined:
        host |= {"MaskedPaths": [], "ReadonlyPaths": []}
    networks = arguments["network"]
    return host | _without_empty(
        Binds=list(dict.fromkeys(bind for bind, is_bind in arguments["volume"] if is_bind)),
        Tmpfs={path: options for path, _, options in (text.partition(":") for text in arguments["tmpfs"])},
        LogConfig=_without_empty(
            Type=arguments["log-driver"], Config=dict(map(values.key_value, arguments["log-opt"]))
        ),
        NetworkMode=_network(networks[0])["Target"] if networks else "default",
        PortBindings=_port_bindings(arguments),
        SecurityOpt=security,
        StorageOpt=dict(_storage_options(arguments["storage-opt"])),
    )


def _storage_options(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        if "=" not in text:
            raise ValueError("invalid storage option")
        yield values.key_value(text)


def _security_options(texts: Iterable[str]) -> tuple[list[str], bool]:
    """The options to send, and whether ``systempaths=unconfined`` was among them, which clients handle."""
    options, unconfined = [], False
    for text in texts:
        separator = "=" if "=" in text else ":"
        key, _, value = text.partition(separator)
        if not value and key != "no-new-privileges":
            raise ValueError(f'invalid --security-opt: "{text}"')
        if text == "systempaths=unconfined":
            unconfined = True
        elif key == "seccomp" and value not in ("unconfined", "builtin", "default"):
            options.append(f"seccomp={_seccomp_profile(value)}")
        else:
            options.append(text)
    return options, unconfined


def _seccomp_profile(path: str) -> str:
    import json

    text = _read(path, f"opening seccomp profile ({path}) failed: ")
    try:
        return json.dumps(json.loads(text), separators=(",", ":"))
    except ValueError as error:
        raise ValueError(f"compacting json for seccomp profile ({path}) failed: {error}") from error


def _read(path: str, prefix: str = "") -> str:
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "not UTF-8 text"
        raise ValueError(f"{prefix}open {path}: {why}") from error


def _file_lines(path: str, flag: str) -> Iterator[tuple[str, bool, str]]:
    """``(name, whether it has a value, value)`` of an environment or label file."""
    for number, line in enumerate(_read(path).splitlines(), 1):
        line = line.lstrip()
        if not line or line.startswith("#"):
            continue
        name, found, value = line.partition("=")
        if not name or any(character.isspace() for character in name):
            raise ValueError(f"{flag}: poorly formatted: {path} line {number}: invalid name '{name}'")
        yield name, bool(found), value


def environment(arguments: Arguments) -> Iterator[str]:
    """Of ``--env-file`` and ``--env``, in this order. A name alone takes the client's value; a flag whose name the
    client does not have either removes the image's variable."""
    for path in arguments["env-file"]:
        for name, has_value, value in _file_lines(path, "--env-file"):
            if has_value:
                yield f"{name}={value}"
            elif name in os.environ:
                yield f"{name}={os.environ[name]}"
    for text in arguments["env"]:
        yield f"{text}={os.environ[text]}" if "=" not in text and text in os.environ else text


def _labels(arguments: Arguments) -> Iterator[tuple[str, str]]:
    for path in arguments["label-file"]:
        for name, has_value, value in _file_lines(path, "--label-file"):
            if has_value:
                yield name, value
    yield from map(values.key_value, arguments["label"])


def _exposed_ports(arguments: Arguments) -> Json:
    ports: Json = {port: {} for group in arguments["expose"] for port in group}
    return ports | {mapping.container_port: {} for group in arguments["publish"] for mapping in group}


def _port_bindings(arguments: Arguments) -> Json:
    bindings: Json = {}
    for group in arguments["publish"]:
        for mapping in group:
            bindings.setdefault(mapping.container_port, []).append(
                {"HostIp": mapping.host_ip, "HostPort": mapping.host_port}
            )
    return bindings


def _health_check(arguments: Arguments) -> Json:
    health = {field: value for field, value in _fields(arguments, _HEALTH_FIELDS).items() if value}
    if arguments["health-cmd"]:
        health["Test"] = ["CMD-SHELL", arguments["health-cmd"]]
    if arguments["no-healthcheck"]:
        if health:
            raise ValueError("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    for flag, field in _HEALTH_FIELDS:
        if health.get(field, 0) < 0:
            raise ValueError(f"--{flag} cannot be negative")
    return health


# ── networks ────────────────────────────────────────────────────────────────────────────────────────────────

_ENDPOINT_KEYS = {"ip": "IPv4Address", "ip6": "IPv6Address"}


def _network(text: str) -> Json:
    """``NAME``, or ``name=NAME,alias=A,ip=…,ip6=…,mac-address=…,driver-opt=k=v`` as endpoint and Target."""
    if "=" not in text:
        if not text.strip():
            raise ValueError("no name set for network")
        return {"Target": text}
    endpoint: Json = {"Target": ""}
    for field in text.split(","):
        key, found, value = (part.strip() for part in field.partition("="))
        if not found or not value:
            raise ValueError(f"invalid field {field}")
        if key == "name":
            endpoint["Target"] = value
        elif key == "alias":
            endpoint.setdefault("Aliases", []).append(value)
        elif key in _ENDPOINT_KEYS:
            endpoint.setdefault("IPAMConfig", {})[_ENDPOINT_KEYS[key]] = values.ip_address(value)
        elif key == "mac-address":
            endpoint["MacAddress"] = values.mac_address(value)
        elif key == "driver-opt":
            name, option = values.key_value(value)
            endpoint.setdefault("DriverOpts", {})[name] = option
        else:
            raise ValueError(f"invalid field key {key}")
    if not endpoint["Target"]:
        raise ValueError("network name/id is not specified")
    return endpoint


def _endpoints(arguments: Arguments) -> Json:
    """EndpointsConfig: only for networks that something is said about, and for each when there are several."""
    networks = [_network(text) for text in arguments["network"]] or [{"Target": "default"}]
    _apply_endpoint_flags(networks[0], arguments)
    names = [network["Target"] for network in networks]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f'network "{name}" is specified multiple times')
    if len({_is_user_defined(name) for name in names}) > 1:
        raise ValueError("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    endpoints = {}
    for network in networks:
        name = network.pop("Target")
        if network.get("Aliases") and not _is_user_defined(name):
            raise ValueError("network-scoped aliases are only supported for user-defined networks")
        if network or len(networks) > 1:
            endpoints[name] = network
    return endpoints


def _is_user_defined(name: str) -> bool:
    return name not in _BUILT_IN_NETWORKS and not name.startswith("container:")


def _apply_endpoint_flags(endpoint: Json, arguments: Arguments) -> None:
    """--network-alias, --ip, --ip6 and --mac-address speak of the first network."""
    if arguments["network-alias"]:
        if "Aliases" in endpoint:
            raise ValueError("conflicting options: cannot specify both --network-alias and per-network alias")
        endpoint["Aliases"] = list(arguments["network-alias"])
    if _is_user_defined(endpoint["Target"]) and arguments["link"]:
        endpoint["Links"] = list(arguments["link"])
    for flag, field in _ENDPOINT_KEYS.items():
        if flag in arguments.given:
            if field in endpoint.get("IPAMConfig", {}):
                raise ValueError(f"conflicting options: cannot specify both --{flag} and per-network address")
            endpoint.setdefault("IPAMConfig", {})[field] = arguments[flag]
    if "mac-address" in arguments.given:
        if "MacAddress" in endpoint:
            raise ValueError("conflicting options: cannot specify both --mac-address and per-network MAC address")
        endpoint["MacAddress"] = arguments["mac-address"]

"""A request to create a container, completed by its image and by the engine's defaults. Pure.

moby ``daemon/commit.go`` (merge) and ``daemon/create.go``; docker-api.md names the traps: an empty entrypoint
clears the image's, a given one drops the image's command.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from rundlet.engine import defaults
from rundlet.engine.defaults import capabilities
from rundlet.engine.network_files import check_extra_hosts
from rundlet.engine.resources import check_resources
from rundlet.engine.security import read_security_options
from rundlet.engine.signals import parse_signal
from rundlet.errors import InvalidArgument
from rundlet.wire.documents import ContainerConfig, ContainerCreateRequest, HealthConfig, HostConfig

__all__ = ["arguments", "check_request", "complete_host", "merge_config", "warnings_about"]

_RESTART_POLICIES = frozenset({"", "no", "always", "unless-stopped", "on-failure"})


def merge_config(request: ContainerCreateRequest, image: Mapping[str, Any]) -> ContainerConfig:
    """``image`` is the ``config`` object of the image's OCI configuration."""
    own = ContainerConfig(**{field.name: getattr(request, field.name) for field in fields(ContainerConfig)})
    cmd, entrypoint = request.Cmd, request.Entrypoint
    if not entrypoint:
        cmd = cmd or image.get("Cmd")
        if entrypoint is None:  # an empty list is an answer: no entrypoint
            entrypoint = image.get("Entrypoint")
    if entrypoint == [""]:  # what `--entrypoint ""` sends: no entrypoint, and no command of the image's either
        entrypoint = None
    return replace(
        own,
        Cmd=cmd or None,
        Entrypoint=entrypoint or None,
        Env=_merge_env(image.get("Env") or (), request.Env or ()),
        Labels={**(image.get("Labels") or {}), **(request.Labels or {})},
        Volumes={**(image.get("Volumes") or {}), **(request.Volumes or {})} or None,
        ExposedPorts={**(image.get("ExposedPorts") or {}), **(request.ExposedPorts or {})} or None,
        User=request.User or image.get("User") or "",
        WorkingDir=request.WorkingDir or image.get("WorkingDir") or "",
        StopSignal=request.StopSignal or image.get("StopSignal") or None,
        Healthcheck=_merge_health(request.Healthcheck, image.get("Healthcheck")),
        OnBuild=None,
    )


def arguments(config: ContainerConfig) -> list[str]:
    """What is exec'd. InvalidArgument when there is nothing."""
    args = [*(config.Entrypoint or ()), *(config.Cmd or ())]
    if not args or not args[0]:
        raise InvalidArgument("no command specified")
    return args


def check_request(config: ContainerConfig, host: HostConfig) -> None:
    """InvalidArgument, mostly in Docker's words; nothing has happened yet."""
    if config.WorkingDir and not config.WorkingDir.startswith("/"):
        raise InvalidArgument(
            f"the working directory '{config.WorkingDir}' is invalid, it needs to be an absolute path"
        )
    if config.StopSignal:
        parse_signal(config.StopSignal)
    for variable in config.Env or ():
        if not variable or variable.startswith("=") or "\0" in variable:
            raise InvalidArgument(f"invalid environment variable: {variable!r}")
    for name in (config.Hostname, config.Domainname):
        if len(name) > 64 or any(letter in "/\0\n" or letter.isspace() for letter in name):
            raise InvalidArgument(f"invalid hostname: {name!r}")
    _check_restart(host)
    _check_namespaces(config, host)
    check_resources(host)
    check_extra_hosts(host.ExtraHosts or ())
    capabilities(host.CapAdd, host.CapDrop, privileged=host.Privileged)
    read_security_options(host.SecurityOpt)
    if host.ShmSize < 0:
        raise InvalidArgument("SHM size can not be less than 0")
    if not -1000 <= host.OomScoreAdj <= 1000:
        raise InvalidArgument(f"Invalid value {host.OomScoreAdj}, range for oom score adj is [-1000, 1000]")
    if host.DeviceRequests:
        wanted = host.DeviceRequests[0]
        capabilities_of_device = " ".join(f"[{' '.join(each)}]" for each in wanted.Capabilities or ())
        raise InvalidArgument(
            f'could not select device driver "{wanted.Driver}" with capabilities: [{capabilities_of_device}]'
        )
    if host.Runtime not in ("", "rundlet", "runc", "io.containerd.runc.v2"):
        raise InvalidArgument(f"unknown or invalid runtime name: {host.Runtime}")


def complete_host(host: HostConfig, *, private_cgroups: bool) -> HostConfig:
    """The engine's defaults where the request says nothing; all else is echoed as it came."""
    return replace(
        host,
        NetworkMode=host.NetworkMode or "default",
        IpcMode=host.IpcMode or "private",
        CgroupnsMode=host.CgroupnsMode or ("private" if private_cgroups else "host"),
        ShmSize=host.ShmSize or defaults.SHM_BYTES,
        Runtime=host.Runtime or "rundlet",
        MaskedPaths=list(defaults.MASKED_PATHS)
        if host.MaskedPaths is None and not host.Privileged
        else host.MaskedPaths,
        ReadonlyPaths=list(defaults.READONLY_PATHS)
        if host.ReadonlyPaths is None and not host.Privileged
        else host.ReadonlyPaths,
        MemorySwap=2 * host.Memory if host.Memory > 0 and not host.MemorySwap else host.MemorySwap,
        ConsoleSize=host.ConsoleSize or [0, 0],
    )


def warnings_about(config: ContainerConfig, host: HostConfig) -> list[str]:
    """What of the request this version does not do, and says so."""
    warnings = []
    if host.NetworkMode in ("", "default", "bridge") and not config.NetworkDisabled:
        text = "networking is limited to loopback in this version"
        if host.PortBindings or host.PublishAllPorts:
            text += ": ports are not published"
        warnings.append(f"{text}: use --network host to share the host's")
    warnings += [f"{text} in this version" for value, text in _ignored(config, host) if value]
    if host.Runtime not in ("", "rundlet"):
        warnings.append(f"runtime {host.Runtime} is not called in this version: the built-in one is")
    if host.Init:
        warnings.append("--init is ignored in this version: the program itself is process 1")
    if config.Healthcheck and (config.Healthcheck.Test or ["NONE"])[0] != "NONE":
        warnings.append("health checks are not run in this version")
    if host.OomKillDisable and host.Memory <= 0:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system "
            "running out of resources."
        )
    return warnings


def _ignored(config: ContainerConfig, host: HostConfig) -> list[tuple[object, str]]:
    """What the request may say without any effect; inspect shows it all the same."""
    return [
        (host.CgroupParent, f"cgroup parent {host.CgroupParent} is ignored"),
        (host.Links, "links are ignored"),
        (config.MacAddress, "the MAC address is ignored"),
        (host.StorageOpt, "storage options are ignored: the container's disk space is not limited"),
        (host.VolumeDriver not in ("", "local"), f"volume driver {host.VolumeDriver} is ignored"),
        ((host.LogConfig.Config or {}).get("compress") == "true", "rotated logs are not compressed"),
    ]


def _check_restart(host: HostConfig) -> None:
    policy = host.RestartPolicy
    if policy.Name not in _RESTART_POLICIES:
        raise InvalidArgument(
            f"invalid restart policy: unknown policy '{policy.Name}'; use one of 'no', 'always', 'on-failure', or "
            "'unless-stopped'"
        )
    if policy.MaximumRetryCount < 0:
        raise InvalidArgument("invalid restart policy: maximum retry count cannot be negative")
    if policy.MaximumRetryCount and policy.Name != "on-failure":
        raise InvalidArgument("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if host.AutoRemove and policy.Name not in ("", "no"):
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")


def _check_namespaces(config: ContainerConfig, host: HostConfig) -> None:
    network = host.NetworkMode
    if (network == "host" or network.startswith("container:")) and host.UTSMode == "host" and config.Hostname:
        raise InvalidArgument("conflicting options: hostname and the network mode")
    if host.UTSMode not in ("", "host"):
        raise InvalidArgument(f"invalid UTS mode: {host.UTSMode}")
    if host.UTSMode == "host" and config.Hostname:
        raise InvalidArgument("conflicting options: hostname and the UTS mode")
    if host.PidMode not in ("", "private", "host") and not host.PidMode.startswith("container:"):
        raise InvalidArgument(f"invalid PID mode: {host.PidMode}")
    if host.IpcMode not in ("", "none", "private", "shareable", "host") and not host.IpcMode.startswith(
        "container:"
    ):
        raise InvalidArgument(f"invalid IPC mode: {host.IpcMode}")
    if host.CgroupnsMode not in ("", "private", "host"):
        raise InvalidArgument(f"invalid cgroup namespace mode: {host.CgroupnsMode}")
    if host.UsernsMode not in ("", "host"):
        raise InvalidArgument(f"invalid user namespace mode: {host.UsernsMode}")
    if network == "host" and (inner := next((n for n in host.Sysctls or {} if n.startswith("net.")), None)):
        raise InvalidArgument(f"sysctl '{inner}' not allowed in host network namespace")


def _merge_env(image: Iterable[str], own: Iterable[str]) -> list[str]:
    """The image's variables that are not overridden, after the request's own, as Docker orders them."""
    own = list(own)
    names = {variable.partition("=")[0] for variable in own}
    return own + [variable for variable in image if variable.partition("=")[0] not in names]


def _merge_health(own: HealthConfig | None, image: Mapping[str, Any] | None) -> HealthConfig | None:
    """Field by field; the request wins."""
    if image is None:
        return own
    names = [field.name for field in fields(HealthConfig)]
    inherited = HealthConfig(**{name: image[name] for name in names if name in image})
    if own is None:
        return inherited
    return HealthConfig(**{name: getattr(own, name) or getattr(inherited, name) for name in names})

"""A container as an OCI runtime-spec config: what Docker would give it, made of its record and nothing else.

https://github.com/opencontainers/runtime-spec/blob/main/config.md. Pure but for the look at the devices that
the container is to get. What is the same for every start of a container is not worth a cache: all of this is
some dictionaries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rundlet.engine import defaults
from rundlet.engine.container import Container, Definition
from rundlet.engine.exec_record import ExecRecord
from rundlet.engine.mounts import MountSpec
from rundlet.engine.network_files import host_name
from rundlet.engine.resources import find_devices, resources
from rundlet.engine.security import read_security_options, seccomp_text
from rundlet.errors import InvalidArgument
from rundlet.wire.documents import DeviceMapping

__all__ = ["NamespacePath", "build_config", "build_exec_process", "environment", "seccomp_of"]

NamespacePath = Callable[[str, str], str]
"""(container reference, ``net``, ``ipc`` or ``pid``) -> a path that leads to that namespace of that container."""

OCI_VERSION = "1.2.0"

_NOT_READ_ONLY = frozenset({"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"})
"""Where a read-only container may still write."""


def build_config(
    container: Container, *, runtime_dir: Path, etc_dir: Path, cgroup_path: str, namespace_path: NamespacePath
) -> dict[str, Any]:
    """The config, without ``linux.seccomp`` (:func:`seccomp_of`). InvalidArgument, ContainerNotRunning."""
    definition = container.definition
    config, host = definition.config, definition.host
    devices = _devices(definition)
    # Of another container's network the sysctls are set already, or it is the host's.
    has_own_network = host.NetworkMode != "host" and not host.NetworkMode.startswith("container:")
    document: dict[str, Any] = {
        "ociVersion": OCI_VERSION,
        "root": {"path": str(runtime_dir / "rootfs"), "readonly": host.ReadonlyRootfs},
        "process": _process(definition),
        "mounts": _mounts(definition, etc_dir),
        "linux": {
            "cgroupsPath": cgroup_path,
            "resources": resources(host, devices),
            "namespaces": _namespaces(definition, namespace_path),
            "devices": [{key: value for key, value in device.items() if key != "access"} for device in devices],
            "sysctl": (dict(defaults.SYSCTLS) if has_own_network else {}) | (host.Sysctls or {}),
            "maskedPaths": [] if host.Privileged else list(host.MaskedPaths or ()),
            "readonlyPaths": [] if host.Privileged else list(host.ReadonlyPaths or ()),
            "rootfsPropagation": _root_propagation(definition.mounts),
        },
        "annotations": dict(host.Annotations or {}),
    }
    if host.UTSMode != "host":
        document["hostname"] = host_name(definition)
        if config.Domainname:
            document["domainname"] = config.Domainname
    return document


def seccomp_of(definition: Definition) -> str | None:
    """The filter of container and execs, as text that is the same object for the same capabilities."""
    host = definition.host
    return seccomp_text(
        read_security_options(host.SecurityOpt), _capabilities(definition), privileged=host.Privileged
    )


def build_exec_process(container: Container, record: ExecRecord) -> dict[str, Any]:
    """The OCI ``process`` of an exec: the container's own, with what the exec overrides."""
    definition = container.definition
    process = _process(definition)
    process["args"] = record.args
    process["env"] = merge_environment(environment(definition, tty=record.tty), record.env)
    process["cwd"] = record.working_dir or process["cwd"]
    process["terminal"] = record.tty
    if record.user:
        process["user"]["username"] = record.user
    if record.privileged:
        process["capabilities"] = _capability_sets(defaults.ALL_CAPABILITIES)
    return process


def environment(definition: Definition, *, tty: bool) -> list[str]:
    """What the engine sets, overridden by what image and request set. HOME is the runtime's to find."""
    base = [f"PATH={defaults.PATH}", f"HOSTNAME={host_name(definition)}"]
    if tty:
        base.append("TERM=xterm")
    return merge_environment(base, definition.config.Env or ())


def merge_environment(base: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """Overrides win; a name without ``=`` removes the variable (Docker's ``-e NAME`` of an unset one)."""
    merged = {variable.partition("=")[0]: variable for variable in base}
    for variable in overrides:
        name, separator, _ = variable.partition("=")
        if separator:
            merged[name] = variable
        else:
            merged.pop(name, None)
    return list(merged.values())


def _process(definition: Definition) -> dict[str, Any]:
    config, host = definition.config, definition.host
    process: dict[str, Any] = {
        "terminal": config.Tty,
        # Always by name, so that even root gets the groups that the image's /etc/group puts root into.
        "user": {"username": config.User or "0", "additionalGroups": list(host.GroupAdd or ())},
        "args": definition.args,
        "env": environment(definition, tty=config.Tty),
        "cwd": config.WorkingDir or "/",
        "capabilities": _capability_sets(_capabilities(definition)),
        "noNewPrivileges": read_security_options(host.SecurityOpt).no_new_privileges,
        "oomScoreAdj": host.OomScoreAdj,
    }
    if host.Ulimits:
        process["rlimits"] = [
            {"type": f"RLIMIT_{limit.Name.upper()}", "soft": limit.Soft, "hard": limit.Hard}
            for limit in host.Ulimits
        ]
    return process


def _capabilities(definition: Definition) -> tuple[str, ...]:
    host = definition.host
    return defaults.capabilities(host.CapAdd, host.CapDrop, privileged=host.Privileged)


def _capability_sets(names: Sequence[str]) -> dict[str, list[str]]:
    """Inheritable and ambient stay empty (CVE-2022-24769)."""
    return {kind: list(names) for kind in ("bounding", "effective", "permitted")}


def _namespaces(definition: Definition, path_of: NamespacePath) -> list[dict[str, str]]:
    host = definition.host
    result = [{"type": "mount"}]
    for kind, file, mode in (
        ("network", "net", host.NetworkMode),
        ("ipc", "ipc", host.IpcMode),
        ("pid", "pid", host.PidMode),
        ("uts", "uts", host.UTSMode),
        ("cgroup", "cgroup", host.CgroupnsMode or "host"),
    ):
        if mode.startswith("container:"):
            result.append({"type": kind, "path": path_of(mode.removeprefix("container:"), file)})
        elif mode != "host":
            result.append({"type": kind})
    return result


def _mounts(definition: Definition, etc_dir: Path) -> list[dict[str, Any]]:
    """Docker's mounts, then the user's, parents before children. A mount of the user's hides the default one."""
    host = definition.host
    targets = {spec.target for spec in definition.mounts}
    has_own_dev = "/dev" in targets
    system = [
        mount
        for mount in defaults.default_mounts(
            shm_bytes=host.ShmSize or defaults.SHM_BYTES, privileged=host.Privileged
        )
        if mount["destination"] not in targets
        and not (has_own_dev and str(mount["destination"]).startswith("/dev/"))
        and not (mount["destination"] == "/dev/shm" and host.IpcMode == "none")
    ]
    if host.ReadonlyRootfs:
        for mount in system:
            if mount["destination"] not in _NOT_READ_ONLY:
                mount["options"] = [*mount["options"], "ro"]
    for mount in system:
        _share_ipc(mount, host.IpcMode)
    files = [
        _bind(str(etc_dir / name), f"/etc/{name}", ["rbind", "rprivate"] + ["ro"] * host.ReadonlyRootfs)
        for name in ("resolv.conf", "hostname", "hosts")
        if f"/etc/{name}" not in targets
    ]
    return [*system, *files, *(_user_mount(spec) for spec in definition.mounts)]


def _share_ipc(mount: dict[str, Any], mode: str) -> None:
    """The host's IPC namespace comes with the host's /dev/shm; its queues are any mqueue's."""
    if mode == "host" and mount["destination"] == "/dev/shm":
        mount.update(_bind(mount["destination"], mount["destination"], ["rbind", "rprivate"]))


def _user_mount(spec: MountSpec) -> dict[str, Any]:
    if spec.type == "tmpfs":
        return {"destination": spec.target, "type": "tmpfs", "source": "tmpfs", "options": list(spec.options)}
    options = ["rbind" if spec.recursive else "bind", spec.propagation or "rprivate"]
    if not spec.writable:
        options.append("rro" if spec.recursive else "ro")
    return _bind(spec.source, spec.target, options)


def _bind(source: str, target: str, options: list[str]) -> dict[str, Any]:
    return {"destination": target, "type": "bind", "source": source, "options": options}


def _root_propagation(mounts: Sequence[MountSpec]) -> str:
    """A mount that is to propagate needs a root that lets it."""
    modes = {spec.propagation for spec in mounts}
    if modes & {"shared", "rshared"}:
        return "rshared"
    return "rslave" if modes & {"slave", "rslave"} else ""


def _devices(definition: Definition) -> list[dict[str, Any]]:
    """A privileged container gets every node of the host's /dev, but for terminals and what is mounted there."""
    host = definition.host
    if host.DeviceRequests:
        raise InvalidArgument('could not select device driver "" with capabilities: no device drivers are offered')
    found = find_devices(host.Devices or ())
    if host.Privileged:
        taken = {device["path"] for device in found}
        everything = find_devices([DeviceMapping("/dev", "/dev", "rwm")])
        found += [
            device for device in everything if device["path"] not in taken and not _is_private(device["path"])
        ]
    return found


def _is_private(path: str) -> bool:
    return path.startswith(("/dev/pts/", "/dev/shm/", "/dev/mqueue/", "/dev/fd/")) or path in defaults.OWN_DEVICES

"""What a request mounts: ``Binds``, ``Mounts``, ``Tmpfs``, ``VolumesFrom`` and ``Volumes`` as one list.

Reading and checking only: which directories must be made is said in the list, and made by the caller. The
rules are those of ``docker run -v`` and ``--mount`` (https://docs.docker.com/engine/storage/), the words of
its errors Docker's, since people search for them.
"""

from __future__ import annotations

import posixpath
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rundlet.errors import InvalidArgument
from rundlet.wire.documents import HostConfig, Mount, MountPoint

__all__ = ["MountSpec", "plan_mounts"]

PROPAGATIONS = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_IGNORED_MODES = frozenset({"z", "Z", "cached", "delegated", "consistent", "nocopy"})
"""SELinux labels (there is no SELinux support), Docker Desktop's hints, and copy-up, which is not done."""
_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


@dataclass(slots=True)
class MountSpec:
    """One mount, resolved. Stored with the container, so that a restart mounts the very same."""

    type: str
    """``bind``, ``volume`` or ``tmpfs``."""
    target: str
    source: str = ""
    """Host path. A volume's is filled in when the volume exists."""
    name: str = ""
    """The volume's."""
    anonymous: bool = False
    """The volume was made for this container alone: ``rm -v`` removes it."""
    mode: str = ""
    writable: bool = True
    propagation: str = ""
    recursive: bool = True
    create_source: bool = False
    options: list[str] = field(default_factory=list)
    """Of a tmpfs."""

    def document(self) -> MountPoint:
        return MountPoint(
            Type=self.type,
            Name=self.name,
            Source=self.source,
            Destination=self.target,
            Driver="local" if self.type == "volume" else "",
            Mode=self.mode,
            RW=self.writable,
            Propagation=self.propagation,
        )


def plan_mounts(
    host: HostConfig,
    volumes: Iterable[str],
    mounts_of: Callable[[str], Sequence[MountSpec]],
) -> list[MountSpec]:
    """Every mount of a container, parents before children.

    ``volumes`` are the paths that image and request declare as volumes: whatever is not covered otherwise gets
    an anonymous one. ``mounts_of`` finds the mounts of a container that ``VolumesFrom`` names (raises
    ContainerNotFound). InvalidArgument for a malformed or doubled mount. As in Docker the order of precedence is
    VolumesFrom < Binds, Mounts, Tmpfs; and a path asked for twice by the latter is an error.
    """
    inherited = {spec.target: spec for ref in host.VolumesFrom or () for spec in _from_container(ref, mounts_of)}
    own: dict[str, MountSpec] = {}
    for spec in (
        *(_read_bind(bind) for bind in host.Binds or ()),
        *(_read_mount(mount) for mount in host.Mounts or ()),
        *(_read_tmpfs(path, options) for path, options in (host.Tmpfs or {}).items()),
    ):
        if spec.target in own:
            raise InvalidArgument(f"Duplicate mount point: {spec.target}")
        own[spec.target] = spec
    planned = inherited | own
    for path in volumes:
        target = _clean_target(path, f"invalid volume specification: '{path}'")
        if target not in planned:
            planned[target] = _anonymous_volume(target)
    return sorted(planned.values(), key=lambda spec: spec.target.count("/"))


def _read_bind(text: str) -> MountSpec:
    """``SOURCE:TARGET[:MODE]`` or ``TARGET``; a source that is no absolute path is a volume's name."""
    wrong = f"invalid volume specification: '{text}'"
    parts = text.split(":")
    if len(parts) == 1:
        return _anonymous_volume(_clean_target(parts[0], wrong))
    if len(parts) > 3 or not parts[0]:
        raise InvalidArgument(wrong)
    source, target, mode = parts[0], _clean_target(parts[1], wrong), ":".join(parts[2:])
    if "\0" in source:
        raise InvalidArgument(f"{wrong}: it contains a NUL")
    writable, propagation = _read_mode(mode, wrong)
    if source.startswith("/"):
        return MountSpec(
            type="bind",
            source=posixpath.normpath(source),
            target=target,
            mode=mode,
            writable=writable,
            propagation=propagation or "rprivate",
            create_source=True,
        )
    if propagation:
        raise InvalidArgument(f"{wrong}: a volume takes no propagation mode")
    return _named_volume(source, target, mode=mode or "z", writable=writable)


def _read_mode(mode: str, wrong: str) -> tuple[bool, str]:
    writable, propagation = True, ""
    for word in filter(None, mode.split(",")):
        if word in ("ro", "rw"):
            writable = word == "rw"
        elif word in PROPAGATIONS:
            propagation = word
        elif word not in _IGNORED_MODES:
            raise InvalidArgument(f"{wrong}: invalid mode: {mode}")
    return writable, propagation


def _read_mount(mount: Mount) -> MountSpec:
    wrong = f'invalid mount config for type "{mount.Type}"'
    if not mount.Target:
        raise InvalidArgument(f"{wrong}: field Target must not be empty")
    target = _clean_target(mount.Target, wrong)
    if mount.Type == "bind":
        return _read_bind_mount(mount, target, wrong)
    if mount.Type == "volume":
        options = mount.VolumeOptions
        if options and options.Subpath:
            raise InvalidArgument(f"{wrong}: this version does not offer VolumeOptions.Subpath")
        if options and options.DriverConfig and options.DriverConfig.Name not in ("", "local"):
            raise InvalidArgument(f"{wrong}: no volume driver named {options.DriverConfig.Name}")
        if not mount.Source:
            return replace(_anonymous_volume(target), writable=not mount.ReadOnly)
        return _named_volume(mount.Source, target, mode="z", writable=not mount.ReadOnly)
    if mount.Type == "tmpfs":
        if mount.Source:
            raise InvalidArgument(f"{wrong}: field Source must not be specified")
        return _read_tmpfs_mount(mount, target)
    raise InvalidArgument(f'mount type unknown: "{mount.Type}"')


def _read_bind_mount(mount: Mount, target: str, wrong: str) -> MountSpec:
    if not mount.Source.startswith("/") or "\0" in mount.Source:
        raise InvalidArgument(f"{wrong}: invalid mount path: '{mount.Source}' mount path must be absolute")
    options = mount.BindOptions
    propagation = options.Propagation if options else ""
    if propagation and propagation not in PROPAGATIONS:
        raise InvalidArgument(f"{wrong}: invalid propagation: {propagation}")
    create = bool(options and options.CreateMountpoint)
    if not create and not Path(mount.Source).exists():
        raise InvalidArgument(f"{wrong}: bind source path does not exist: {mount.Source}")
    return MountSpec(
        type="bind",
        source=posixpath.normpath(mount.Source),
        target=target,
        writable=not mount.ReadOnly,
        propagation=propagation or "rprivate",
        recursive=not (options and options.NonRecursive),
        create_source=create,
    )


def _read_tmpfs(path: str, options: str) -> MountSpec:
    """``--tmpfs PATH[:OPTIONS]``. Docker's defaults come first, so that a given option overrides them."""
    target = _clean_target(path, f"invalid tmpfs path '{path}'")
    words = ["noexec", "nosuid", "nodev", *filter(None, options.split(","))]
    return MountSpec(type="tmpfs", target=target, options=words, writable="ro" not in words)


def _read_tmpfs_mount(mount: Mount, target: str) -> MountSpec:
    words = ["noexec", "nosuid", "nodev"]
    if options := mount.TmpfsOptions:
        if options.SizeBytes:
            words.append(f"size={options.SizeBytes}")
        if options.Mode:
            words.append(f"mode={options.Mode:o}")
        words += ["=".join(pair) for pair in options.Options or ()]
    if mount.ReadOnly:
        words.append("ro")
    return MountSpec(type="tmpfs", target=target, options=words, writable=not mount.ReadOnly)


def _from_container(ref: str, mounts_of: Callable[[str], Sequence[MountSpec]]) -> list[MountSpec]:
    container, _, mode = ref.partition(":")
    if mode not in ("", "ro", "rw", "z", "Z"):
        raise InvalidArgument(f"invalid mode for volumes-from: {mode}")
    return [
        replace(spec, writable=spec.writable and mode != "ro", create_source=False)
        for spec in mounts_of(container)
        if spec.type != "tmpfs"
    ]


def _anonymous_volume(target: str) -> MountSpec:
    return MountSpec(type="volume", target=target, name=secrets.token_hex(32), anonymous=True)


def _named_volume(name: str, target: str, *, mode: str, writable: bool) -> MountSpec:
    if not _VOLUME_NAME.fullmatch(name):
        raise InvalidArgument(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
    return MountSpec(type="volume", target=target, name=name, mode=mode, writable=writable)


def _clean_target(path: str, wrong: str) -> str:
    if not path.startswith("/"):
        raise InvalidArgument(f"{wrong}: invalid mount path: '{path}' mount path must be absolute")
    if "\0" in path:
        raise InvalidArgument(f"{wrong}: invalid mount path: it contains a NUL")
    clean = posixpath.normpath("/" + path.lstrip("/"))
    if clean == "/":
        raise InvalidArgument(f"{wrong}: invalid specification: destination can't be '/'")
    return clean

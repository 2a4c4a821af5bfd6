"""A container as ``docker inspect`` shows it: the record in the API's words."""

from __future__ import annotations

from rundlet.engine.config import EngineConfig
from rundlet.engine.container import Container, Definition, State, Status
from rundlet.engine.creation import layer_paths
from rundlet.engine.logs.driver import log_path
from rundlet.engine.registry import Entry
from rundlet.engine.tasks import Tasks
from rundlet.engine.words import format_time
from rundlet.errors import ImageNotFound
from rundlet.images import ImageStore, Snapshots
from rundlet.wire.documents import (
    ContainerInspect,
    ContainerState,
    EndpointSettings,
    GraphDriver,
    NetworkSettings,
    PortBinding,
)

__all__ = ["Inspection", "networks_of", "ports_of"]


class Inspection:
    def __init__(self, config: EngineConfig, images: ImageStore, snapshots: Snapshots, tasks: Tasks) -> None:
        self._config = config
        self._images = images
        self._snapshots = snapshots
        self._tasks = tasks

    async def inspect(self, entry: Entry, *, size: bool) -> ContainerInspect:
        document = self._document(entry)
        if size:
            document.SizeRw, document.SizeRootFs = await self.sizes(entry.container.definition)
        return document

    async def sizes(self, definition: Definition) -> tuple[int, int]:
        """Bytes that the container has written, and those together with its image's."""
        return await self._tasks.in_thread(self._sizes, definition)

    def _sizes(self, definition: Definition) -> tuple[int, int]:
        own = self._snapshots.size(definition.id)
        try:
            return own, own + self._images.resolve(definition.image_id).size
        except ImageNotFound:  # removed by force: its layers stay, its size is not known any more
            return own, own

    def _document(self, entry: Entry) -> ContainerInspect:
        container = entry.container
        definition, config = container.definition, self._config
        etc_dir = config.etc_dir(container.id)
        upper = self._snapshots.get(container.id)
        return ContainerInspect(
            Id=definition.id,
            Created=format_time(definition.created_ns),
            Path=definition.args[0],
            Args=definition.args[1:],
            State=_state(container.state),
            Image=definition.image_id,
            ResolvConfPath=str(etc_dir / "resolv.conf"),
            HostnamePath=str(etc_dir / "hostname"),
            HostsPath=str(etc_dir / "hosts"),
            LogPath=log_path(definition.log.driver, config.container_dir(container.id)),
            Name=f"/{definition.name}",
            RestartCount=container.state.restart_count,
            Driver="overlay2",
            Platform=definition.platform,
            MountLabel="",
            ProcessLabel="",
            AppArmorProfile="",
            ExecIDs=sorted(entry.exec_ids) or None,
            HostConfig=definition.host,
            GraphDriver=GraphDriver(
                "overlay2",
                {
                    "LowerDir": ":".join(layer_paths(definition, config)),
                    "UpperDir": str(upper.upper),
                    "WorkDir": str(upper.work),
                },
            ),
            Mounts=[spec.document() for spec in definition.mounts if spec.type != "tmpfs"],
            Config=definition.config,
            NetworkSettings=_network_settings(container),
        )


def _state(state: State) -> ContainerState:
    status = state.visible
    return ContainerState(
        Status=status.value,
        Running=state.is_up,
        Paused=status is Status.PAUSED,
        Restarting=status is Status.RESTARTING,
        OOMKilled=state.oom_killed,
        Dead=status is Status.DEAD,
        Pid=state.pid,
        ExitCode=state.exit_code,
        Error=state.error,
        StartedAt=format_time(state.started_ns),
        FinishedAt=format_time(state.finished_ns),
    )


def networks_of(definition: Definition) -> dict[str, EndpointSettings]:
    """The networks by name, with what the request said about them. There are no addresses in this version."""
    mode = definition.host.NetworkMode
    if mode.startswith("container:"):
        return {}
    name = "bridge" if mode in ("", "default") else mode
    endpoints = definition.networking.EndpointsConfig or {}
    return {name: endpoints.get(name) or endpoints.get(mode) or EndpointSettings()}


def ports_of(definition: Definition) -> list[str]:
    """``80/tcp``: what image and request expose, and what the request publishes."""
    asked = [*(definition.config.ExposedPorts or ()), *(definition.host.PortBindings or ())]
    return list(dict.fromkeys(port if "/" in port else f"{port}/tcp" for port in asked))


def _network_settings(container: Container) -> NetworkSettings:
    definition = container.definition
    ports: dict[str, list[PortBinding] | None] = {}
    if container.state.is_up:
        ports = dict.fromkeys(ports_of(definition), None)  # null: nothing is published in this version
    return NetworkSettings(
        SandboxID=container.id if container.state.is_up else "", Ports=ports, Networks=networks_of(definition)
    )

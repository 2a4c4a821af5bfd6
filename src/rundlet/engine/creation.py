"""Making a container: request and image become a record, directories and a commit, in an order that a kill
cannot break.

    1. check and merge           nothing has happened
    2. take name and image       in memory
    3. make directories          upper, work, volumes, missing bind sources
    4. commit                    the container exists
    5. register                  everyone sees it

What a kill between 3 and 4 leaves, start-up sweeps: no record names it.
"""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
import time
from collections.abc import Sequence

from rundlet.engine.config import EngineConfig
from rundlet.engine.container import Container, Definition, LogSettings, State
from rundlet.engine.core import Core
from rundlet.engine.logs.driver import check_driver
from rundlet.engine.merge import arguments, check_request, complete_host, merge_config, warnings_about
from rundlet.engine.mounts import MountSpec, plan_mounts
from rundlet.engine.output import Output
from rundlet.engine.platforms import check_platform, platform_warnings
from rundlet.engine.registry import Entry
from rundlet.engine.volumes import Volume
from rundlet.errors import ContainerNotFound, ImageNotFound, InvalidArgument
from rundlet.images import Image
from rundlet.wire.documents import ContainerCreateRequest, LogConfig

__all__ = ["Creation", "layer_paths"]

_REMOVAL_POLL_S = 0.01
"""Between looks at an image that is being removed: rare, and over soon."""


class Creation:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def create(
        self, request: ContainerCreateRequest, name: str | None, platform: str
    ) -> tuple[str, list[str]]:
        container_id = secrets.token_hex(32)
        name = self._core.registry.reserve_name(name, container_id)
        try:
            image, layers = await self._take_image(request.Image, container_id)
            try:
                check_platform(image, platform)
                warnings = await self._make(request, name, container_id, image, layers)
                return container_id, [*platform_warnings(image, platform), *warnings]
            except BaseException:
                self._core.uses.release(image.id, container_id)
                raise
        except BaseException:
            self._core.registry.release_name(name)
            raise

    async def _take_image(self, name: str, container_id: str) -> tuple[Image, list[str]]:
        """The image and its layers, kept from being removed. Once more if it is being removed just now."""
        while True:
            image, layers = await self._core.tasks.in_thread(self._find_image, name)
            if self._core.uses.take(image.id, container_id):
                return image, layers
            await asyncio.sleep(_REMOVAL_POLL_S)

    def _find_image(self, name: str) -> tuple[Image, list[str]]:
        if not name:
            raise ImageNotFound(name)
        image = self._core.images.resolve(name)
        root = self._core.config.data_root
        return image, [os.path.relpath(path, root) for path in self._core.images.lower_dirs(image)]

    async def _make(
        self, request: ContainerCreateRequest, name: str, container_id: str, image: Image, layers: list[str]
    ) -> list[str]:
        """The warnings."""
        container = self._record(request, name, container_id, image, layers)
        mounts = container.definition.mounts
        new_volumes = self._core.volumes.missing(mounts, container.definition.created_ns)
        try:
            await self._core.tasks.in_thread(self._make_directories, container_id, mounts)
            await self._core.store.add_container(container, new_volumes)
        except BaseException:
            await self._core.tasks.in_thread(self._unmake, container_id, new_volumes)
            raise
        self._core.volumes.add(new_volumes)
        self._core.registry.add(Entry(container, Output(name, self._core.tasks)))
        self._core.events.emit_container("create", container)
        definition = container.definition
        return warnings_about(definition.config, definition.host)

    def _record(
        self, request: ContainerCreateRequest, name: str, container_id: str, image: Image, layers: list[str]
    ) -> Container:
        config = merge_config(request, image.defaults)
        host = complete_host(request.HostConfig, private_cgroups=False)
        check_request(config, host)
        log = self._log_settings(host.LogConfig)
        host.LogConfig = LogConfig(log.driver, host.LogConfig.Config or {})
        if not config.Hostname and host.UTSMode != "host":
            config.Hostname = platform.node() if host.NetworkMode == "host" else container_id[:12]
        definition = Definition(
            id=container_id,
            name=name,
            created_ns=time.time_ns(),
            image_id=image.id,
            image_layers=layers,
            config=config,
            host=host,
            networking=request.NetworkingConfig,
            args=arguments(config),
            mounts=plan_mounts(host, config.Volumes or (), self._mounts_of),
            log=log,
        )
        return Container(definition, State())

    def _log_settings(self, asked: LogConfig) -> LogSettings:
        """What the request leaves open is as the engine has it for its own driver. InvalidArgument."""
        config = self._core.config
        driver = asked.Type or config.log_driver
        inherited = config.log_options if driver == config.log_driver else {}
        settings = LogSettings(driver, {**inherited, **(asked.Config or {})})
        check_driver(settings.driver, settings.options)
        return settings

    def _mounts_of(self, ref: str) -> Sequence[MountSpec]:
        try:
            return self._core.registry.resolve(ref).container.definition.mounts
        except ContainerNotFound as error:
            # A 404 of create means to clients that the image is missing: they would pull it.
            raise InvalidArgument(str(error)) from error

    def _make_directories(self, container_id: str, mounts: Sequence[MountSpec]) -> None:
        self._core.snapshots.create(container_id)
        self._core.volumes.make_directories(mounts)

    def _unmake(self, container_id: str, volumes: Sequence[Volume]) -> None:
        """A named volume's directory stays: another create may be about to commit it. If not, start-up sweeps."""
        self._core.snapshots.remove(container_id)
        for volume in volumes:
            if volume.anonymous:
                self._core.volumes.remove_directory(volume.name)


def layer_paths(definition: Definition, config: EngineConfig) -> list[str]:
    """Lower directories for the overlay, topmost first."""
    return [str(config.data_root / layer) for layer in definition.image_layers]

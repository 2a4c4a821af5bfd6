"""Records of containers, as plain as they can be."""

from __future__ import annotations

from rundlet.engine.container import Container, Definition, LogSettings, State, Status
from rundlet.wire.documents import ContainerConfig, HostConfig, NetworkingConfig


def container(status: Status = Status.CREATED) -> Container:
    definition = Definition(
        id="ab" * 32,
        name="web",
        created_ns=1,
        image_id="sha256:00",
        image_layers=[],
        config=ContainerConfig(),
        host=HostConfig(),
        networking=NetworkingConfig(),
        args=["true"],
        mounts=[],
        log=LogSettings(),
    )
    return Container(definition, State(status=status))

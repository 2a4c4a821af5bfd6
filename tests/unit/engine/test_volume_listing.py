"""The volumes that containers made are found, by filter and by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from rundlet.errors import NotFound
from rundlet.wire.documents import HostConfig
from tests.fakes.engine import request, running_engine


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, {"cache", "kept", "nobody's"}),
        ({"name": ["^ca", "pt$"]}, {"cache", "kept"}),
        ({"dangling": ["true"]}, {"kept"}),
        ({"dangling": ["0"]}, {"cache", "nobody's"}),
        ({"driver": ["local"]}, {"cache", "kept", "nobody's"}),
        ({"driver": ["nfs"]}, set()),
        ({"label": ["com.docker.volume.anonymous"]}, {"nobody's"}),
        ({"label": ["mine"]}, set()),
    ],
)
async def test_filters(tmp_path: Path, filters: dict[str, list[str]], names: set[str]) -> None:
    async with running_engine(tmp_path) as engine:
        await engine.containers.create(request("x", host=HostConfig(Binds=["cache:/a", "/anonymous"])))
        gone, _ = await engine.containers.create(request("x", host=HostConfig(Binds=["kept:/a"])))
        await engine.containers.remove(gone)
        found = engine.volumes.list(filters)
        assert {"nobody's" if len(volume["Name"]) == 64 else volume["Name"] for volume in found} == names
        assert all(engine.volumes.inspect(volume["Name"]) == volume for volume in found)
        assert all(Path(volume["Mountpoint"]).is_dir() for volume in found)


async def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        with pytest.raises(NotFound, match="get nope: no such volume"):
            engine.volumes.inspect("nope")


async def test_a_network_shows_who_runs_there(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        container, _ = await engine.containers.create(request("x", host=HostConfig(NetworkMode="none")), "web")
        assert engine.networks.inspect("none")["Containers"] == {}
        await engine.containers.start(container)
        assert engine.networks.inspect("none")["Containers"][container]["Name"] == "web"
        assert engine.networks.inspect("bridge")["Containers"] == {}

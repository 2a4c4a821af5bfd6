"""``-v``, ``--mount``, ``--tmpfs``, ``--volumes-from`` and ``VOLUME`` become one list, or a clear error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rundlet.engine.mounts import MountSpec, plan_mounts
from rundlet.engine.volumes import Volume, Volumes
from rundlet.errors import InvalidArgument
from rundlet.wire.documents import BindOptions, HostConfig, Mount, TmpfsOptions, VolumeOptions


def nobody(ref: str) -> list[MountSpec]:
    raise AssertionError(ref)


def plan(*volumes: str, **host: Any) -> list[MountSpec]:
    return plan_mounts(HostConfig(**host), volumes, nobody)


@pytest.mark.parametrize(
    ("bind", "expected"),
    [
        ("/a:/b", {"type": "bind", "source": "/a", "target": "/b", "writable": True, "propagation": "rprivate"}),
        ("/a/:/b/../c/", {"source": "/a", "target": "/c"}),
        ("/a:/b:ro", {"writable": False, "mode": "ro"}),
        ("/a:/b:ro,rshared,z", {"writable": False, "propagation": "rshared"}),
        ("cache:/b", {"type": "volume", "name": "cache", "anonymous": False, "propagation": ""}),
    ],
)
def test_a_bind_is_read(bind: str, expected: dict[str, Any]) -> None:
    [spec] = plan(Binds=[bind])
    assert {name: getattr(spec, name) for name in expected} == expected


def test_a_missing_source_is_made_for_a_bind_and_refused_for_a_mount(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    [spec] = plan(Binds=[f"{missing}:/x"])
    assert spec.create_source
    with pytest.raises(InvalidArgument, match=f"bind source path does not exist: {missing}"):
        plan(Mounts=[Mount("bind", missing, "/x")])
    [spec] = plan(Mounts=[Mount("bind", missing, "/x", BindOptions=BindOptions(CreateMountpoint=True))])
    assert spec.create_source


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ({"Binds": ["/a:b"]}, "mount path must be absolute"),
        ({"Binds": ["/a:/"]}, "destination can't be '/'"),
        ({"Binds": ["/a:/b:wat"]}, "invalid mode: wat"),
        ({"Binds": ["/a:/b:ro:x"]}, "invalid volume specification: '/a:/b:ro:x'"),
        ({"Binds": ["../a:/b"]}, "includes invalid characters for a local volume name"),
        ({"Binds": ["/a:/x", "/b:/x/"]}, "Duplicate mount point: /x"),
        ({"Binds": ["/a\0:/b"]}, "it contains a NUL"),
        ({"Mounts": [Mount("bind", "/a\0", "/b")]}, "invalid mount path"),
        ({"Mounts": [Mount("what", "", "/x")]}, 'mount type unknown: "what"'),
        ({"Mounts": [Mount("volume", "v", "")]}, "field Target must not be empty"),
        ({"Mounts": [Mount("tmpfs", "src", "/x")]}, "field Source must not be specified"),
        ({"Mounts": [Mount("volume", "v", "/x", VolumeOptions=VolumeOptions(Subpath="s"))]}, "Subpath"),
        ({"Tmpfs": {"relative": ""}}, "mount path must be absolute"),
    ],
)
def test_nonsense_is_refused(host: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        plan(**host)


def test_an_images_volume_is_anonymous_unless_something_covers_it() -> None:
    specs = {spec.target: spec for spec in plan("/data", "/logs", Binds=["/host:/data"])}
    assert specs["/data"].type == "bind"
    assert specs["/logs"].anonymous
    assert len(specs["/logs"].name) == 64


def test_parents_are_mounted_before_their_children() -> None:
    targets = [spec.target for spec in plan("/a/b/c", "/a", Binds=["/x:/a/b"])]
    assert targets == ["/a", "/a/b", "/a/b/c"]


def test_tmpfs_has_dockers_options_and_the_given_ones_after_them() -> None:
    [spec] = plan(Tmpfs={"/t": "size=5m,exec"})
    assert spec.options == ["noexec", "nosuid", "nodev", "size=5m", "exec"]
    [spec] = plan(Mounts=[Mount("tmpfs", "", "/t", TmpfsOptions=TmpfsOptions(SizeBytes=7, Mode=0o1700))])
    assert spec.options[-2:] == ["size=7", "mode=1700"]


def test_volumes_from_takes_over_and_yields_to_own_mounts() -> None:
    other = [
        MountSpec("volume", "/data", name="v", source="/vols/v"),
        MountSpec("bind", "/conf", "/etc/x"),
        MountSpec("tmpfs", "/t"),
    ]
    host = HostConfig(VolumesFrom=["other:ro"], Binds=["/mine:/conf"])
    specs = {spec.target: spec for spec in plan_mounts(host, (), lambda ref: other)}
    assert sorted(specs) == ["/conf", "/data"]
    assert specs["/conf"].source == "/mine"
    assert not specs["/data"].writable


def test_volumes_are_made_once_and_swept_when_nobody_committed_them(tmp_path: Path) -> None:
    volumes = Volumes(tmp_path / "volumes")
    specs = plan("/data", Binds=["cache:/c"])
    missing = volumes.missing(specs, 5)
    volumes.make_directories(specs)
    volumes.add(missing)
    assert volumes.missing(specs, 6) == []
    assert all(Path(spec.source).is_dir() for spec in specs)
    survivor = Volumes(tmp_path / "volumes")
    survivor.load([Volume("cache", 5)])
    survivor.sweep()
    assert [path.name for path in (tmp_path / "volumes").iterdir()] == ["cache"]

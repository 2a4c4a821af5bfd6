"""A create request, its image and the defaults become one configuration, by Docker's rules."""

from __future__ import annotations

from typing import Any

import pytest

from rundlet.engine.merge import arguments, check_request, complete_host, merge_config, warnings_about
from rundlet.errors import InvalidArgument
from rundlet.wire.documents import (
    ContainerConfig,
    ContainerCreateRequest,
    DeviceRequest,
    HealthConfig,
    HostConfig,
    LogConfig,
    RestartPolicy,
)

IMAGE: dict[str, Any] = {
    "Entrypoint": ["/entry"],
    "Cmd": ["default"],
    "Env": ["PATH=/bin", "A=image"],
    "Labels": {"a": "image", "b": "image"},
    "User": "worker",
    "WorkingDir": "/srv",
    "Volumes": {"/data": {}},
    "ExposedPorts": {"80/tcp": {}},
    "StopSignal": "INT",
}


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "expected"),
    [
        (None, None, ["/entry", "default"]),
        (None, ["mine"], ["/entry", "mine"]),
        (["/mine"], None, ["/mine"]),
        (["/mine"], ["x"], ["/mine", "x"]),
        ([], None, ["default"]),
        ([], ["mine"], ["mine"]),
        ([""], ["mine"], ["mine"]),
    ],
)
def test_entrypoint_and_command_as_docker_merges_them(
    entrypoint: list[str] | None, cmd: list[str] | None, expected: list[str]
) -> None:
    assert arguments(merge_config(ContainerCreateRequest(Entrypoint=entrypoint, Cmd=cmd), IMAGE)) == expected


def test_an_emptied_entrypoint_also_drops_the_images_command() -> None:
    with pytest.raises(InvalidArgument, match="no command specified"):
        arguments(merge_config(ContainerCreateRequest(Entrypoint=[""]), IMAGE))


def test_an_image_without_a_command_needs_one() -> None:
    with pytest.raises(InvalidArgument, match="no command specified"):
        arguments(merge_config(ContainerCreateRequest(), {}))


def test_the_request_wins_and_the_rest_is_inherited() -> None:
    request = ContainerCreateRequest(Env=["A=mine", "B=mine"], Labels={"a": "mine"}, Volumes={"/more": {}})
    config = merge_config(request, IMAGE)
    assert config.Env == ["A=mine", "B=mine", "PATH=/bin"]
    assert config.Labels == {"a": "mine", "b": "image"}
    assert sorted(config.Volumes or {}) == ["/data", "/more"]
    assert (config.User, config.WorkingDir, config.StopSignal) == ("worker", "/srv", "INT")
    assert config.ExposedPorts == {"80/tcp": {}}


def test_a_healthcheck_is_merged_field_by_field() -> None:
    image = {"Healthcheck": {"Test": ["CMD", "check"], "Interval": 5}}
    config = merge_config(ContainerCreateRequest(Healthcheck=HealthConfig(Interval=7)), image)
    assert config.Healthcheck == HealthConfig(Test=["CMD", "check"], Interval=7)


@pytest.mark.parametrize(
    ("config", "host", "words"),
    [
        ({"WorkingDir": "relative"}, {}, "needs to be an absolute path"),
        ({"StopSignal": "NOPE"}, {}, "Invalid signal: NOPE"),
        ({"Env": ["=x"]}, {}, "invalid environment variable"),
        ({"Hostname": "a/b"}, {}, "invalid hostname"),
        ({}, {"Memory": 1024}, "Minimum memory limit allowed is 6MB"),
        ({}, {"NanoCpus": 10**15}, "Range of CPUs is from 0.01"),
        ({}, {"NanoCpus": 10**9, "CpuQuota": 5000}, "Conflicting options"),
        ({}, {"MemorySwap": 10**8}, "You should always set the Memory limit"),
        ({}, {"CapAdd": ["NOPE"]}, 'unknown capability: "NOPE"'),
        ({}, {"SecurityOpt": ["nope=1"]}, "invalid --security-opt"),
        ({}, {"SecurityOpt": ["seccomp={"]}, "Decoding seccomp profile failed"),
        ({}, {"RestartPolicy": RestartPolicy("sometimes")}, "unknown policy 'sometimes'"),
        ({}, {"RestartPolicy": RestartPolicy("always", 3)}, "only be used with 'on-failure'"),
        ({}, {"RestartPolicy": RestartPolicy("always"), "AutoRemove": True}, "can't create 'AutoRemove'"),
        ({}, {"ExtraHosts": ["nocolon"]}, "bad format for add-host"),
        ({}, {"ExtraHosts": ["a:300.1.1.1"]}, "invalid IP address in add-host"),
        ({}, {"PidMode": "nope"}, "invalid PID mode"),
        ({}, {"OomScoreAdj": 2000}, "Invalid value 2000"),
        ({}, {"DeviceRequests": [DeviceRequest("", -1, None, [["gpu"]])]}, r"with capabilities: \[\[gpu\]\]"),
        ({}, {"Runtime": "nope"}, "unknown or invalid runtime name: nope"),
        ({}, {"DeviceCgroupRules": ["x 1:2 rw"]}, "invalid device cgroup rule format"),
        ({}, {"NetworkMode": "host", "Sysctls": {"net.ipv4.ip_forward": "1"}}, "not allowed in host network"),
    ],
)
def test_nonsense_is_refused_in_words_that_name_it(
    config: dict[str, Any], host: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidArgument, match=words):
        check_request(ContainerConfig(**config), HostConfig(**host))


def test_an_ordinary_request_passes() -> None:
    check_request(ContainerConfig(WorkingDir="/x", StopSignal="SIGUSR1"), HostConfig(Memory=64 << 20))


def test_defaults_fill_only_what_the_request_left_out() -> None:
    given = HostConfig(IpcMode="host", ShmSize=5, NetworkMode="none", Memory=10 << 20, Isolation="default")
    host = complete_host(given, private_cgroups=False)
    assert (host.IpcMode, host.ShmSize, host.NetworkMode, host.Isolation) == ("host", 5, "none", "default")
    assert host.MemorySwap == 20 << 20
    assert host.CgroupnsMode == "host"
    assert "/proc/kcore" in (host.MaskedPaths or [])


def test_emptied_masks_stay_empty() -> None:
    host = complete_host(HostConfig(MaskedPaths=[], ReadonlyPaths=[]), private_cgroups=False)
    assert host.MaskedPaths == []
    assert host.ReadonlyPaths == []


def test_what_this_version_does_not_do_is_said() -> None:
    warnings = warnings_about(ContainerConfig(), HostConfig(PortBindings={"80/tcp": []}, Init=True))
    assert any("limited to loopback" in text and "not published" in text for text in warnings)
    assert any("--init" in text for text in warnings)


@pytest.mark.parametrize(
    ("config", "host", "words"),
    [
        ({}, {"CgroupParent": "/mine"}, "cgroup parent /mine is ignored"),
        ({}, {"Links": ["db:db"]}, "links are ignored"),
        ({"MacAddress": "02:00:00:00:00:01"}, {}, "MAC address is ignored"),
        ({}, {"StorageOpt": {"size": "1G"}}, "disk space is not limited"),
        ({}, {"VolumeDriver": "nfs"}, "volume driver nfs is ignored"),
        ({}, {"LogConfig": LogConfig("json-file", {"compress": "true"})}, "not compressed"),
        ({}, {"Runtime": "runc"}, "runtime runc is not called in this version"),
        ({}, {"Init": True}, "--init is ignored"),
    ],
)
def test_what_is_ignored_is_said_alone(config: dict[str, Any], host: dict[str, Any], words: str) -> None:
    host_config = HostConfig(NetworkMode="none", **host)
    check_request(ContainerConfig(**config), host_config)
    (warning,) = warnings_about(ContainerConfig(**config), host_config)
    assert words in warning


def test_a_container_without_network_is_warned_of_nothing() -> None:
    assert warnings_about(ContainerConfig(), HostConfig(NetworkMode="none")) == []

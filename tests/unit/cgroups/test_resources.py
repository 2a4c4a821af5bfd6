"""Limits and device rules become exactly the writes that v1 controllers want."""

from __future__ import annotations

from typing import Any

import pytest

from rundlet.cgroups.devices import ALWAYS_ALLOWED, device_writes
from rundlet.cgroups.resources import Write, steps
from rundlet.errors import InvalidArgument


def lines(resources: dict[str, Any]) -> list[list[str]]:
    return [[f"{write.file}={write.value}" for write in step] for step in steps(resources)]


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, []),
        ({"memory": None, "cpu": {}, "pids": {"limit": 0}}, []),
        (
            {"memory": {"limit": 64 << 20, "swap": 128 << 20}},
            [["memory.limit_in_bytes=67108864", "memory.memsw.limit_in_bytes=134217728"]],
        ),
        ({"memory": {"limit": -1}}, [["memory.limit_in_bytes=-1"]]),
        ({"memory": {"swappiness": 0}}, [["memory.swappiness=0"]]),
        ({"memory": {"swappiness": -1}}, []),
        ({"memory": {"disableOOMKiller": True}}, [["memory.oom_control=1"]]),
        ({"memory": {"reservation": 4096}}, [["memory.soft_limit_in_bytes=4096"]]),
        (
            {"cpu": {"shares": 512, "quota": 50000, "period": 100000}},
            [["cpu.shares=512"], ["cpu.cfs_period_us=100000", "cpu.cfs_quota_us=50000"]],
        ),
        ({"cpu": {"cpus": "0-1", "mems": "0"}}, [["cpuset.cpus=0-1"], ["cpuset.mems=0"]]),
        ({"pids": {"limit": 64}}, [["pids.max=64"]]),
        ({"pids": {"limit": -1}}, [["pids.max=max"]]),
        (
            {"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1024}]}},
            [["blkio.throttle.read_bps_device=8:0 1024"]],
        ),
        (
            {"blockIO": {"weight": 500, "weightDevice": [{"major": 8, "minor": 0, "weight": 20}]}},
            [["blkio.weight=500"], ["blkio.weight_device=8:0 20"]],
        ),
        ({"hugepageLimits": [{"pageSize": "2MB", "limit": 9}]}, [["hugetlb.2MB.limit_in_bytes=9"]]),
        (
            {"network": {"classID": 1, "priorities": [{"name": "lo", "priority": 2}]}},
            [["net_cls.classid=1"], ["net_prio.ifpriomap=lo 2"]],
        ),
    ],
)
def test_a_limit_becomes_its_writes(resources: dict[str, Any], expected: list[list[str]]) -> None:
    assert lines(resources) == expected


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"memory": {"limit": "64m"}}, "memory.limit must be a whole number"),
        ({"memory": {"limit": -2}}, "memory.limit must be positive"),
        ({"memory": {"swappiness": 101}}, "from 0 to 100"),
        ({"cpu": {"shares": 1}}, "from 2 to 262144"),
        ({"cpu": {"shares": True}}, "whole number"),
        ({"cpu": {"cpus": "0\n1"}}, "must be a list like"),
        ({"blockIO": {"weight": 5}}, "from 10 to 1000"),
        ({"hugepageLimits": [{"pageSize": "../2MB", "limit": 9}]}, "not a page size"),
        ({"hugepageLimits": [{"pageSize": "3", "limit": 9}]}, "not a page size"),
        ({"unified": {"memory.max": "1"}}, "linux.resources.unified"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_by_name(resources: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        steps(resources)


def test_devices_are_denied_first_and_then_ruled_in_the_order_given() -> None:
    writes = device_writes(
        [
            {"allow": False, "access": "rwm"},
            {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"},
            {"allow": True, "type": "b", "major": 8, "minor": -1},
        ]
    )
    assert writes == [
        ("devices.deny", "a"),
        ("devices.deny", "a"),
        ("devices.allow", "c 10:229 rw"),
        ("devices.allow", "b 8:* rwm"),
        *(("devices.allow", line) for line in ALWAYS_ALLOWED),
    ]


def test_a_standard_device_that_a_rule_allows_is_written_once_and_one_taken_back_again() -> None:
    null = {"type": "c", "major": 1, "minor": 3, "access": "rwm"}
    allowed = ("devices.allow", "c 1:3 rwm")
    assert device_writes([{"allow": True, **null}]).count(allowed) == 1
    assert allowed in device_writes([{"allow": True, **null}, {"allow": False, **null}])[3:]


def test_no_rules_means_the_standard_devices_alone_and_never_tun() -> None:
    writes = device_writes([])
    assert writes[0] == ("devices.deny", "a")
    assert not any("10:200" in line for _, line in writes)


def test_a_privileged_container_may_use_every_device() -> None:
    assert ("devices.allow", "a") in device_writes([{"allow": True, "access": "rwm"}])


def test_taking_back_an_earlier_rule_as_a_whole_works() -> None:
    rule = {"type": "c", "major": 10, "minor": 229, "access": "rwm"}
    writes = device_writes([{"allow": True, **rule}, {"allow": False, **rule}])
    assert writes[1:3] == [("devices.allow", "c 10:229 rwm"), ("devices.deny", "c 10:229 rwm")]


def test_a_denial_that_the_kernel_would_not_enforce_is_refused() -> None:
    """v1 removes an exception only if it is named exactly; a narrower denial would be without effect."""
    with pytest.raises(InvalidArgument, match='deny c 10:229 rwm" takes back part'):
        device_writes(
            [
                {"allow": True, "type": "c", "major": 10, "access": "rwm"},
                {"allow": False, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
            ]
        )


@pytest.mark.parametrize(
    "rule",
    [
        {"type": "u", "major": 1},
        {"type": "c", "access": "x"},
        {"type": "c", "major": "1"},
        {"type": "c", "major": -2},
        {"type": "a", "major": 1},
        {"access": "r"},
    ],
)
def test_a_malformed_device_rule_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="device rule"):
        device_writes([{"allow": True, **rule}])


def test_limits_that_bound_each_other_are_one_step() -> None:
    (step,) = steps({"memory": {"swap": 2, "limit": 1}})
    assert step == (
        Write("memory", "memory.limit_in_bytes", "1"),
        Write("memory", "memory.memsw.limit_in_bytes", "2"),
    )

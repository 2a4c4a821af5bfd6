"""Reading an OCI config: all of it is checked before anything is done, and an error names the member."""

from __future__ import annotations

import contextlib
import copy
import os
import resource
import stat
from typing import Any

import pytest

from rundlet.errors import InvalidArgument, NotImplementedHere, RundletError
from rundlet.linux import process
from rundlet.linux.mount import MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY, MS_PRIVATE, MS_SLAVE
from rundlet.runtime.config import Rlimit, parse, parse_process
from rundlet.runtime.mount_options import Attributes, parse_mount_options

BASE: dict[str, Any] = {
    "ociVersion": "1.2.0",
    "root": {"path": "/rootfs"},
    "process": {"args": ["sh"], "cwd": "/"},
    "linux": {"namespaces": [{"type": kind} for kind in ("mount", "pid", "ipc", "uts", "network")]},
}


def _with(path: str, value: Any) -> dict[str, Any]:
    """BASE with the member at a dotted path replaced."""
    document = copy.deepcopy(BASE)
    *parents, name = path.split(".")
    target = document
    for parent in parents:
        target = target.setdefault(parent, {})
    target[name] = value
    return document


def _mount(**members: Any) -> list[dict[str, Any]]:
    return [{"destination": "/x", "type": "tmpfs"} | members]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("ociVersion", "invalid", r'^config.ociVersion: "invalid" is not a version 1'),
        ("root.path", "relative", r'^config.root.path: "relative" is not absolute$'),
        ("root.path", 7, r"^config.root.path: not a string$"),
        ("root.path", "/a\0b", r"^config.root.path: contains a NUL byte$"),
        ("root", [], r"^config.root: not an object$"),
        ("root.readonly", 1, r"^config.root.readonly: not a boolean$"),
        ("process", None, r"^config.process: missing$"),
        ("process.args", [], r"^config.process.args: no program to run$"),
        ("process.args", [""], r"^config.process.args: no program to run$"),
        ("process.args", ["a", 1], r"^config.process.args: not a list of strings$"),
        ("process.args", ["a\0b"], r"^config.process.args: contains a NUL byte$"),
        ("process.env", ["A=\ud800"], r"^config.process.env: contains a surrogate that stands for no byte$"),
        ("hostname", "\ud800", r"^config.hostname: contains a surrogate"),
        ("linux.maskedPaths", ["/proc/kcore\0"], r"^config.linux.maskedPaths: contains a NUL byte$"),
        ("linux.sysctl", {"net.x": "\0"}, r"^config.linux.sysctl: contains a NUL byte$"),
        ("process.cwd", "relative", r'^config.process.cwd: "relative" is not absolute$'),
        ("process.oomScoreAdj", 1001, r"^config.process.oomScoreAdj: 1001 is not between -1000 and 1000$"),
        ("process.oomScoreAdj", True, r"^config.process.oomScoreAdj: not an integer$"),
        ("process.user", {"uid": -1}, r"^config.process.user.uid: -1 is not between 0 and 4294967294$"),
        ("process.user", {"uid": 2**32 - 1}, r"user.uid: 4294967295 is not between"),
        ("process.user", {"additionalGids": [2**32]}, r"additionalGids: 4294967296 is not between"),
        (
            "process.capabilities",
            {"bounding": ["CAP_TEST"]},
            r'capabilities.bounding: unknown capability "CAP_TEST"',
        ),
        ("process.rlimits", [{"type": "RLIMIT_TEST"}], r'rlimits\[0\].type: unknown resource limit "RLIMIT_TEST"'),
        ("process.rlimits", [{"type": "RLIMIT_CPU"}] * 2, r'rlimits\[1\].type: "RLIMIT_CPU" is set twice'),
        ("linux.namespaces", [{"type": "mount"}] * 2, r'namespaces\[1\].type: "mount" is listed twice'),
        ("linux.namespaces", [{"type": "moon"}], r'namespaces\[0\].type: unknown namespace "moon"'),
        ("linux.namespaces", [{"type": "pid", "path": "x"}], r'namespaces\[0\].path: "x" is not absolute'),
        ("linux.maskedPaths", ["relative"], r'^config.linux.maskedPaths: "relative" is not absolute$'),
        ("linux.readonlyPaths", ["relative"], r'^config.linux.readonlyPaths: "relative" is not absolute$'),
        ("linux.rootfsPropagation", "x", r'rootfsPropagation: unknown propagation "x"'),
        ("linux.timeOffsets", {"boottime": {"secs": 1}}, r"timeOffsets: needs a new time namespace"),
        ("linux.devices", [{"path": "/dev/x", "type": "q"}], r'devices\[0\].type: unknown device type "q"'),
        ("linux.devices", [{"path": "x", "type": "c"}], r'devices\[0\].path: "x" is not absolute'),
        ("mounts", _mount(destination="x"), r'mounts\[0\].destination: "x" is not absolute'),
        ("mounts", _mount(destination="/./"), r"mounts\[0\].destination: nothing can be mounted on /"),
        ("mounts", _mount(destination="/proc"), r'"/proc" cannot be mounted because it is inside /proc'),
        ("mounts", _mount(destination="/proc/./sys/kernel"), r'"/proc/sys/kernel" cannot be mounted'),
        ("mounts", _mount(destination="//proc/self/attr"), r'"/proc/self/attr" cannot be mounted'),
        ("mounts", _mount(type=""), r"mounts\[0\].type: missing"),
        ("mounts", _mount(options=["bind"], source="x"), r'mounts\[0\].source: "x" is not absolute'),
        ("mounts", _mount(options=["bind", "size=1"], source="/x"), r"options: a bind mount takes no options"),
        ("mounts", _mount(options=["=x"]), r"options: '=x' is not a mount option"),
        ("mounts", "x", r"^config.mounts: not a list$"),
    ],
)
def test_what_is_wrong_is_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        parse(_with(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("linux.namespaces", []),
        ("linux.namespaces", [{"type": "mount"}, {"type": "user"}]),
        ("linux.uidMappings", [{"containerID": 0, "hostID": 1, "size": 1}]),
        ("hooks", {"prestart": [{"path": "/bin/true"}]}),
        ("process.apparmorProfile", "docker-default"),
        ("process.selinuxLabel", "x"),
        ("mounts", _mount(options=["idmap"])),
    ],
)
def test_what_this_version_does_not_do_is_refused_rather_than_left_out(path: str, value: Any) -> None:
    with pytest.raises(NotImplementedHere):
        parse(_with(path, value))


def test_unknown_members_and_nulls_are_no_error() -> None:
    document = _with("future", {"x": 1}) | {"hostname": None, "mounts": None, "hooks": None, "annotations": None}

    assert parse(document).mounts == ()


def test_defaults_are_the_specifications() -> None:
    config = parse(BASE)

    assert config.process.user.umask == 0o022
    assert (config.process.user.uid, config.process.capabilities.bounding) == (0, 0)
    assert not config.process.no_new_privileges
    assert not config.root.readonly


def test_capabilities_become_masks() -> None:
    sets = {"bounding": ["CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"], "ambient": ["CAP_DAC_OVERRIDE"]}

    capabilities = parse_process({"args": ["x"], "capabilities": sets}).capabilities

    assert (capabilities.bounding, capabilities.ambient) == (1 << 40 | 1, 2)


def test_the_last_value_of_an_environment_variable_counts() -> None:
    environment = parse_process({"args": ["x"], "env": ["A=1", "B=2", "A=3", "C"]}).environment

    assert environment == ("A=3", "B=2", "C")


@pytest.mark.parametrize("unlimited", [-1, 2**64 - 1])
def test_an_unlimited_resource_is_minus_one_to_python(unlimited: int) -> None:
    limits = parse_process(
        {"args": ["x"], "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": unlimited}]}
    ).rlimits

    assert limits == (Rlimit("RLIMIT_CORE", resource.RLIMIT_CORE, 0, resource.RLIM_INFINITY),)


def test_namespaces_are_new_or_joined() -> None:
    config = parse(_with("linux.namespaces", [{"type": "mount"}, {"type": "network", "path": "/run/netns/a"}]))

    assert config.namespaces.new == process.CLONE_NEWNS
    assert config.namespaces.joined == ((process.CLONE_NEWNET, "/run/netns/a"),)
    assert config.namespaces.all == process.CLONE_NEWNS | process.CLONE_NEWNET


@pytest.mark.parametrize(("major", "minor"), [(1, 3), (10, 666), (253, 70000), (4095, 2**20 - 1)])
def test_device_numbers_are_the_c_librarys(major: int, minor: int) -> None:
    device = {"path": "/dev/../dev//x", "type": "b", "major": major, "minor": minor, "fileMode": 0o640}

    parsed = parse(_with("linux.devices", [device])).devices[0]

    assert (parsed.path, parsed.device) == ("/dev/x", os.makedev(major, minor))
    assert parsed.mode == stat.S_IFBLK | 0o640


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding"),
        ("net/ipv4/conf/eth0.100/forwarding", "net/ipv4/conf/eth0.100/forwarding"),
        ("kernel.shm_rmid_forced", "kernel/shm_rmid_forced"),
        ("fs.mqueue.msg_max", "fs/mqueue/msg_max"),
    ],
)
def test_a_sysctl_has_two_spellings_and_one_path(name: str, path: str) -> None:
    assert parse(_with("linux.sysctl", {name: "1"})).sysctl == ((path, "1"),)


@pytest.mark.parametrize(
    "name",
    [
        "kernel.core_pattern", "vm.swappiness", "kernel.hostname", "user.max_user_namespaces", "fs.file-max",
        "net", "net/../kernel/core_pattern", "net..x", "fs.mqueue.", "kernel.msgmaxx", "",
    ],
)  # fmt: skip
def test_a_sysctl_of_the_host_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^config.linux.sysctl"):
        parse(_with("linux.sysctl", {name: "1"}))


def test_a_sysctl_needs_its_namespace() -> None:
    document = _with("linux.namespaces", [{"type": "mount"}])
    document["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}

    with pytest.raises(InvalidArgument):
        parse(document)


def test_a_name_needs_a_uts_namespace() -> None:
    with pytest.raises(InvalidArgument, match="uts namespace"):
        parse(_with("linux.namespaces", [{"type": "mount"}]) | {"hostname": "box"})


def test_every_error_is_one_of_ours_whatever_stands_where(any_values: list[Any]) -> None:
    """A config with any member replaced by any JSON value is read or refused, never a crash."""
    paths = [
        "root", "process", "linux", "mounts", "hostname", "process.args", "process.env", "process.user",
        "process.user.uid", "process.capabilities", "process.capabilities.bounding", "process.rlimits",
        "linux.namespaces", "linux.devices", "linux.sysctl", "linux.resources", "linux.maskedPaths", "hooks",
        "linux.timeOffsets", "process.user.additionalGids",
    ]  # fmt: skip
    for path in paths:
        for value in any_values:
            with contextlib.suppress(RundletError):
                parse(_with(path, value))


@pytest.fixture
def any_values() -> list[Any]:
    return [
        None,
        True,
        -1,
        2**70,
        1.5,
        "",
        "x",
        [],
        [None],
        [1],
        [[]],
        [{}],
        ["x"],
        {},
        {"x": None},
        {"x": {}},
        {"x": 1},
    ]


def test_later_mount_options_override_earlier_ones() -> None:
    options = parse_mount_options(["ro", "nosuid", "rw", "noatime", "relatime"], "options")

    assert not options.is_readonly
    assert options.attributes.set == MOUNT_ATTR_NOSUID
    assert options.attributes.clear & MOUNT_ATTR_RDONLY


def test_mount_options_are_sorted_by_whom_they_are_for() -> None:
    options = parse_mount_options(
        ["rbind", "rro", "rslave", "private", "sync", "size=1k", "newinstance", "defaults", ""], "options"
    )

    assert (options.bind, options.recursive) == (True, True)
    assert options.recursive_attributes == Attributes(MOUNT_ATTR_RDONLY, 0)
    assert (options.propagation, options.propagation_recursive) == (MS_PRIVATE, False)
    assert options.filesystem_flags == ("sync",)
    assert options.data == (("size", "1k"), ("newinstance", None))
    assert parse_mount_options(["rslave"], "options").propagation == MS_SLAVE

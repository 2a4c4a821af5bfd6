"""The order in which a container is made. It is security; see each operation for its reason."""

from __future__ import annotations

from typing import Any

import pytest

from rundlet.linux.process import CLONE_NEWNET, CLONE_NEWPID
from rundlet.runtime.config import Config, parse, parse_process
from rundlet.runtime.operations import Operation
from rundlet.runtime.plan import ChildStdio, plan_container, plan_exec

FILTER = bytes(8)


def _document(**members: Any) -> dict[str, Any]:
    process = {"args": ["sh"], "env": ["PATH=/bin"], "cwd": "/work"} | members.pop("process", {})
    linux = {"namespaces": [{"type": kind} for kind in ("mount", "network", "uts", "pid", "ipc", "cgroup")]}
    linux |= members.pop("linux", {})
    mounts = [
        {"destination": "/proc", "type": "proc"},
        {"destination": "/dev", "type": "tmpfs"},
        {"destination": "/dev/pts", "type": "devpts"},
        {"destination": "/ro", "type": "tmpfs", "options": ["ro"]},
        {"destination": "/data", "type": "bind", "source": "/srv"},
    ]
    root = {"path": "/rootfs", "readonly": True}
    return {"ociVersion": "1.2.0", "root": root, "process": process, "linux": linux, "mounts": mounts} | members


def _plan(config: Config, **options: Any) -> list[Operation]:
    stdio = options.pop("stdio", ChildStdio(None, 8, 9))
    return plan_container(
        config, **{"overlay": None, "seccomp": FILTER, "stdio": stdio, "namespaces": [], "cgroups": {}} | options
    )


def _names(plan: list[Operation]) -> list[str]:
    return [type(operation).__name__ for operation in plan]


def _order(plan: list[Operation], *names: str) -> bool:
    """Whether operations of these names all occur, each kind after the one before it."""
    found = _names(plan)
    last = [max(index for index, found_name in enumerate(found) if found_name == name) for name in names]
    first = [found.index(name) for name in names]
    return all(before < after for before, after in zip(last, first[1:], strict=False))


@pytest.fixture
def plan() -> list[Operation]:
    linux = {"sysctl": {"net.ipv4.ip_forward": "1"}, "maskedPaths": ["/proc/keys"], "readonlyPaths": ["/proc/sys"]}
    document = _document(hostname="box", domainname="test", linux=linux, process={"oomScoreAdj": 1})
    return _plan(parse(document), stdio=ChildStdio(terminal=True))


def test_file_systems_are_made_before_the_root_is_left(plan: list[Operation]) -> None:
    assert _order(plan, "LeaveHostMounts", "BindRoot", "MountFilesystem", "MakeDevice", "MakeLinks", "PivotRoot")


def test_the_oom_score_comes_first_of_all(plan: list[Operation]) -> None:
    assert _names(plan)[0] == "SetOomScore"


def test_the_cgroup_namespace_waits_for_the_cgroups_and_precedes_the_mounts(plan: list[Operation]) -> None:
    assert _order(plan, "BindRoot", "AwaitCgroups", "NewCgroupNamespace", "MountFilesystem")


def test_sysctls_are_set_before_their_paths_are_protected(plan: list[Operation]) -> None:
    assert _order(plan, "MountFilesystem", "SetSysctl", "ProtectPath", "MaskPath", "PivotRoot")


def test_what_is_written_to_the_root_is_written_before_it_is_read_only(plan: list[Operation]) -> None:
    assert _order(plan, "OpenTerminal", "MakeWorkingDirectory", "MakeReadonly", "MakeReadonlyRoot", "PivotRoot")


def test_the_working_directory_is_entered_inside_and_checked_before_the_filter(plan: list[Operation]) -> None:
    assert _order(plan, "PivotRoot", "EnterWorkingDirectory", "CloseDescriptors", "LoadSeccomp")


def test_without_no_new_privileges_the_filter_is_loaded_while_that_is_allowed(plan: list[Operation]) -> None:
    assert _order(plan, "SetLimits", "LoadSeccomp", "DropBounding", "SwitchUser", "SetCapabilities", "Execute")
    assert "SetNoNewPrivileges" not in _names(plan)


def test_with_no_new_privileges_the_filter_comes_last() -> None:
    plan = _plan(parse(_document(process={"noNewPrivileges": True})))

    assert _names(plan)[-4:] == ["SetCapabilities", "SetNoNewPrivileges", "LoadSeccomp", "Execute"]


def test_without_a_filter_none_is_loaded() -> None:
    assert "LoadSeccomp" not in _names(_plan(parse(_document()), seccomp=None))


def test_a_home_directory_is_looked_up_only_if_the_environment_has_none() -> None:
    assert "SetHome" in _names(_plan(parse(_document())))
    assert "SetHome" not in _names(_plan(parse(_document(process={"env": ["HOME=/h"]}))))


def test_default_devices_are_replaced_by_the_configs_and_hidden_by_mounts() -> None:
    devices = [{"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600}]
    document = _document(linux={"devices": devices})
    document["mounts"].append({"destination": "/dev/tty", "type": "bind", "source": "/dev/tty"})

    made = [
        operation.describe() for operation in _plan(parse(document)) if type(operation).__name__ == "MakeDevice"
    ]

    assert made == [f"make the device /dev/{name}" for name in ("null", "zero", "full", "random", "urandom")]


def test_the_loopback_interface_is_raised_in_a_new_network_namespace_alone() -> None:
    assert "RaiseLoopback" in _names(_plan(parse(_document())))
    document = _document(linux={"namespaces": [{"type": "mount"}, {"type": "network", "path": "/run/netns/x"}]})
    assert "RaiseLoopback" not in _names(_plan(parse(document)))


def test_a_pid_namespace_is_not_joined_by_the_child_which_was_born_in_it() -> None:
    namespaces = [(CLONE_NEWPID, "/proc/9/ns/pid", 7), (CLONE_NEWNET, "/run/netns/x", 8)]

    plan = _plan(parse(_document()), namespaces=namespaces)

    joined = [operation.describe() for operation in plan if type(operation).__name__ == "JoinNamespace"]
    assert joined == ["join the namespace /run/netns/x"]


def test_an_exec_does_what_the_first_process_does_but_for_the_file_systems() -> None:
    config = parse(_document())

    first = _plan(config)
    further = plan_exec(
        config, parse_process(_document()["process"]), init_pidfd=5, seccomp=FILTER, stdio=ChildStdio()
    )

    assert _names(further)[:4] == ["JoinKeyring", "NewSession", "JoinContainer", "AwaitCgroups"]
    shared = _names(first)[_names(first).index("SetStreams") :]
    assert _names(further)[4:] == shared


def test_every_operation_can_say_what_it_does(plan: list[Operation]) -> None:
    descriptions = [operation.describe() for operation in plan]

    assert all(text and not text.endswith(".") and text[0].islower() for text in descriptions)


def test_a_stream_cannot_be_one_of_the_callers_own() -> None:
    with pytest.raises(ValueError, match="standard streams"):
        ChildStdio(stdin=0)

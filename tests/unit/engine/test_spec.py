"""The OCI config has Docker's defaults in it, and what the request changes, changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rundlet.engine import defaults
from rundlet.engine.container import Container
from rundlet.engine.defaults import CAPABILITIES, capabilities
from rundlet.engine.exec_record import ExecRecord
from rundlet.engine.merge import complete_host
from rundlet.engine.mounts import plan_mounts
from rundlet.engine.spec import build_config, build_exec_process, merge_environment, seccomp_of
from rundlet.errors import InvalidArgument
from rundlet.runtime.config import parse
from rundlet.wire.documents import ContainerConfig, DeviceMapping, HostConfig, Ulimit
from tests.fakes.records import container as bare_container


def container(config: dict[str, Any] | None = None, **host: Any) -> Container:
    subject = bare_container()
    definition = subject.definition
    definition.config = ContainerConfig(**(config or {}))
    definition.host = complete_host(HostConfig(**host), private_cgroups=False)
    definition.mounts = plan_mounts(definition.host, (), lambda ref: [])
    return subject


def config_of(subject: Container) -> dict[str, Any]:
    return build_config(
        subject,
        runtime_dir=Path("/run/x"),
        etc_dir=Path("/data/x/etc"),
        cgroup_path="/t/x",
        namespace_path=lambda ref, kind: f"/proc/{ref}/ns/{kind}",
    )


def mounts_of(subject: Container) -> dict[str, list[str]]:
    return {mount["destination"]: mount["options"] for mount in config_of(subject)["mounts"]}


def test_the_runtime_takes_it() -> None:
    assert parse(config_of(container())).process.arguments == ("true",)


def test_a_plain_container_has_dockers_namespaces_and_no_user_namespace() -> None:
    kinds = {item["type"] for item in config_of(container())["linux"]["namespaces"]}
    assert kinds == {"mount", "network", "ipc", "pid", "uts"}


def test_the_fourteen_capabilities_are_bounding_permitted_and_effective_only() -> None:
    sets = config_of(container())["process"]["capabilities"]
    assert set(sets) == {"bounding", "permitted", "effective"}
    assert all(set(names) == set(CAPABILITIES) for names in sets.values())
    assert len(CAPABILITIES) == 14


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        (["SYS_ADMIN"], None, {*CAPABILITIES, "CAP_SYS_ADMIN"}),
        (["cap_sys_admin"], ["CHOWN"], {*CAPABILITIES, "CAP_SYS_ADMIN"} - {"CAP_CHOWN"}),
        (["NET_ADMIN"], ["ALL"], {"CAP_NET_ADMIN"}),
        (None, ["all"], set()),
    ],
)
def test_capabilities_are_added_and_dropped(
    add: list[str] | None, drop: list[str] | None, expected: set[str]
) -> None:
    assert set(capabilities(add, drop, privileged=False)) == expected


def test_all_but_one() -> None:
    chosen = capabilities(["ALL"], ["SYS_BOOT"], privileged=False)
    assert "CAP_SYS_ADMIN" in chosen
    assert "CAP_SYS_BOOT" not in chosen


def test_what_the_machine_cannot_give_is_left_out_unless_it_is_asked_for_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(defaults, "ALL_CAPABILITIES", ("CAP_CHOWN", "CAP_SYS_ADMIN"))
    assert capabilities(None, None, privileged=True) == ("CAP_CHOWN", "CAP_SYS_ADMIN")
    assert capabilities(["ALL"], None, privileged=False) == ("CAP_CHOWN", "CAP_SYS_ADMIN")
    assert capabilities(None, None, privileged=False) == ("CAP_CHOWN",)
    with pytest.raises(InvalidArgument, match="CAP_SYS_RESOURCE is not available on this machine"):
        capabilities(["SYS_RESOURCE"], None, privileged=False)


def test_the_default_mounts_and_the_three_files() -> None:
    mounts = mounts_of(container())
    assert mounts["/sys"] == ["nosuid", "noexec", "nodev", "ro"]
    assert "size=67108864" in mounts["/dev/shm"]
    assert {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/pts", "/dev/mqueue", "/proc"} <= set(mounts)


def test_a_users_mount_hides_the_default_one_at_its_place() -> None:
    subject = container(Binds=["/tmp:/dev", "/tmp:/etc/hosts"])
    mounts = [mount["destination"] for mount in config_of(subject)["mounts"]]
    assert mounts.count("/dev") == 1
    assert mounts.count("/etc/hosts") == 1
    assert "/dev/shm" not in mounts


def test_a_readonly_bind_is_readonly_all_the_way_down() -> None:
    assert mounts_of(container(Binds=["/tmp:/x:ro"]))["/x"] == ["rbind", "rprivate", "rro"]


def test_a_readonly_root_leaves_only_what_docker_leaves_writable() -> None:
    mounts = mounts_of(container(ReadonlyRootfs=True))
    writable = {target for target, options in mounts.items() if "ro" not in options}
    assert writable == {"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"}


def test_privileged_lifts_the_masks_and_the_device_rules() -> None:
    document = config_of(container(Privileged=True))
    assert document["linux"]["maskedPaths"] == []
    assert document["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert "CAP_SYS_MODULE" in document["process"]["capabilities"]["bounding"]
    assert seccomp_of(container(Privileged=True).definition) is None


def test_the_tun_device_is_not_allowed() -> None:
    rules = config_of(container())["linux"]["resources"]["devices"]
    assert not any(rule["allow"] and rule.get("major") == 10 for rule in rules)
    assert rules[0] == {"allow": False, "access": "rwm"}


def test_a_device_gets_its_node_and_its_rule() -> None:
    subject = container(Devices=[DeviceMapping("/dev/null", "/dev/nil", "rw")])
    document = config_of(subject)
    [device] = document["linux"]["devices"]
    assert (device["path"], device["type"], device["major"], device["minor"]) == ("/dev/nil", "c", 1, 3)
    assert document["linux"]["resources"]["devices"][-1]["access"] == "rw"


def test_a_device_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="error gathering device information"):
        config_of(container(Devices=[DeviceMapping(str(tmp_path), "/x", "r")]))


def test_limits_are_translated() -> None:
    resources = config_of(
        container(Memory=64 << 20, NanoCpus=500_000_000, PidsLimit=7, CpusetCpus="0", CpuShares=512)
    )["linux"]["resources"]
    assert resources["memory"] == {"limit": 64 << 20, "swap": 128 << 20}
    assert resources["cpu"] == {"shares": 512, "period": 100000, "quota": 50000, "cpus": "0"}
    assert resources["pids"] == {"limit": 7}


def test_the_host_network_has_no_sysctls_of_its_own() -> None:
    document = config_of(container(NetworkMode="host"))
    assert document["linux"]["sysctl"] == {}
    assert not any(item["type"] == "network" for item in document["linux"]["namespaces"])
    assert config_of(container())["linux"]["sysctl"]["net.ipv4.ip_unprivileged_port_start"] == "0"


def test_a_network_that_is_another_containers_keeps_its_sysctls() -> None:
    """That one may use the host's network, which would get them."""
    assert config_of(container(NetworkMode="container:other"))["linux"]["sysctl"] == {}


def test_namespaces_of_another_container_are_joined_by_path() -> None:
    namespaces = config_of(container(NetworkMode="container:db", PidMode="container:db"))["linux"]["namespaces"]
    assert {"type": "network", "path": "/proc/db/ns/net"} in namespaces
    assert {"type": "pid", "path": "/proc/db/ns/pid"} in namespaces


def test_even_root_is_looked_up_in_the_image() -> None:
    assert config_of(container())["process"]["user"]["username"] == "0"
    assert config_of(container({"User": "worker:staff"}))["process"]["user"]["username"] == "worker:staff"


def test_environment_has_path_hostname_and_term_under_the_requests_own() -> None:
    env = config_of(container({"Tty": True, "Env": ["PATH=/x", "A=1", "TERM"], "Hostname": "h"}))["process"]["env"]
    assert env == ["PATH=/x", "HOSTNAME=h", "A=1"]
    assert merge_environment(["A=1"], ["A=2", "B=3"]) == ["A=2", "B=3"]


def test_ulimits_keep_their_numbers() -> None:
    [limit] = config_of(container(Ulimits=[Ulimit("nofile", 5, 9)]))["process"]["rlimits"]
    assert limit == {"type": "RLIMIT_NOFILE", "soft": 5, "hard": 9}


def test_the_seccomp_text_is_made_once_for_a_set_of_capabilities() -> None:
    first, second = seccomp_of(container().definition), seccomp_of(container().definition)
    assert first is second
    assert first is not None
    assert json.loads(first)["defaultAction"] == "SCMP_ACT_ERRNO"
    assert seccomp_of(container(SecurityOpt=["seccomp=unconfined"]).definition) is None


def test_no_new_privileges_is_asked_for_in_either_notation() -> None:
    for option in ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"):
        assert config_of(container(SecurityOpt=[option]))["process"]["noNewPrivileges"]
    assert not config_of(container())["process"]["noNewPrivileges"]


def test_an_exec_inherits_and_overrides() -> None:
    subject = container({"User": "worker", "Env": ["A=1"], "WorkingDir": "/srv"})
    record = ExecRecord(
        "e", subject.id, 1, ["ls"], env=["B=2"], user="root", working_dir="/tmp", privileged=True, tty=True
    )
    process = build_exec_process(subject, record)
    assert process["args"] == ["ls"]
    assert {"A=1", "B=2", "TERM=xterm"} <= set(process["env"])
    assert (process["user"]["username"], process["cwd"], process["terminal"]) == ("root", "/tmp", True)
    assert "CAP_SYS_ADMIN" in process["capabilities"]["bounding"]
    plain = build_exec_process(subject, ExecRecord("e", subject.id, 1, ["ls"]))
    assert (plain["user"]["username"], plain["cwd"]) == ("worker", "/srv")

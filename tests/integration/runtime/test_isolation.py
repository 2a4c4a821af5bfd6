"""What a container can see: itself, and nothing of the host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rundlet.runtime.launch import LaunchError
from tests.integration.runtime.sandbox import Sandbox, run_alone

pytestmark = pytest.mark.privileged

NAMESPACES = ("mnt", "net", "uts", "pid", "ipc")


def test_every_namespace_that_the_config_lists_is_a_new_one(sandbox: Sandbox) -> None:
    container = sandbox.start(sandbox.document("sleep", "1000"))

    own, inside = (
        {name: os.readlink(f"/proc/{pid}/ns/{name}") for name in (*NAMESPACES, "user", "cgroup")}
        for pid in ("self", container.pid)
    )

    assert {name for name in own if own[name] != inside[name]} == set(NAMESPACES)


def test_a_new_cgroup_namespace_has_the_containers_cgroup_as_its_root(sandbox: Sandbox) -> None:
    document = sandbox.document("cat", "/proc/self/cgroup")
    document["linux"]["namespaces"].append({"type": "cgroup"})

    paths = {line.rpartition(":")[2] for line in sandbox.run(document).output.splitlines()}

    assert paths == {"/"}


def test_a_new_time_namespace_starts_with_the_clocks_that_the_config_sets(sandbox: Sandbox) -> None:
    document = sandbox.document("cat", "/proc/uptime")
    document["linux"]["namespaces"].append({"type": "time"})
    document["linux"]["timeOffsets"] = {"boottime": {"secs": 7_000_000}}

    def check() -> None:
        uptime = float(sandbox.run(document).output.split()[0])
        assert uptime > 7_000_000
        assert os.readlink("/proc/self/ns/time") == os.readlink("/proc/self/ns/time_for_children")

    run_alone(check)


def test_namespaces_of_another_container_are_joined_by_path(sandbox: Sandbox) -> None:
    first = sandbox.start(sandbox.document("sleep", "1000"))
    document = sandbox.document(
        "sh", "-c", "readlink /proc/1/ns/net; readlink /proc/self/ns/ipc; echo /proc/[0-9]*"
    )
    document["linux"]["namespaces"] = [
        {"type": "mount"},
        {"type": "uts"},
        *({"type": kind, "path": f"/proc/{first.pid}/ns/{name}"} for kind, name in _JOINED.items()),
    ]

    output = sandbox.run(document).output

    assert os.readlink(f"/proc/{first.pid}/ns/net") in output
    assert os.readlink(f"/proc/{first.pid}/ns/ipc") in output
    assert "/proc/1 /proc/2\n" in output, "the other container's init is visible in the pid namespace they share"
    assert os.readlink("/proc/self/ns/pid_for_children") == os.readlink("/proc/self/ns/pid")


_JOINED = {"network": "net", "ipc": "ipc", "pid": "pid"}


def test_no_process_of_the_host_is_visible(sandbox: Sandbox) -> None:
    assert sandbox.shell("echo $$; echo /proc/[0-9]*").split() == ["1", "/proc/1"]


def test_no_file_of_the_host_is_visible(sandbox: Sandbox) -> None:
    names = set(sandbox.shell("ls -a / /.. /proc/1/root /proc/1/cwd/..").split())

    assert names - {":", "/:", "/..:", "/proc/1/root:", "/proc/1/cwd/..:"} <= _ROOT_NAMES


_ROOT_NAMES = {".", "..", "bin", "etc", "root", "tmp", "proc", "dev", "sys"}


def test_mounts_of_the_container_do_not_show_on_the_host(sandbox: Sandbox) -> None:
    container = sandbox.start(sandbox.document("sleep", "1000"))

    assert str(sandbox.directory) not in Path("/proc/self/mountinfo").read_text()
    assert os.listdir(sandbox.directory / "rootfs") == []
    assert "/proc/self/fd" in Path(f"/proc/{container.pid}/mountinfo").read_text()


def test_the_loopback_interface_is_up_and_the_only_one(sandbox: Sandbox) -> None:
    output = sandbox.shell("cat /proc/net/dev | tail -n +3 | cut -d: -f1; ip addr show lo")

    assert output.split()[0] == "lo"
    assert "LOOPBACK,UP" in output
    assert "127.0.0.1/8" in output


def test_host_and_domain_name_are_the_configs(sandbox: Sandbox) -> None:
    document = sandbox.document("sh", "-c", "hostname; cat /proc/sys/kernel/domainname")
    document["domainname"] = "example.test"

    assert sandbox.run(document).output.split() == ["box", "example.test"]


def test_sysctls_are_set_in_the_containers_namespaces_alone(sandbox: Sandbox) -> None:
    host = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()
    document = sandbox.document("sysctl", "-n", "net.ipv4.ip_unprivileged_port_start", "kernel.msgmax")
    document["linux"]["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "0", "kernel/msgmax": "4242"}

    assert sandbox.run(document).output.split() == ["0", "4242"]
    assert Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text() == host


def test_a_host_namespace_that_is_joined_by_its_path_keeps_its_sysctls(sandbox: Sandbox) -> None:
    """By the path of another container's namespace, which is the host's if that one uses the host's."""
    host = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text().strip()
    document = sandbox.document("true")
    document["linux"]["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": host}
    document["linux"]["namespaces"] = [
        {"type": "mount"}, {"type": "pid"}, {"type": "uts"}, {"type": "network", "path": "/proc/self/ns/net"},
    ]  # fmt: skip

    with pytest.raises(LaunchError, match="is the host's") as caught:
        sandbox.start(document)
    assert caught.value.kind == "invalid"


def test_a_container_has_a_session_keyring_of_its_own_and_execs_share_it(sandbox: Sandbox) -> None:
    document = sandbox.document("sleep", "1000")
    document["linux"]["maskedPaths"] = []
    document["linux"]["cgroupsPath"] = f"/instance/{sandbox.directory.name}"
    container = sandbox.start(document)

    keys = sandbox.exec(container, "cat", "/proc/keys").read()

    assert keys.count(f"_ses.{sandbox.directory.name}: empty") == 1


def test_the_process_is_in_every_hierarchy_of_its_cgroup(sandbox: Sandbox) -> None:
    container = sandbox.start(sandbox.document("sleep", "1000"))

    for line in Path(f"/proc/{container.pid}/cgroup").read_text().splitlines():
        assert line.endswith(f":{sandbox.cgroup.path}")


def test_the_containers_cgroups_are_visible_read_only_and_only_they(sandbox: Sandbox) -> None:
    output = sandbox.shell("cat /sys/fs/cgroup/pids/cgroup.procs; echo 1 > /sys/fs/cgroup/pids/cgroup.procs")

    assert output.split()[0] == "1"
    assert "Read-only file system" in output

"""``doctor`` names what is missing on a machine, and the fix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rundlet.cli import doctor
from rundlet.cli.doctor import Finding, Machine
from tests.unit.cli.conftest import Rundlet, json_reply
from tests.unit.sdk.fake_engine import FakeEngine

V1 = "".join(
    f"{number} 1 0:{number} / /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}\n"
    for number, name in enumerate(("cpu", "cpuset", "devices", "memory", "pids", "freezer"), 30)
)
UNIFIED = "40 1 0:40 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
DISK = "20 1 8:1 / / rw - ext4 /dev/sda rw\n"


class Host:
    """A machine that works, below a directory, to take things away from."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("/proc/sys/kernel/osrelease", "6.1.0-13-amd64\n")
        self.write("/proc/self/status", "CapEff:\t000001ffffffffff\n")
        self.write("/proc/filesystems", "nodev\tproc\n\text4\nnodev\toverlay\n")
        self.write("/proc/sys/kernel/seccomp/actions_avail", "kill_process errno allow\n")
        self.write("/proc/self/mountinfo", DISK + V1 + UNIFIED)
        self.write("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", "")
        for name in ("cgroup", "ipc", "mnt", "net", "pid", "uts"):
            self.write(f"/proc/self/ns/{name}", "")
            self.write(f"/proc/sys/user/max_{name}_namespaces", "1000\n")

    def write(self, path: str, text: str) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def findings(self) -> list[Finding]:
        machine = Machine(str(self.root), data_root="/var/lib/rundlet")
        return [finding for check in doctor.CHECKS for finding in check(machine)]

    def of(self, subject: str) -> Finding | None:
        return next((finding for finding in self.findings() if finding.subject == subject), None)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return Host(tmp_path)


def test_a_machine_that_has_everything_has_no_failure(host: Host) -> None:
    assert [finding for finding in host.findings() if finding.verdict == doctor.FAIL] == []


@pytest.mark.parametrize(
    ("path", "text", "subject", "verdict", "words"),
    [
        ("/proc/sys/kernel/osrelease", "5.4.0-1-amd64", "kernel", "fail", "older than 5.12"),
        ("/proc/self/status", "CapEff:\t00000000a80425fb\n", "privileges", "fail", "CAP_SYS_ADMIN"),
        ("/proc/filesystems", "nodev\tproc\n", "overlayfs", "fail", "not known"),
        ("/proc/sys/kernel/seccomp/actions_avail", "", "seccomp", "fail", "cannot load"),
        ("/proc/sys/user/max_pid_namespaces", "0\n", "namespaces", "fail", "max_pid_namespaces is 0"),
        ("/proc/sys/vm/memfd_noexec", "2\n", "memfd", "fail", "forbidden"),
        ("/proc/self/mountinfo", DISK, "cgroups", "fail", "none mounted"),
        ("/proc/self/mountinfo", DISK + UNIFIED, "cgroups", "fail", "version 2 alone"),
        ("/proc/self/mountinfo", DISK + V1.replace("pids", "rdma"), "cgroups", "warn", "without pids"),
        ("/proc/self/mountinfo", V1 + DISK.replace("ext4", "overlay"), "data root", "fail", "on overlay"),
        ("/proc/self/mountinfo", V1 + DISK.replace("ext4", "nfs4"), "data root", "warn", "on nfs4"),
        ("/proc/self/mountinfo", V1 + DISK.replace("ext4", "tmpfs"), "data root", "warn", "next boot"),
        ("/proc/self/mountinfo", V1 + DISK.replace("/ / rw", "/ / ro"), "data root", "fail", "read-only"),
    ],
)
def test_what_is_missing_is_named_with_a_fix(
    host: Host, path: str, text: str, subject: str, verdict: str, words: str
) -> None:
    host.write(path, text)

    finding = host.of(subject)

    assert finding is not None
    assert (finding.verdict, words in finding.fact) == (verdict, True)
    assert finding.fix


def test_a_namespace_the_kernel_lacks_is_named(host: Host) -> None:
    (host.root / "proc/self/ns/net").unlink()

    finding = host.of("namespaces")

    assert finding is not None
    assert finding.fact == "not available: net"


def test_swap_that_cannot_be_limited_is_a_warning(host: Host) -> None:
    (host.root / "sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").unlink()

    finding = host.of("swap limit")

    assert finding is not None
    assert finding.verdict == doctor.WARN


def test_somebody_who_is_not_root_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    finding = host.of("privileges")

    assert finding is not None
    assert (finding.verdict, "sudo" in finding.fix) == (doctor.FAIL, True)


def test_the_report_tells_of_the_engine_that_answers(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(json_reply({"Version": "9.9"}), json_reply({"Warnings": ["No swap limit support"]}))

    findings = json.loads(rundlet("doctor", "--json").out)

    of_engine = [(finding["verdict"], finding["fact"]) for finding in findings if finding["subject"] == "engine"]
    assert of_engine == [("ok", f"version 9.9 answers at {engine.host}"), ("warn", "No swap limit support")]

"""The program that a container runs: who it is, what it may, what it inherits, and how starting it fails."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import struct
from pathlib import Path
from typing import cast

import pytest

from rundlet.cgroups import Cgroup
from rundlet.runtime.launch import LaunchError
from tests.integration.runtime.sandbox import Document, Sandbox, run_alone, wait_started

pytestmark = pytest.mark.privileged


def _status(sandbox: Sandbox, document: Document) -> dict[str, str]:
    document["process"]["args"] = ["cat", "/proc/self/status"]
    lines = sandbox.run(document).output.splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


# ── credentials ─────────────────────────────────────────────────────────────────────────────────────────────


def test_root_has_dockers_capabilities_and_no_others(sandbox: Sandbox) -> None:
    status = _status(sandbox, sandbox.document())

    assert {name: status[f"Cap{name}"] for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {
        "Inh": "0000000000000000",
        "Prm": "00000000a80425fb",
        "Eff": "00000000a80425fb",
        "Bnd": "00000000a80425fb",
        "Amb": "0000000000000000",
    }


def test_another_user_has_only_the_bounding_set(sandbox: Sandbox) -> None:
    document = sandbox.document()
    document["process"]["user"] = {"uid": 1000, "gid": 1001}

    status = _status(sandbox, document)

    assert (status["CapPrm"], status["CapEff"], status["CapBnd"]) == ("0" * 16, "0" * 16, "00000000a80425fb")
    assert (status["Uid"], status["Gid"]) == ("1000\t1000\t1000\t1000", "1001\t1001\t1001\t1001")


def test_ambient_capabilities_reach_a_program_of_another_user(sandbox: Sandbox) -> None:
    document = sandbox.document()
    document["process"]["user"] = {"uid": 1000, "gid": 1001}
    document["process"]["capabilities"] |= {"inheritable": ["CAP_CHOWN"], "ambient": ["CAP_CHOWN"]}

    status = _status(sandbox, document)

    assert (status["CapEff"], status["CapAmb"]) == ("0000000000000001", "0000000000000001")


def test_no_new_privileges_is_off_unless_asked_for(sandbox: Sandbox) -> None:
    document = sandbox.document()
    assert _status(sandbox, document)["NoNewPrivs"] == "0"

    document["process"]["noNewPrivileges"] = True
    assert _status(sandbox, document)["NoNewPrivs"] == "1"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({"uid": 5, "gid": 6, "additionalGids": [7, 8]}, "uid=5 gid=6 groups=7,8"),
        ({"username": "alice"}, "uid=1000(alice) gid=1001(alice) groups=10(wheel),1001(alice)"),
        ({"username": "alice:video"}, "uid=1000(alice) gid=44(video) groups=44(video)"),
        ({"username": "1000"}, "uid=1000(alice) gid=1001(alice) groups=10(wheel),1001(alice)"),
        ({"username": "77:88"}, "uid=77 gid=88 groups=88"),
        ({"username": "77", "additionalGroups": ["video", "9"]}, "uid=77 gid=0(root) groups=0(root),9,44(video)"),
    ],
)
def test_the_user_is_looked_up_in_the_containers_own_files(
    sandbox: Sandbox, user: Document, expected: str
) -> None:
    """Including a user *named* 1000 with uid 0, which a number never means (CVE-2016-3697)."""
    document = sandbox.document("id")
    document["process"]["user"] = user

    assert sandbox.run(document).output.strip() == expected


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("bob", "unable to find user bob: no matching entries in passwd file"),
        ("alice:staff", "unable to find group staff: no matching entries in group file"),
    ],
)
def test_a_user_or_group_that_nobody_knows_is_an_error(sandbox: Sandbox, user: str, message: str) -> None:
    document = sandbox.document("id")
    document["process"]["user"] = {"username": user}

    with pytest.raises(LaunchError) as caught:
        sandbox.run(document)

    assert (caught.value.kind, caught.value.message) == ("invalid", message)


def test_the_umask_is_the_configs_or_022(sandbox: Sandbox) -> None:
    document = sandbox.document("sh", "-c", "umask")
    assert sandbox.run(document).output.strip() == "0022"

    document["process"]["user"]["umask"] = 0o77
    assert sandbox.run(document).output.strip() == "0077"


def test_limits_are_the_configs(sandbox: Sandbox) -> None:
    document = sandbox.document("sh", "-c", "ulimit -n; ulimit -Hn; ulimit -c")
    document["process"]["rlimits"] = [
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
    ]

    assert sandbox.run(document).output.split() == ["100", "200", "0"]


def test_a_limit_that_the_kernel_refuses_is_an_error_that_names_it(sandbox: Sandbox) -> None:
    document = sandbox.document("true")
    document["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 2**40, "hard": 2**40}]

    with pytest.raises(LaunchError, match="error setting rlimit RLIMIT_NOFILE: operation not permitted"):
        sandbox.run(document)


def test_oom_score_adj_is_the_configs(sandbox: Sandbox) -> None:
    document = sandbox.document("cat", "/proc/self/oom_score_adj")
    document["process"]["oomScoreAdj"] = 500

    assert sandbox.run(document).output.strip() == "500"


# mkdir and mkdirat are refused, all else allowed: struct sock_filter {u16 code; u8 jt, jf; u32 k}, see seccomp(2).
_EXDEV = 0x00050000 | errno.EXDEV  # SECCOMP_RET_ERRNO
_NO_MKDIR = b"".join(
    struct.pack("<HBBI", *instruction)
    for instruction in (
        (0x20, 0, 0, 0),
        (0x15, 1, 0, 83),
        (0x15, 0, 1, 258),
        (0x06, 0, 0, _EXDEV),
        (0x06, 0, 0, 0x7FFF0000),
    )
)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the filter has x86_64 call numbers")
@pytest.mark.parametrize("no_new_privileges", [False, True])
def test_a_seccomp_filter_holds_for_the_program_and_its_execs(sandbox: Sandbox, no_new_privileges: bool) -> None:
    document = sandbox.document("sh", "-c", "mkdir /x; grep Seccomp: /proc/self/status; sleep 1000")
    document["process"]["noNewPrivileges"] = no_new_privileges
    container = sandbox.start(document, seccomp=_NO_MKDIR)
    lines = [container.read_line(), container.read_line()]

    assert lines == ["mkdir: can't create directory '/x': Invalid cross-device link", "Seccomp:\t2"]
    assert "cross-device" in sandbox.exec(container, "mkdir", "/x", seccomp=_NO_MKDIR).read()


# ── what it inherits ────────────────────────────────────────────────────────────────────────────────────────


def test_the_program_has_three_descriptors_and_no_way_out_through_them(sandbox: Sandbox) -> None:
    container = sandbox.start(sandbox.document("sleep", "1000"))

    descriptors = container.descriptors_of(container.pid)

    assert sorted(descriptors) == ["0", "1", "2"]
    assert descriptors["0"] == "/dev/null"
    assert descriptors["1"].startswith("pipe:")


def test_stdin_null_is_the_containers_own_device(sandbox: Sandbox) -> None:
    host = os.stat("/dev/null")

    sandbox.run(sandbox.document("sh", "-c", "chown 1234 /proc/self/fd/0"))

    assert os.stat("/dev/null").st_uid == host.st_uid


def test_pipes_belong_to_the_programs_user_so_that_it_can_open_dev_stdout(sandbox: Sandbox) -> None:
    document = sandbox.document("sh", "-c", "echo fine > /dev/stdout")
    document["process"]["user"] = {"uid": 1000, "gid": 1001}

    assert sandbox.run(document).output == "fine\n"


def test_every_signal_has_its_default_action_and_none_is_blocked(sandbox: Sandbox) -> None:
    """Python ignores SIGPIPE, and execve would pass that on."""
    status = _status(sandbox, sandbox.document())

    assert (status["SigIgn"], status["SigBlk"]) == ("0" * 16, "0" * 16)


def test_the_environment_is_the_configs_the_last_of_a_name_counts_and_home_is_found(sandbox: Sandbox) -> None:
    document = sandbox.document("env")
    document["process"]["env"] = ["PATH=/bin", "A=1", "A=2", "EMPTY=", "bytes=\udcff"]
    document["process"]["user"] = {"username": "alice"}

    raw = sandbox.run(document | {"process": document["process"] | {"args": ["sh", "-c", "env | cat -v"]}}).output

    assert {"A=2", "EMPTY=", "bytes=M-^?", "HOME=/home/alice"} <= set(raw.split())
    assert "A=1" not in raw


def test_the_program_leads_a_session_of_its_own(sandbox: Sandbox) -> None:
    fields = sandbox.shell("cat /proc/1/stat").rpartition(")")[2].split()

    assert fields[1:4] == ["0", "1", "1"], "parent outside, process group 1, session 1"


# ── where it starts ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_working_directory_that_is_missing_is_made(sandbox: Sandbox) -> None:
    document = sandbox.document("pwd")
    document["process"]["cwd"] = "/made/for/me"

    assert sandbox.run(document).output == "/made/for/me\n"


@pytest.mark.parametrize("fd", [*range(3, 20), 63])
def test_the_working_directory_cannot_be_a_descriptor_of_ours(sandbox: Sandbox, fd: int) -> None:
    """CVE-2024-21626: /proc/self/fd/7 was a directory of the host."""
    document = sandbox.document("pwd")
    document["process"]["cwd"] = f"/proc/self/fd/{fd}"

    with pytest.raises(LaunchError) as caught:
        sandbox.run(document)

    assert os.strerror(caught.value.errno) in ("Too many levels of symbolic links", "No such file or directory")


def test_nor_can_a_symlink_of_the_image_make_it_one(sandbox: Sandbox, tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "work").symlink_to("/proc/self/cwd")
    sandbox.lower = [layer, *sandbox.lower]
    document = sandbox.document("pwd")
    document["process"]["cwd"] = "/work"

    with pytest.raises(LaunchError, match="too many levels of symbolic links"):
        sandbox.run(document)
    container = sandbox.start(sandbox.document("sleep", "1000"))
    with pytest.raises(LaunchError, match=r'chdir to cwd .*"/work".* too many levels of symbolic links'):
        sandbox.exec(container, "pwd", cwd="/work")


# ── failures ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("program", "kind", "message"),
    [
        ("nosuch", "no-program", 'exec: "nosuch": executable file not found in $PATH: unknown'),
        ("/no/such", "no-program", 'exec: "/no/such": stat /no/such: no such file or directory: unknown'),
        ("/etc/passwd", "not-executable", 'exec: "/etc/passwd": permission denied: unknown'),
        ("/etc", "not-executable", 'exec: "/etc": is a directory: unknown'),
        ("/bin/text", "not-executable", 'exec: "/bin/text": exec format error: unknown'),
        ("/bin/orphan", "no-program", "exec /bin/orphan: no such file or directory: unknown"),
        ("orphan", "no-program", "exec /bin/orphan: no such file or directory: unknown"),
        ("denied", "not-executable", 'exec: "/bin/denied": permission denied: unknown'),
        (
            "/proc/self/exe",
            "not-executable",
            'exec: "/proc/self/exe": too many levels of symbolic links: unknown',
        ),
    ],
)
def test_a_program_that_cannot_run_is_an_error_in_dockers_words(
    sandbox: Sandbox, tmp_path: Path, program: str, kind: str, message: str
) -> None:
    directory = tmp_path / "layer/bin"
    directory.mkdir(parents=True)
    for name, text, mode in (
        ("text", "just text", 0o755),
        ("orphan", "#!/no/interpreter\n", 0o755),
        ("denied", "#!/bin/sh\n", 0o644),
    ):
        (directory / name).write_text(text)
        (directory / name).chmod(mode)
    sandbox.lower = [tmp_path / "layer", *sandbox.lower]

    with pytest.raises(LaunchError) as caught:
        sandbox.run(sandbox.document(program))

    assert (caught.value.kind, caught.value.message) == (kind, message)


def test_arguments_that_are_too_long_are_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(LaunchError, match="argument list too long") as caught:
        sandbox.run(sandbox.document("true", "x" * (129 * 1024)))

    assert caught.value.kind == "not-executable"


def test_a_failure_leaves_no_process(sandbox: Sandbox) -> None:
    with pytest.raises(LaunchError):
        sandbox.run(sandbox.document("nosuch"))

    assert sandbox.reap() in ([127], [-9]), "its own end, or ours for it"
    assert sandbox.cgroup.pids() == []


def test_a_cgroup_that_cannot_be_joined_is_an_error_and_leaves_no_process(sandbox: Sandbox) -> None:
    class Refusing:
        unified_fd = None
        directories: dict[str, str] = {}

        def join(self, pid: int) -> None:
            raise OSError(28, "No space left on device")

    document = sandbox.document("true")
    document["mounts"] = [mount for mount in document["mounts"] if mount["type"] != "cgroup"]

    with pytest.raises(LaunchError, match="no space left on device"):
        sandbox.launch(document, cast(Cgroup, Refusing()))

    assert sandbox.reap() == [-9]


def test_a_child_that_fails_before_it_is_in_its_cgroups_says_why(sandbox: Sandbox) -> None:
    """Both sides work at once until the child waits: its failure must not be lost in the parent's."""

    class Late:
        unified_fd = sandbox.cgroup.unified_fd
        directories = sandbox.cgroup.directories

        def join(self, pid: int) -> None:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            sandbox.cgroup.join(pid)

    document = sandbox.document("true")
    document["root"]["path"] = "/no/such/root"

    with pytest.raises(LaunchError, match="no such file or directory: /no/such/root"):
        wait_started(sandbox.launch(document, cast(Cgroup, Late())))


def test_an_aborted_launch_leaves_a_child_to_be_reaped_and_nothing_else(sandbox: Sandbox) -> None:
    launch = sandbox.launch(sandbox.document("sleep", "1000"))

    launch.abort()

    assert sandbox.reap() == [-9]


def test_a_child_ends_with_its_parent(sandbox: Sandbox) -> None:
    """Also while it waits to be put into its cgroups: it holds copies of all that its parent had open."""
    reading, writing = os.pipe()

    class Deadly:
        unified_fd = sandbox.cgroup.unified_fd
        directories = sandbox.cgroup.directories

        def join(self, pid: int) -> None:
            os.write(writing, str(pid).encode())
            os._exit(0)

    def be_the_parent() -> None:
        sandbox.launch(sandbox.document("sleep", "1000"), cast(Cgroup, Deadly()))

    run_alone(be_the_parent)
    child = int(os.read(reading, 16))
    with contextlib.suppress(ProcessLookupError):
        pidfd = os.pidfd_open(child)
        assert select.select([pidfd], [], [], 10)[0]
        os.close(pidfd)
    os.close(reading)
    os.close(writing)


def test_a_child_that_is_killed_during_set_up_is_an_error(sandbox: Sandbox) -> None:
    launch = sandbox.launch(sandbox.document("sleep", "1000"))
    os.kill(launch.pid, 9)

    with pytest.raises(LaunchError, match="killed during set-up"):
        wait_started(launch)


def test_the_callers_descriptors_stay_its_own(sandbox: Sandbox) -> None:
    reading, writing = os.pipe()
    try:
        container = sandbox.start(sandbox.document("cat"), stdin=reading)
        os.write(writing, b"input")
        os.close(writing)
        assert container.wait().output == "input"
        assert os.read(reading, 64) == b"", "open still, and at its end"
    finally:
        os.close(reading)

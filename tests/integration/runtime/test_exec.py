"""A further process in a running container, and terminals of both."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import cast

import pytest

from rundlet.cgroups import Cgroup
from rundlet.runtime.launch import ChildStdio, InitProcess, LaunchError, launch_exec
from tests.integration.runtime.sandbox import Running, Sandbox, wait_started

pytestmark = pytest.mark.privileged


@pytest.fixture
def container(sandbox: Sandbox) -> Running:
    return sandbox.start(sandbox.document("sleep", "1000"))


def test_an_exec_is_in_the_containers_namespaces_and_cgroups(sandbox: Sandbox, container: Running) -> None:
    process = sandbox.exec(container, "sleep", "1000")

    for name in ("mnt", "net", "uts", "pid", "ipc"):
        assert os.readlink(f"/proc/{process.pid}/ns/{name}") == os.readlink(f"/proc/{container.pid}/ns/{name}")
    assert Path(f"/proc/{process.pid}/cgroup").read_text() == Path(f"/proc/{container.pid}/cgroup").read_text()
    assert os.readlink("/proc/self/ns/pid_for_children") == os.readlink("/proc/self/ns/pid")


def test_an_exec_is_a_direct_child_with_its_own_exit_status(sandbox: Sandbox, container: Running) -> None:
    assert sandbox.exec(container, "sh", "-c", "exit 42").wait().status == 42
    process = sandbox.exec(container, "sleep", "1000")
    assert Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[1] == str(os.getpid())
    signal.pidfd_send_signal(process.pidfd, signal.SIGTERM)
    assert process.wait_exit() == 128 + signal.SIGTERM


def test_pid_and_start_time_name_the_process(sandbox: Sandbox, container: Running) -> None:
    fields = Path(f"/proc/{container.pid}/stat").read_text().rpartition(")")[2].split()

    assert container.start_time == int(fields[19])


def test_an_exec_has_the_same_hygiene_as_the_first_process(sandbox: Sandbox, container: Running) -> None:
    process = sandbox.exec(container, "sleep", "1000")
    status = Path(f"/proc/{process.pid}/status").read_text()

    assert sorted(process.descriptors_of(process.pid)) == ["0", "1", "2"]
    for line in ("CapInh:\t0000000000000000", "CapBnd:\t00000000a80425fb", "CapAmb:\t0000000000000000"):
        assert line in status
    assert "SigIgn:\t0000000000000000" in status


def test_an_exec_has_the_user_directory_and_environment_that_it_asks_for(
    sandbox: Sandbox, container: Running
) -> None:
    process = sandbox.exec(
        container,
        "sh",
        "-c",
        "id -u; pwd; echo $A $HOME",
        cwd="/tmp",
        env=["A=b", "PATH=/bin"],
        user={"username": "alice"},
    )

    assert process.read().split() == ["1000", "/tmp", "b", "/home/alice"]


def test_an_exec_in_a_missing_directory_is_an_error_in_dockers_words(sandbox: Sandbox, container: Running) -> None:
    with pytest.raises(LaunchError) as caught:
        sandbox.exec(container, "true", cwd="/no/such")

    assert caught.value.message == (
        'chdir to cwd ("/no/such") set in config.json failed: no such file or directory: unknown'
    )


def test_a_process_that_makes_no_sense_is_an_error(sandbox: Sandbox, container: Running) -> None:
    with pytest.raises(LaunchError, match=r"process\.args: no program") as caught:
        sandbox.exec(container)

    assert caught.value.kind == "invalid"


def test_an_exec_in_a_container_that_has_ended_is_an_error(sandbox: Sandbox, container: Running) -> None:
    container.kill()

    with pytest.raises(LaunchError, match="the container has ended") as caught:
        sandbox.exec(container, "true")

    assert caught.value.kind == "conflict"


def test_a_container_that_ends_while_an_exec_starts_is_the_reason_of_its_failure(
    sandbox: Sandbox, container: Running
) -> None:
    class Slow:
        """While the child is put into its cgroups, the container is killed, and the child with it."""

        unified_fd = sandbox.cgroup.unified_fd

        def join(self, pid: int) -> None:
            signal.pidfd_send_signal(container.pidfd, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            sandbox.cgroup.join(pid)

    launch = launch_exec(
        InitProcess(container.pidfd, container.pid),
        sandbox.process("true"),
        seccomp=None,
        cgroup=cast(Cgroup, Slow()),
        stdio=ChildStdio(),
        container=container.config,
    )
    with pytest.raises(LaunchError, match="the container has ended") as caught:
        wait_started(launch)

    assert caught.value.kind == "conflict"


def test_the_container_cannot_see_into_a_process_that_is_being_set_up(sandbox: Sandbox) -> None:
    """CVE-2016-9962: root of the container reads whatever it can of every new process, as fast as it can.

    Host descriptors and the memory of the supervisor are there until execve; not being dumpable protects them.
    """
    loop = (
        "while :; do for p in /proc/[0-9]*; do case $p in /proc/1|/proc/self) ;; *) "
        "ls -l $p/fd $p/root $p/cwd $p/exe 2>/dev/null | grep -E 'python|memfd|socket|pytest' && echo FOUND $p;; "
        "esac; done; done"
    )
    container = sandbox.start(sandbox.document("sh", "-c", loop))

    for _ in range(50):
        assert sandbox.exec(container, "true").wait().status == 0
    container.kill()

    assert "FOUND" not in container.read()


def test_a_terminal_is_the_containers_console(sandbox: Sandbox) -> None:
    container = sandbox.start(
        sandbox.document(
            "sh", "-c", "tty; stty size; echo to console > /dev/console; ps -o tty | tail -1; id -u > /dev/tty"
        ),
        terminal=True,
        size=(33, 99),
    )

    output = container.read().replace("\r", "")

    assert output.splitlines()[:3] == ["/dev/pts/0", "33 99", "to console"]
    assert output.splitlines()[-1] == "0", "the controlling terminal is open as /dev/tty"


def test_the_terminals_input_and_hangup_reach_the_program(sandbox: Sandbox) -> None:
    container = sandbox.start(sandbox.document("sh", "-c", "echo ready; cat"), terminal=True)
    assert container.console is not None
    assert container.read_line() == "ready"

    os.write(container.console, b"hello\n\x04")

    assert container.wait().output.replace("\r", "") == "hello\nhello\n"


def test_an_exec_has_a_terminal_of_its_own_and_owns_it(sandbox: Sandbox, container: Running) -> None:
    process = sandbox.exec(
        container, "sh", "-c", "tty; stat -c %u $(tty); stty size", terminal=True, size=(7, 8), user={"uid": 1000}
    )

    assert process.read().split() == ["/dev/pts/0", "1000", "7", "8"]


def test_a_terminal_needs_a_devpts_of_the_containers_own(sandbox: Sandbox, tmp_path: Path) -> None:
    """CVE-2025-52565: what stands at /dev/pts may be anything the image or a volume brought."""
    document = sandbox.document("sh")
    document["mounts"] = [mount for mount in document["mounts"] if mount["destination"] != "/dev/pts"]

    for extra in ([], [{"destination": "/dev/pts", "type": "bind", "source": str(tmp_path), "options": ["bind"]}]):
        with pytest.raises(LaunchError, match=r"make a terminal|not a devpts"):
            sandbox.start(document | {"mounts": document["mounts"] + extra}, terminal=True)

"""Containers and execs from start to deletion, and what is told of their end."""

from __future__ import annotations

import os
import resource
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rundlet.cgroups import detect
from rundlet.runtime.messages import (
    CloseStdin,
    Delete,
    Exec,
    Failed,
    Forget,
    Reopen,
    Shutdown,
    Signal,
    Start,
    Started,
    Stdio,
)
from rundlet.runtime.spool import STDERR, SpoolReader
from rundlet.runtime.supervisor.spawn import spawn_supervisor
from tests.integration.supervisor.client import HOST_PYTHON, PYTHON, Client, read_all, read_until
from tests.integration.supervisor.conftest import INSTANCE

pytestmark = pytest.mark.privileged

WaitFor = Callable[[Callable[[], object]], None]


def test_a_container_starts_writes_ends_and_is_gone(client: Client) -> None:
    client.start("one", "echo out; echo err >&2; exit 3")
    status = client.wait_exit("one")
    assert (status.code, status.signal, status.oom_killed) == (3, None, False)
    assert abs(status.at_ns - time.time_ns()) < 60e9
    with SpoolReader(client.spool("one")) as reader:
        assert {r.stream: r.data for r in reader.read() if r.data} == {1: b"out\n", 2: b"err\n"}
        assert reader.is_finished
    client.delete("one")
    assert not os.path.exists(f"/sys/fs/cgroup/pids/{INSTANCE}/one")
    assert client.fail(Delete(0, "one")).kind == "not-found"


@pytest.mark.parametrize("code", [0, 1, 127, 255])
def test_the_exit_code_is_the_program_s(client: Client, code: int) -> None:
    client.start("one", f"exit {code}")
    assert client.wait_exit("one").code == code


def test_a_signal_is_told_as_128_and_its_number(client: Client) -> None:
    client.start("one", "sleep 60")
    client.signal("one", signal.SIGKILL)
    status = client.wait_exit("one")
    assert (status.code, status.signal, status.oom_killed) == (137, 9, False)
    failed = client.fail(Signal(0, "one", 9))
    assert (failed.kind, failed.message) == ("conflict", "container one has exited")


def test_a_program_that_is_not_there_leaves_nothing(client: Client, wait_for: WaitFor) -> None:
    answer, fds = client.try_start("one", ["/bin/nosuch"])
    assert isinstance(answer, Failed)
    assert (answer.kind, fds) == ("no-program", [])
    assert not os.path.exists(f"/sys/fs/cgroup/pids/{INSTANCE}/one")
    children = Path(f"/proc/{client.welcome.pid}/task/{client.welcome.pid}/children")
    wait_for(lambda: not children.read_text())
    client.spool("one").rmdir()
    client.start("one", "true")


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"root": {"path": "relative"}}, "invalid", "root.path"),
        ({"process": "none"}, "invalid", "process"),
        ({"linux": {"resources": {"pids": {"limit": "x"}}, "namespaces": [{"type": "mount"}]}}, "invalid", "pids"),
    ],
)
def test_a_config_that_is_wrong_is_refused_by_name(
    client: Client, change: dict[str, object], kind: str, words: str
) -> None:
    config = {**client.config(["true"]), **change}
    failed = client.fail(Start(0, "one", config, Stdio(), str(client.run)))
    assert failed.kind == kind
    assert words in failed.message


def test_names_that_would_leave_the_cgroup_s_directory_are_refused(client: Client) -> None:
    answer, _ = client.try_start("../x", ["true"])
    assert isinstance(answer, Failed)
    assert answer.kind == "invalid"


def test_stdin_reaches_the_program_and_ends_when_both_ends_are_closed(client: Client) -> None:
    fds = client.start("one", "cat", stdio=Stdio(stdin=True))
    os.write(fds.stdin, b"words")
    os.close(fds.stdin)
    fds.stdin = -1
    client.close_stdin("one")
    client.done(CloseStdin(0, "one"))
    assert client.wait_exit("one").code == 0
    assert client.output("one") == b"words"


def test_a_terminal_is_one_stream_and_takes_input(client: Client) -> None:
    stdio = Stdio(terminal=True, stdin=True, console_size=(24, 80))
    fds = client.start("one", "stty size; read line; echo got $line >&2", stdio=stdio)
    os.write(fds.console, b"it\n")
    assert client.wait_exit("one").code == 0
    words = client.output("one").replace(b"it\r\n", b"", 1).split()  # the echo comes whenever the line is typed
    assert words == [b"24", b"80", b"got", b"it"]
    with SpoolReader(client.spool("one")) as reader:
        reader.read()
        assert reader.is_finished


def test_a_terminal_that_everyone_closed_for_a_moment_goes_on(client: Client) -> None:
    script = "exec 0<&- 1>&- 2>&-; sleep 0.2; exec 1>/dev/console; echo back"
    client.start("one", script, stdio=Stdio(terminal=True))
    assert client.wait_exit("one").code == 0
    assert client.output("one") == b"back\r\n"


def test_much_output_through_a_terminal_is_complete(client: Client) -> None:
    client.start("one", "seq 1 20000", stdio=Stdio(terminal=True))
    assert client.wait_exit("one").code == 0
    assert client.output("one").split() == [b"%d" % n for n in range(1, 20001)]


def test_an_exec_runs_in_the_container_and_its_exit_is_kept_until_forgotten(client: Client) -> None:
    client.start("one", "echo $$ > /dev/here; sleep 60")
    fds = client.exec("one", "e1", "cat /dev/here; echo err >&2; cat; exit 5", Stdio(stdin=True))
    os.write(fds.stdin, b"typed")
    os.close(fds.stdin)
    fds.stdin = -1
    # The supervisor still holds the pipe open, so that a daemon that comes back can go on.
    client.done(CloseStdin(0, "one", "e1"))
    assert read_all(fds.stdout) == b"1\ntyped"
    assert read_all(fds.stderr) == b"err\n"
    assert client.wait_exit("one", "e1").code == 5
    again = client.reopen("one", "e1")
    assert os.read(again.stdout, 1) == b""
    client.forget("one", "e1")
    assert client.fail(Reopen(0, "one", "e1")).kind == "not-found"
    client.delete("one", force=True)


def test_an_exec_with_a_terminal(client: Client) -> None:
    client.start("one", "sleep 60")
    fds = client.exec("one", "e1", "read line; echo got $line", Stdio(terminal=True, stdin=True))
    os.write(fds.console, b"it\n")
    read_until(fds.console, b"got it")
    assert client.wait_exit("one", "e1").code == 0


def test_an_exec_that_cannot_be_is_told_why(client: Client) -> None:
    process = client.process(["/bin/nosuch"])
    client.start("one", "sleep 60")
    assert client.fail(Exec(0, "one", "e1", process, Stdio())).kind == "no-program"
    assert client.fail(Exec(0, "other", "e1", process, Stdio())).kind == "not-found"
    assert client.fail(Exec(0, "one", "e/1", process, Stdio())).kind == "invalid"
    client.exec("one", "e1", "sleep 60")
    assert client.fail(Exec(0, "one", "e1", process, Stdio())).kind == "conflict"
    assert client.fail(Forget(0, "one", "e1")).kind == "conflict"
    client.signal("one", signal.SIGKILL)
    assert client.wait_exit("one", "e1").code == 137
    assert client.wait_exit("one").code == 137
    assert client.fail(Exec(0, "one", "e2", process, Stdio())).kind == "conflict"


def test_an_end_is_told_whatever_becomes_of_the_output(client: Client) -> None:
    """A directory that cannot even be named stands for what nobody foresaw: it fails with no OSError."""
    log = client.run / "supervisor.log"
    answer, fds = client.request(Start(0, "one", client.config(["sh", "-c", "exit 3"]), Stdio(), "/\ud800"))
    assert isinstance(answer, Started), answer
    assert client.wait_exit("one").code == 3
    client.delete("one")
    assert "end of container one: UnicodeEncodeError" in log.read_text()
    log.write_text("")  # what it says is not wrong here
    for fd in fds:
        os.close(fd)


def test_a_running_container_is_deleted_only_by_force(client: Client) -> None:
    client.start("one", "sleep 60")
    assert client.fail(Delete(0, "one")).kind == "conflict"
    assert client.fail(Shutdown(0)).kind == "conflict"
    client.delete("one", force=True)
    assert client.fail(Signal(0, "one", 0)).kind == "not-found"


def test_the_same_name_twice_is_a_conflict(client: Client) -> None:
    client.start("one", "sleep 60")
    client.spool("one").rename(client.run / "elsewhere")
    answer, _ = client.try_start("one", ["true"])
    assert isinstance(answer, Failed)
    assert answer.kind == "conflict"


def test_only_what_the_kernel_killed_for_memory_is_told_as_such(client: Client) -> None:
    limits = {"memory": {"limit": 16 << 20, "swap": 16 << 20}}
    client.start("one", "exec tail /dev/zero", resources=limits)
    status = client.wait_exit("one")
    assert (status.code, status.oom_killed) == (137, True)


def test_an_exec_that_runs_out_of_memory_does_not_end_the_container(client: Client) -> None:
    client.start(
        "one", "while true; do sleep 60; done", resources={"memory": {"limit": 16 << 20, "swap": 16 << 20}}
    )
    client.exec("one", "e1", "exec tail /dev/zero")
    status = client.wait_exit("one", "e1")
    assert (status.code, status.oom_killed) == (137, True)
    client.exec("one", "e2", "exit 3")
    status = client.wait_exit("one", "e2")
    assert (status.code, status.oom_killed) == (3, False)


def test_a_frozen_container_takes_no_exec_and_dies_of_sigkill(client: Client) -> None:
    client.start("one", "sleep 60")
    detect().cgroup(f"/{INSTANCE}/one").freeze()
    failed = client.fail(Exec(0, "one", "e1", client.process(["true"]), Stdio()))
    assert (failed.kind, failed.message) == ("conflict", "container one is paused")
    client.signal("one", signal.SIGKILL)
    assert client.wait_exit("one").code == 137


def test_a_trap_stop_is_no_death(client: Client) -> None:
    """A program that asks to be traced makes the supervisor its tracer; it is let go and lives on."""
    code = (
        "import ctypes, os, signal\n"
        "signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b'handled'))\n"
        "ctypes.CDLL(None).ptrace(0, 0, 0, 0)\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\n"
        "os._exit(7)\n"
    )
    config = client.config([PYTHON, "-I", "-S", "-c", code], mounts=HOST_PYTHON)
    client.spool("one").mkdir(parents=True)
    answer, fds = client.request(Start(0, "one", config, Stdio(), str(client.spool("one"))))
    assert not isinstance(answer, Failed), answer
    assert client.wait_exit("one").code == 7
    assert client.output("one") == b"handled"
    for fd in fds:
        os.close(fd)


def test_a_hung_up_terminal_does_not_make_the_supervisor_spin(client: Client) -> None:
    code = (
        "import ctypes, os, time\nctypes.CDLL(None).vhangup()\ntime.sleep(0.3)\n"
        "fd = os.open('/dev/console', os.O_RDWR | os.O_NOCTTY)\nos.write(fd, b'back')\ntime.sleep(0.2)\n"
    )
    process = {"capabilities": {name: ["CAP_SYS_TTY_CONFIG"] for name in ("bounding", "permitted", "effective")}}
    config = client.config(
        [PYTHON, "-I", "-S", "-c", f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{code}"],
        mounts=HOST_PYTHON,
        terminal=True,
        process=process,
    )
    client.spool("one").mkdir(parents=True)
    before = _cpu_ticks(client.welcome.pid)
    answer, fds = client.request(Start(0, "one", config, Stdio(terminal=True), str(client.spool("one"))))
    assert not isinstance(answer, Failed), answer
    client.wait_exit("one")
    assert client.output("one") == b"back"
    assert _cpu_ticks(client.welcome.pid) - before < 20, "ticks of 10 ms"
    for fd in fds:
        os.close(fd)


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_without_a_pid_namespace_the_others_end_with_the_first_and_are_reaped(
    client: Client, wait_for: WaitFor
) -> None:
    client.start("one", "(sleep 61 & sleep 62 &); exit 4", namespaces=("mount",))
    assert client.wait_exit("one").code == 4
    wait_for(lambda: not detect().cgroup(f"/{INSTANCE}/one").pids())
    children = Path(f"/proc/{client.welcome.pid}/task/{client.welcome.pid}/children")
    wait_for(lambda: not children.read_text())


def test_orphans_are_reaped_while_the_container_runs(client: Client, wait_for: WaitFor) -> None:
    client.start("one", "(true & true &); sleep 60", namespaces=("mount",))
    children = Path(f"/proc/{client.welcome.pid}/task/{client.welcome.pid}/children")
    wait_for(lambda: len(children.read_text().split()) == 1)


def test_programs_get_ordinary_limits_not_the_supervisor_s(client: Client) -> None:
    client.start("one", "ulimit -Sn; cat /proc/self/oom_score_adj")
    client.wait_exit("one")
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert client.output("one").split() == [b"%d" % soft, Path("/proc/self/oom_score_adj").read_bytes().strip()]


def test_the_notification_comes_with_the_output(client: Client) -> None:
    fds = client.start("one", "echo now; sleep 60")
    assert select.select([fds.notify], [], [], 10)[0]
    assert client.output("one") == b"now\n"


def test_stderr_and_stdout_are_told_apart_in_any_mixture(client: Client) -> None:
    client.start("one", "i=0; while [ $i -lt 500 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done")
    client.wait_exit("one")
    assert client.output("one").split() == [b"o%d" % n for n in range(500)]
    assert client.output("one", STDERR).split() == [b"e%d" % n for n in range(500)]


def test_the_supervisor_runs_from_a_sealed_executable_in_a_session_of_its_own(client: Client) -> None:
    pid = client.welcome.pid
    assert os.readlink(f"/proc/{pid}/exe").startswith("/memfd:rundlet")
    assert os.getsid(pid) != os.getsid(0)
    assert Path(f"/proc/{pid}/comm").read_text() == "rundlet-super\n"
    assert f"--cgroup-parent=/{INSTANCE}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    assert b"HOME=" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_spawning_a_second_time_finds_the_first(client: Client) -> None:
    spawn_supervisor(client.run, INSTANCE)
    again = Client(client.run, client.root)
    assert again.welcome.pid == client.welcome.pid
    again.close()

"""Daemons that die, come back, misbehave: containers do not notice, and nothing is lost."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rundlet.cgroups import detect
from rundlet.runtime import messages
from rundlet.runtime.messages import Failed, Hello, Signal, Start, Started, Stdio, Welcome
from rundlet.runtime.spool import SpoolReader
from rundlet.runtime.supervisor.connection import QUEUE_LIMIT
from tests.integration.supervisor.client import Client, read_all
from tests.integration.supervisor.conftest import INSTANCE

pytestmark = pytest.mark.privileged

WaitFor = Callable[[Callable[[], object]], None]


def test_a_daemon_that_comes_back_finds_everything(client: Client) -> None:
    """The running with their streams, the ended with their status, execs included."""
    client.start("runs", "cat; exit 6", stdio=Stdio(stdin=True))
    client.exec("runs", "e1", "cat; exit 7", Stdio(stdin=True))
    client.start("ended", "exit 5")
    client.wait_exit("ended")
    client.close()

    back = Client(client.run, client.root)
    states = {(task.container_id, task.exec_id): task for task in back.welcome.tasks}
    assert set(states) == {("runs", None), ("runs", "e1"), ("ended", None)}
    assert states["runs", None].exit is None
    ended = states["ended", None].exit
    assert ended is not None
    assert ended.code == 5
    assert states["runs", "e1"].stdio == Stdio(stdin=True)

    again = back.reopen("runs", "e1")
    os.write(again.stdin, b"to the exec")
    back.done(messages.CloseStdin(0, "runs", "e1"))
    os.close(again.stdin)
    again.stdin = -1
    assert read_all(again.stdout) == b"to the exec"
    assert back.wait_exit("runs", "e1").code == 7
    fds = back.reopen("runs")
    os.write(fds.stdin, b"to the container")
    os.close(fds.stdin)
    fds.stdin = -1
    back.close_stdin("runs")
    assert back.wait_exit("runs").code == 6
    assert back.output("runs") == b"to the container"
    back.close()


def test_an_exit_is_told_again_until_the_container_is_deleted(client: Client) -> None:
    client.start("one", "exit 9")
    client.wait_exit("one")
    for _ in range(3):
        back = Client(client.run, client.root)
        assert [task.exit and task.exit.code for task in back.welcome.tasks] == [9]
        back.close()
    last = Client(client.run, client.root)
    last.delete("one")
    last.close()
    nothing = Client(client.run, client.root)
    assert nothing.welcome.tasks == []
    nothing.close()


def test_what_is_closed_is_reopened_as_nothing(client: Client) -> None:
    client.start("one", "cat", stdio=Stdio(stdin=True)).close()
    client.close_stdin("one")
    assert client.wait_exit("one").code == 0
    fds = client.reopen("one")
    assert os.stat(fds.stdin).st_rdev == os.stat(os.devnull).st_rdev


def test_a_new_daemon_replaces_the_old(client: Client) -> None:
    client.start("one", "sleep 60")
    second = Client(client.run, client.root)
    assert messages.receive(client.sock) is None
    second.signal("one", signal.SIGTERM)
    second.close()


def test_a_start_whose_daemon_dies_is_known_or_leaves_nothing(client: Client, wait_for: WaitFor) -> None:
    for n in range(20):
        name = f"c{n}"
        dying = Client(client.run, client.root)
        client.spool(name).mkdir(parents=True)
        config = client.config(["sleep", "60"])
        messages.send(dying.sock, Start(1, name, config, Stdio(), str(client.spool(name))))
        dying.close()
    back = Client(client.run, client.root)
    known = {task.container_id for task in back.welcome.tasks}
    groups = Path(f"/sys/fs/cgroup/pids/{INSTANCE}")

    def alive() -> set[str]:
        return {path.name for path in groups.iterdir() if path.is_dir()} if groups.exists() else set()

    wait_for(lambda: alive() == known)
    for name in known:
        back.delete(name, force=True)
    back.close()


def test_a_protocol_of_another_version_is_refused(client: Client) -> None:
    sock = client.connect()
    messages.send(sock, Hello(7, version=99))
    answer, _ = messages.receive(sock) or (None, None)
    assert isinstance(answer, Failed)
    assert (answer.serial, answer.kind) == (7, "unsupported")
    assert messages.receive(sock) is None
    sock.close()
    client.start("one", "true")


@pytest.mark.parametrize(
    "packet",
    [
        b"X",
        b"J",
        b"Jnull",
        b"J[]",
        b"J{",
        b'J{"type":"Nosuch","serial":1}',
        b'J{"type":"Hello"}',
        b'J{"type":"Hello","serial":"1"}',
        b'J{"type":"Hello","serial":1,"version":1,"more":1}',
        b'J{"type":"Delete","serial":1,"container_id":["x"],"force":true}',
        b'J{"type":"Start","serial":1,"container_id":"x"}',
        b'J{"type":"Welcome","serial":1,"version":1,"pid":1,"tasks":[]}',
        b'J{"type":"Shutdown","serial":1}',
        b"J" + b"[" * 20_000,
        b"M",
        b"J\xff\xfe",
        b"J" + b" " * 100_000,
    ],
    ids=lambda packet: packet[:24].decode(errors="replace"),
)
def test_a_packet_that_is_no_request_costs_the_connection_and_nothing_else(client: Client, packet: bytes) -> None:
    """Sent before Hello, so that even well-formed ones are out of turn."""
    sock = client.connect()
    sock.send(packet)
    assert sock.recv(1) == b""
    sock.close()
    client.start("one", "exit 3")
    assert client.wait_exit("one").code == 3


def test_a_long_message_must_be_sealed(client: Client) -> None:
    """A pipe would block the supervisor, a file could change while it reads."""
    before = _descriptors(client.welcome.pid)
    read_end, write_end = os.pipe()
    memfd = os.memfd_create("unsealed", os.MFD_ALLOW_SEALING)
    os.write(memfd, b'{"type":"Hello","serial":1,"version":1}')
    for fd in (read_end, memfd):
        sock = client.connect()
        socket.send_fds(sock, [b"M"], [fd])
        assert sock.recv(1) == b""
        sock.close()
    sock = client.connect()
    fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, 0xF)
    socket.send_fds(sock, [b"M"], [memfd, read_end])
    welcome, _ = messages.receive(sock) or (None, None)
    assert isinstance(welcome, Welcome)
    sock.close()
    for fd in (read_end, write_end, memfd):
        os.close(fd)
    assert _descriptors(client.welcome.pid) <= before


def test_connections_that_say_nothing_do_not_pile_up(client: Client) -> None:
    before = _descriptors(client.welcome.pid)
    silent = [client.connect() for _ in range(100)]
    client.start("one", "true")
    assert _descriptors(client.welcome.pid) < before + 30
    for sock in silent:
        sock.close()


def test_a_daemon_that_never_reads_is_dropped_and_the_next_one_is_told(client: Client) -> None:
    client.start("one", "sleep 60")
    stalled = Client(client.run, client.root)
    stalled.sock.settimeout(30)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        _send_forever(stalled, Signal(1, "nosuch", 9))
    stalled.close()
    back = Client(client.run, client.root)
    back.signal("one", signal.SIGKILL)
    assert back.wait_exit("one").code == 137
    back.close()


def _send_forever(client: Client, message: messages.Message) -> None:
    for _ in range(QUEUE_LIMIT * 4):
        messages.send(client.sock, message)


def test_answers_that_have_to_wait_arrive_in_order_and_with_their_descriptors(client: Client) -> None:
    """More answers than the socket holds, read only when all are asked for."""
    client.start("one", "sleep 60")
    for n in range(1000):
        messages.send(client.sock, messages.Reopen(n, "one"))
    for n in range(1000):
        answer, fds = messages.receive(client.sock) or (None, [])
        assert isinstance(answer, Started)
        assert (answer.serial, len(fds)) == (n, 2)
        for fd in fds:
            os.close(fd)


def test_other_users_are_refused(client: Client) -> None:
    (client.run / "supervisor.sock").chmod(0o666)
    client.run.chmod(0o711)
    for parent in client.run.parents:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(0o711)
    child = os.fork()
    if child == 0:
        os._exit(_is_refused_as(65534, client))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _is_refused_as(uid: int, client: Client) -> int:
    """Exit status 0 if so."""
    os.setuid(uid)
    try:
        sock = client.connect()
        messages.send(sock, Hello(1))
        return int(sock.recv(1) != b"")
    except (BrokenPipeError, ConnectionResetError):
        return 0
    except OSError:
        return 2


def test_fifty_starts_leak_no_descriptor_and_no_child(client: Client) -> None:
    def once(n: int) -> None:
        name = f"c{n}"
        client.start(name, "cat; echo", stdio=Stdio(stdin=True, terminal=n % 5 == 0)).close()
        client.exec(name, "e", "true").close()
        client.wait_exit(name, "e")
        client.try_start(f"bad{n}", ["/nosuch"])
        client.delete(name, force=True)

    once(1)
    before = _descriptors(client.welcome.pid)
    for n in range(2, 52):
        once(n)
    assert _descriptors(client.welcome.pid) == before
    assert not Path(f"/proc/{client.welcome.pid}/task/{client.welcome.pid}/children").read_text()


def test_output_is_complete_when_the_daemon_is_killed_while_the_container_writes(
    client: Client, tmp_path: Path
) -> None:
    """It dies again and again; what the log holds in the end is what was written."""
    log = tmp_path / "log"
    log.touch()
    total = 4_000_000
    client.start("one", f"seq 1 {total}")
    expected = b"".join(b"%d\n" % n for n in range(1, total + 1))
    kills = 0
    while log.stat().st_size < len(expected):
        reader = os.fork()
        if reader == 0:
            # By a timer on its own CPU time: at no point in particular, however busy the machine is.
            signal.setitimer(signal.ITIMER_PROF, 0.004)
            os._exit(_copy_to_log(client.spool("one"), log, len(expected)))
        kills += os.waitstatus_to_exitcode(os.waitpid(reader, 0)[1]) == -signal.SIGPROF
    assert client.wait_exit("one").code == 0
    assert kills >= 2, kills
    assert log.read_bytes() == expected


def _copy_to_log(directory: Path, log: Path, total: int) -> int:
    fd = os.open(log, os.O_WRONLY | os.O_APPEND)
    with SpoolReader(directory, stdout_offset=os.fstat(fd).st_size) as reader:
        while os.fstat(fd).st_size < total:
            for record in reader.read(20_000):
                os.write(fd, record.data)
            reader.discard_consumed()
    return 0


def test_a_container_whose_output_nobody_takes_waits_and_no_other_does(client: Client, wait_for: WaitFor) -> None:
    client.start("floods", "yes")
    wait_for(lambda: len(os.listdir(client.spool("floods"))) == 17 and _is_asleep(client, "floods"))
    for n in range(3):
        client.start(f"c{n}", "echo fine")
        assert client.wait_exit(f"c{n}").code == 0
        assert client.output(f"c{n}") == b"fine\n"
    with SpoolReader(client.spool("floods")) as reader:
        taken = sum(len(record.data) for record in reader.read(1 << 30))
        reader.discard_consumed()
        wait_for(lambda: reader.read(1))
    assert 64 << 20 <= taken <= 72 << 20
    client.signal("floods", signal.SIGKILL)
    assert client.wait_exit("floods").code == 137


def _is_asleep(client: Client, name: str) -> bool:
    """Its only process waits in a write."""
    (pid,) = detect().cgroup(f"/{INSTANCE}/{name}").pids()
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def test_a_full_disk_stops_one_container_and_loses_nothing(client: Client, wait_for: WaitFor) -> None:
    disk = client.spool("one")
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tiny", disk], check=True)
    try:
        (disk / "ballast").write_bytes(bytes(200_000))
        spool = disk / "spool"
        spool.mkdir()
        config = client.config(["sh", "-c", "seq 1 20000; echo end >&2"])
        answer, fds = client.request(Start(0, "one", config, Stdio(), str(spool)))
        assert isinstance(answer, Started)
        wait_for(lambda: (client.run / "supervisor.log").read_text().count("output waits") == 1)
        client.start("other", "echo fine")
        assert client.wait_exit("other").code == 0
        (disk / "ballast").unlink()
        assert client.wait_exit("one").code == 0
        with SpoolReader(spool) as reader:
            data = b""
            while not reader.is_finished:
                data += b"".join(record.data for record in reader.read() if record.stream == 1)
        assert data.split() == [b"%d" % n for n in range(1, 20001)]
        client.delete("one")
        for fd in fds:
            os.close(fd)
    finally:
        subprocess.run(["umount", disk], check=True)
    log = client.run / "supervisor.log"
    log.write_text(log.read_text().replace("Errno", ""))


def test_memory_is_bounded(client: Client) -> None:
    """Private memory: what a supervisor costs beside the interpreter's shared pages."""
    for n in range(30):
        client.start(f"c{n}", "echo x").close()
        client.wait_exit(f"c{n}")
    rollup = Path(f"/proc/{client.welcome.pid}/smaps_rollup").read_text().splitlines()
    private_kb = sum(int(line.split()[1]) for line in rollup if line.startswith("Private_Dirty"))
    assert private_kb < 16_000, f"{private_kb} KB"


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))

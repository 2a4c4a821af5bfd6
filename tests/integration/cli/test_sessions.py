"""Our command at a real terminal and a real engine: what a person sees, types, and gets back."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engines import RundletDaemon

pytestmark = pytest.mark.privileged

RUNDLET = str(Path(sys.executable).parent / "rundlet")
RUN = ("run", "--network", "none")
PATIENCE_S = 20


class Person:
    """Somebody at a terminal of 24 rows and 80 columns."""

    def __init__(self, daemon: RundletDaemon) -> None:
        self.environment = daemon.environment
        self.master, self.slave = os.openpty()
        self.resize(24, 80)
        self.seen = b""
        self._processes: list[subprocess.Popen[bytes]] = []

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def runs(self, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [RUNDLET, *arguments], stdin=self.slave, stdout=self.slave, stderr=self.slave, env=self.environment
        )
        self._processes.append(process)
        return process

    def types(self, text: bytes) -> None:
        os.write(self.master, text)

    def sees(self, pattern: bytes) -> re.Match[bytes]:
        """Wait until the terminal shows it; what stands before it is done with."""
        while (match := re.search(pattern, self.seen)) is None:
            self.seen += os.read(self.master, 4096)
        self.seen = self.seen[match.end() :]
        return match

    def leaves(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def person(daemon: RundletDaemon) -> Iterator[Person]:
    person = Person(daemon)
    yield person
    person.leaves()


def rundlet(daemon: RundletDaemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [RUNDLET, *arguments], env=daemon.environment, capture_output=True, text=True, check=False, timeout=50
    )


def test_a_shell_has_the_terminals_size_and_follows_it(person: Person) -> None:
    shell = person.runs(*RUN, "--rm", "-it", "busybox", "sh")
    person.sees(rb"# ")
    person.types(b"stty size\n")
    assert person.sees(rb"(\d+ \d+)\r\n")[1] == b"24 80"

    person.resize(50, 132)
    shell.send_signal(signal.SIGWINCH)
    person.types(b"until stty size | grep '50 132'; do :; done; exit 3\n")

    person.sees(rb"\n50 132")
    assert shell.wait(PATIENCE_S) == 3


def test_ctrl_c_is_the_programs(person: Person) -> None:
    shell = person.runs(*RUN, "--rm", "-it", "busybox", "sh")
    person.sees(rb"# ")
    person.types(b"trap 'echo caught; exit 4' INT; echo ready; while :; do sleep 0.1; done\n")
    person.sees(rb"\nready")
    person.types(b"\x03")

    person.sees(rb"caught")
    assert shell.wait(PATIENCE_S) == 4


def test_a_session_is_left_and_taken_up_again(person: Person, daemon: RundletDaemon) -> None:
    first = person.runs(*RUN, "--name", "work", "-it", "busybox", "sh")
    person.sees(rb"# ")
    person.types(b"x=kept\n\x10\x11")

    assert first.wait(PATIENCE_S) == 0
    assert rundlet(daemon, "ps", "--format", "{{.Names}}").stdout == "work\n"

    second = person.runs("attach", "work")
    person.types(b"echo again $x; exit 5\n")
    person.sees(rb"\nagain kept")
    assert second.wait(PATIENCE_S) == 5


def test_exec_has_a_terminal_of_its_own(person: Person, daemon: RundletDaemon) -> None:
    rundlet(daemon, *RUN, "-d", "--name", "host", "busybox", "sleep", "600")

    shell = person.runs("exec", "-it", "host", "sh")
    person.sees(rb"# ")
    person.types(b"tty; stty size; exit 6\n")

    person.sees(rb"/dev/pts/\d+\r\n24 80\r\n")
    assert shell.wait(PATIENCE_S) == 6


def test_a_signal_to_the_client_ends_the_program(daemon: RundletDaemon) -> None:
    program = "trap 'echo told; exit 9' TERM; echo ready; while :; do sleep 0.1; done"
    client = subprocess.Popen(
        [RUNDLET, *RUN, "--rm", "busybox", "sh", "-c", program], stdout=subprocess.PIPE, env=daemon.environment
    )
    with client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"ready\n"
        client.terminate()
        assert client.stdout.read() == b"told\n"
    assert client.returncode == 9


def test_followed_logs_end_with_the_container(daemon: RundletDaemon) -> None:
    rundlet(daemon, *RUN, "-d", "--name", "talker", "busybox", "sh", "-c", "echo one; read x; echo two")
    with subprocess.Popen(
        [RUNDLET, "logs", "-f", "talker"], stdout=subprocess.PIPE, env=daemon.environment
    ) as logs:
        assert logs.stdout is not None
        assert logs.stdout.readline() == b"one\n"
        rundlet(daemon, "kill", "talker")
        logs.stdout.read()
    assert logs.returncode == 0


def test_names_are_completed(daemon: RundletDaemon) -> None:
    rundlet(daemon, "create", "--name", "completable", "busybox")

    assert rundlet(daemon, "__complete", "rm", "compl").stdout == "completable\n"
    assert rundlet(daemon, "__complete", "run", "busy").stdout == "busybox\nbusybox:latest\n"
    assert "--memory-swap\n" in rundlet(daemon, "__complete", "run", "--mem").stdout
    assert "images\n" in rundlet(daemon, "__complete", "im").stdout


def test_bash_completes_names_with_colons(daemon: RundletDaemon) -> None:
    """The script itself, in a real bash: it takes off the part before the colon, as bash wants it."""
    script = rundlet(daemon, "completion", "bash").stdout
    done = subprocess.run(
        [
            "bash",
            "-c",
            f'{script}\nCOMP_LINE="rundlet rmi busybox:l" COMP_POINT=21; _rundlet; echo "${{COMPREPLY[@]}}"',
        ],
        env={**daemon.environment, "PATH": f"{Path(RUNDLET).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )

    assert done.stdout == "latest\n"


class TypedDaemon(RundletDaemon):
    """Started as a person starts it."""

    def command(self) -> list[str]:
        return [RUNDLET, "daemon", *self.words()]

    def words(self) -> list[str]:
        return super().command()[3:]  # without "python -m rundlet.daemon"


def test_the_daemon_shows_in_ps_as_it_was_typed() -> None:
    with TypedDaemon.create() as daemon:
        shown = Path(f"/proc/{daemon.pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")

        assert [os.fsdecode(word) for word in shown] == ["rundlet", "daemon", *daemon.words()]

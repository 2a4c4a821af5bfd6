"""``run -it`` and ``exec -it`` at a real terminal: every key goes through, the window's size, the way back."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator

import pytest

from tests.unit.cli.conftest import json_reply
from tests.unit.sdk.fake_engine import FakeEngine, Peer, head, reply

ID = "c" * 64
CREATED = json_reply({"Id": ID, "Warnings": []}, "201 Created")
NO_CONTENT = reply("204 No Content")
UPGRADED = head("101 UPGRADED", "Connection: Upgrade", "Upgrade: tcp")
PATIENCE_S = 20


class Terminal:
    """A terminal with a window of 24 by 80, and a command line that runs at it."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        self.resize(24, 80)
        self.modes = termios.tcgetattr(self.slave)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def run(self, *argv: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "rundlet.cli", *argv], stdin=self.slave, stdout=self.slave, stderr=self.slave
        )

    def type(self, data: bytes) -> None:
        os.write(self.master, data)

    def is_raw(self) -> bool:
        return not termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ECHO)

    def read_until(self, end: bytes) -> bytes:
        shown = b""
        while end not in shown:
            shown += os.read(self.master, 4096)
        return shown


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    os.close(terminal.master)
    os.close(terminal.slave)


def test_keys_go_through_as_they_are_and_the_terminal_comes_back(terminal: Terminal, engine: FakeEngine) -> None:
    """Ctrl-C and a line without its end are bytes like all others; nothing is echoed by the client's terminal."""
    ended = threading.Event()

    def shell(peer: Peer) -> None:
        peer.send(UPGRADED + b"$ ")
        typed = peer.read(3)
        assert terminal.is_raw()
        peer.send(b"got %r\r\n" % typed)
        ended.set()

    def exit_after_the_shell(peer: Peer) -> None:
        peer.send(head("200 OK"))
        assert ended.wait(PATIENCE_S)
        peer.send(b'{"StatusCode": 7}')

    engine.will(CREATED, shell, exit_after_the_shell, NO_CONTENT, reply("200 OK"))
    process = terminal.run("run", "-it", "busybox", "sh")
    terminal.read_until(b"$ ")
    terminal.type(b"a\x03b")

    assert b"got b'a\\x03b'" in terminal.read_until(b"\r\n")
    assert process.wait(PATIENCE_S) == 7
    assert termios.tcgetattr(terminal.slave) == terminal.modes
    body = json.loads(engine.requests[0][1])
    assert (body["Tty"], body["OpenStdin"], body["HostConfig"]["ConsoleSize"]) == (True, True, [24, 80])
    assert engine.peers[4].target == f"/containers/{ID}/resize?h=24&w=80"


def test_the_detach_keys_end_the_client_and_not_the_container(terminal: Terminal, engine: FakeEngine) -> None:
    def shell(peer: Peer) -> None:
        peer.send(UPGRADED + b"$ ")
        assert peer.read(2) == b"x"  # and then the end: the keys themselves are not passed on

    def never(peer: Peer) -> None:
        peer.send(head("200 OK"))
        assert peer.read(1) == b""

    engine.will(CREATED, shell, never, NO_CONTENT, reply("200 OK"))
    process = terminal.run("run", "-it", "--detach-keys", "ctrl-a,d", "busybox")
    terminal.read_until(b"$ ")
    terminal.type(b"x\x01d")

    assert process.wait(PATIENCE_S) == 0
    assert termios.tcgetattr(terminal.slave) == terminal.modes


def test_a_window_that_changes_is_told(terminal: Terminal, engine: FakeEngine) -> None:
    resized = threading.Event()

    def shell(peer: Peer) -> None:
        peer.read_body()
        peer.send(UPGRADED + b"$ ")
        assert resized.wait(PATIENCE_S)

    def resize(peer: Peer) -> None:
        peer.send(reply("200 OK"))
        resized.set()

    engine.will(json_reply({"Id": "e" * 64}), shell, reply("200 OK"), resize, json_reply({"ExitCode": 0}))
    process = terminal.run("exec", "-it", "web", "sh")
    terminal.read_until(b"$ ")
    terminal.resize(40, 132)
    process.send_signal(signal.SIGWINCH)

    assert process.wait(PATIENCE_S) == 0
    assert engine.peers[3].target == f"/exec/{'e' * 64}/resize?h=40&w=132"

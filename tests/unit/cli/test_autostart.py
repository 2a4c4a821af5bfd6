"""The default engine is started when it does not run, once, and what keeps it from starting is told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rundlet.cli import autostart
from rundlet.cli.context import Context
from rundlet.errors import EngineUnavailable

LISTENS = """
import socket, sys, os
sock = socket.socket(socket.AF_UNIX)
sock.bind(sys.argv[1])
sock.listen()
open(sys.argv[2], "a").write(f"{os.getpid()}\\n")
while True:
    sock.accept()
"""
FAILS = """
import sys
print("starting", flush=True)
sys.exit("rundlet daemon: data root /d is in use by another daemon")
"""


class DefaultEngine:
    """Stands where the default engine would be, below a directory of the test's own."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.socket = root / "run" / "rundlet.sock"
        self.started = root / "started"
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(autostart, "RUN_ROOT", str(root / "run"))
        monkeypatch.setattr(autostart, "SOCKET", str(self.socket))
        monkeypatch.setattr(autostart, "LOG", str(root / "run" / "daemon.log"))
        monkeypatch.setattr("os.geteuid", lambda: 0)
        monkeypatch.delenv("RUNDLET_HOST", raising=False)

    def is_started_by(self, program: str) -> None:
        argv = [sys.executable, "-c", program, str(self.socket), str(self.started)]
        self._monkeypatch.setattr("rundlet.cli.commands.daemon.daemon_argv", lambda words: argv)

    def pids(self) -> list[int]:
        return [int(line) for line in self.started.read_text().split()] if self.started.exists() else []


@pytest.fixture
def default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DefaultEngine]:
    engine = DefaultEngine(tmp_path, monkeypatch)
    yield engine
    for pid in engine.pids():
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # it is meant to be
def test_an_engine_that_does_not_run_is_started_once_and_said_so(
    default: DefaultEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    default.is_started_by(LISTENS)

    autostart.ensure_running()
    autostart.ensure_running()

    assert len(default.pids()) == 1
    assert capsys.readouterr().err == "rundlet: starting the engine in the background\n"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(default.socket))
    assert os.getsid(default.pids()[0]) != os.getsid(0)  # a Ctrl-C here is not for it


def test_a_start_that_fails_tells_its_last_words_and_the_log(default: DefaultEngine) -> None:
    default.is_started_by(FAILS)

    with pytest.raises(EngineUnavailable) as caught:
        autostart.ensure_running()

    text = str(caught.value)
    assert "it did not start (exit status 1): rundlet daemon: data root /d is in use by another daemon" in text
    assert autostart.LOG in text


def test_what_an_engine_before_said_stays_in_the_log(default: DefaultEngine) -> None:
    for program in ("import sys; sys.exit('the first')", "import sys; sys.exit(3)"):
        default.is_started_by(program)
        with pytest.raises(EngineUnavailable) as caught:
            autostart.ensure_running()

    assert Path(autostart.LOG).read_text() == "the first\n"
    assert "the first" not in str(caught.value)  # which is of the second


def test_a_start_that_takes_for_ever_ends(default: DefaultEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def remember(*args: object, **kwargs: object) -> subprocess.Popen[bytes]:
        children.append(real(*args, **kwargs))  # type: ignore[call-overload]
        return children[-1]

    monkeypatch.setattr(autostart, "START_TIMEOUT_S", 0.05)
    monkeypatch.setattr("subprocess.Popen", remember)
    default.is_started_by("import signal; print('looking for its disk', flush=True); signal.pause()")

    with pytest.raises(EngineUnavailable, match="it does not answer after 0 s"):
        autostart.ensure_running()

    children[0].kill()
    children[0].wait()


def test_only_root_is_offered_a_start(default: DefaultEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(EngineUnavailable, match="only root can start it"):
        autostart.ensure_running()


def test_an_engine_that_was_named_is_never_started(
    default: DefaultEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    default.is_started_by(LISTENS)
    monkeypatch.setenv("RUNDLET_HOST", f"unix://{tmp_path}/other.sock")

    assert Context().engine().host == f"unix://{tmp_path}/other.sock"
    assert Context("tcp://localhost:1").engine().host == "tcp://localhost:1"
    assert default.pids() == []

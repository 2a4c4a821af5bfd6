"""Every failure is one line and Docker's exit status; help is where Docker has it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from rundlet.cli.registry import COMMANDS, find
from rundlet.version import VERSION
from tests.unit.cli.conftest import Rundlet, failure
from tests.unit.sdk.fake_engine import FakeEngine, reply


@pytest.mark.parametrize(
    ("argv", "status", "line"),
    [
        (("nope",), 1, "'nope' is not a rundlet command. See 'rundlet --help'."),
        (("image", "nope"), 1, "'image nope' is not a rundlet command. See 'rundlet image --help'."),
        (("ps", "--nope"), 125, "unknown flag: --nope. See 'rundlet ps --help'."),
        (("--nope",), 125, "unknown flag: --nope. See 'rundlet --help'."),
        (("ps", "x"), 1, "\"rundlet ps\" accepts no arguments. See 'rundlet ps --help'."),
        (("rm",), 1, "\"rundlet rm\" requires at least 1 argument. See 'rundlet rm --help'."),
        (("rename", "a"), 1, "\"rundlet rename\" requires exactly 2 arguments. See 'rundlet rename --help'."),
        (("images", "a", "b"), 1, "\"rundlet images\" requires at most 1 argument. See 'rundlet images --help'."),
        (("run", "--rm=x", "i"), 125, ('invalid argument "x" for "--rm" flag: not a boolean (true or false).'
         " See 'rundlet run --help'.")),
        (("completion", "ksh"), 1, "no completion for ksh: must be one of bash, fish, zsh"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_one_line_and_dockers_status(
    rundlet: Rundlet, argv: tuple[str, ...], status: int, line: str
) -> None:
    assert rundlet(*argv) == (status, "", f"rundlet: {line}\n")


def test_an_error_of_the_engine_is_one_line_in_its_words(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(failure("409 Conflict", "cannot rename:\nname taken"))

    assert rundlet("rename", "a", "b") == (1, "", "rundlet: cannot rename: name taken\n")


def test_an_engine_that_is_not_there_is_named(rundlet: Rundlet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNDLET_HOST", "unix:///nowhere/at.all")

    status, out, err = rundlet("ps")

    assert (status, out) == (1, "")
    assert err.startswith("rundlet: cannot reach the engine at unix:///nowhere/at.all: ")
    assert err.count("\n") == 1


def test_the_host_flag_wins_over_the_environment(rundlet: Rundlet, engine: FakeEngine) -> None:
    outcome = rundlet("--host", "unix:///flag.sock", "ps")

    assert "unix:///flag.sock" in outcome.err


def test_each_of_several_objects_is_tried_and_each_failure_has_its_line(
    rundlet: Rundlet, engine: FakeEngine
) -> None:
    engine.will(
        reply("204 No Content"),
        failure("404 Not Found", "No such container: b"),
        reply("304 Not Modified"),
    )

    assert rundlet("stop", "a", "b", "c") == (1, "a\nc\n", "rundlet: No such container: b\n")


def test_version_and_help_need_no_engine(rundlet: Rundlet) -> None:
    assert rundlet("--version") == (0, f"Rundlet version {VERSION}\n", "")
    assert rundlet("--help").out.startswith("Usage:  rundlet [OPTIONS] COMMAND\n")
    assert rundlet().out == rundlet("--help").out
    assert rundlet("image").out.startswith("Usage:  rundlet image COMMAND\n")
    assert rundlet("help", "ps").out == rundlet("ps", "--help").out


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_every_command_exists_and_explains_itself(path: str) -> None:
    command = find(path)

    assert command.path == path
    if path != "daemon":  # whose flags the daemon explains
        assert command.help().startswith(f"Usage:  rundlet {path}")
        assert all(flag.help for flag in command.flags)


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_the_one_line_of_the_listing_is_the_commands_own(path: str) -> None:
    assert find(path).summary == COMMANDS[path][1]


def test_no_two_flags_of_a_command_share_a_letter() -> None:
    for path in COMMANDS:
        letters = [flag.short for flag in find(path).flags if flag.short]
        assert len(letters) == len(set(letters)), path


def test_a_reader_that_has_gone_is_no_failure_to_tell_of() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "rundlet.cli", "--help"], stdout=write, stderr=subprocess.PIPE)
    os.close(write)

    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")

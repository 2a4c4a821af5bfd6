"""The daemon's flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from rundlet.daemon.config import parse_arguments
from rundlet.errors import InvalidArgument


def test_defaults_are_the_systems_directories() -> None:
    config = parse_arguments([])
    assert config.hosts == ("unix:///run/rundlet/rundlet.sock",)
    assert config.engine.data_root == Path("/var/lib/rundlet")
    assert config.engine.instance == "rundlet"
    assert config.pid_file == Path("/run/rundlet/rundlet.pid")
    assert not config.stop_containers


def test_socket_follows_the_run_root() -> None:
    assert parse_arguments(["--run-root", "/x"]).hosts == ("unix:///x/rundlet.sock",)


def test_flags() -> None:
    config = parse_arguments(
        [
            *("-H", "unix:///a", "--host", "tcp://127.0.0.1:1", "--data-root", "/d"),
            *("--instance", "t1", "--group", "g", "--debug", "--stop-containers"),
        ]
    )
    assert config.hosts == ("unix:///a", "tcp://127.0.0.1:1")
    assert (config.engine.data_root, config.engine.instance, config.group) == (Path("/d"), "t1", "g")
    assert (config.log_level, config.engine.debug, config.stop_containers) == ("debug", True, True)


def test_relative_directories_are_made_absolute() -> None:
    assert parse_arguments(["--data-root", "data"]).engine.data_root == Path.cwd() / "data"


@pytest.mark.parametrize("name", ["", "a/../b", "Dev", "a-b", "ninechars", "é", "a\n"])
def test_bad_instance_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid instance name"):
        parse_arguments(["--instance", name])


def test_wrong_flag_is_one_line_and_status_125(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(["--nonsense"])
    assert caught.value.code == 125
    assert capsys.readouterr().err == (
        "rundlet daemon: unrecognized arguments: --nonsense. See 'rundlet daemon --help'.\n"
    )

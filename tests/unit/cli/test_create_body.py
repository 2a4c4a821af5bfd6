"""``run`` and ``create`` ask for the container that docker's command line would ask for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rundlet.cli.command import CommandFailed
from rundlet.cli.container_flags import ALIASES, CONTAINER_FLAGS
from rundlet.cli.create_body import create_body
from rundlet.cli.flags import UsageError, parse

RECORDED = json.loads((Path(__file__).parent / "docker_create_bodies.json").read_text())["cases"]

DEFAULTS = {
    "AttachStdin": False,
    "AttachStdout": True,
    "AttachStderr": True,
    "StdinOnce": False,
    "Image": "busybox",
    "OpenStdin": False,
}
HOST_DEFAULTS = {
    "NetworkMode": "default",
    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
}


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory and environment in which the bodies were recorded."""
    (tmp_path / "env").write_text("# c\nB=2\nHOME\n\n  C=3 x\n")
    (tmp_path / "labels").write_text("f=g\n#c\nh\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/root")
    monkeypatch.delenv("NOT_THERE", raising=False)


def body(*argv: str, command: tuple[str, ...] = ()) -> dict[str, Any]:
    words = [*argv, "busybox", *command]
    return create_body(parse(words, CONTAINER_FLAGS, interspersed=False, aliases=ALIASES))


def asked_for(made: dict[str, Any]) -> dict[str, Any]:
    """What differs from the defaults, the way the recording has it."""
    host = {key: value for key, value in made["HostConfig"].items() if HOST_DEFAULTS.get(key) != value}
    rest = {key: value for key, value in made.items() if key != "HostConfig" and DEFAULTS.get(key) != value}
    return {**rest, "HostConfig": host} if host else rest


@pytest.mark.parametrize("case", RECORDED, ids=[" ".join(case["argv"])[:60] for case in RECORDED])
def test_the_body_is_the_one_that_docker_sends(case: dict[str, Any], tmp_path: Path) -> None:
    made = body(*case["argv"], command=tuple(case["command"]))

    expected = json.loads(json.dumps(case["body"]).replace("{cwd}", str(tmp_path)))
    assert asked_for(made) == expected


def test_nothing_is_sent_that_was_not_asked_for() -> None:
    assert body() == {
        "Image": "busybox",
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
        "StdinOnce": False,
        "HostConfig": {"NetworkMode": "default"},
    }


def test_a_seccomp_profile_is_sent_as_its_text(tmp_path: Path) -> None:
    (tmp_path / "profile.json").write_text('{\n "defaultAction": "SCMP_ACT_ALLOW"\n}')

    made = body("--security-opt", "seccomp=profile.json")

    assert made["HostConfig"]["SecurityOpt"] == ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']


# Docker's own words; a line that it prints for another reason than ours is not here.
WRONG = [
    (("-m", "abc"), """invalid argument "abc" for "-m, --memory" flag: invalid size: 'abc'"""),
    (("--memory-swappiness", "200"), "invalid value: 200. Valid memory swappiness range is 0-100"),
    (("--cpus", "x"), 'invalid argument "x" for "--cpus" flag: failed to parse x as a rational number'),
    (("--ulimit", "foo=1"), 'invalid argument "foo=1" for "--ulimit" flag: invalid ulimit type: foo'),
    (
        ("--ulimit", "nofile=5:1"),
        (
            'invalid argument "nofile=5:1" for "--ulimit" flag: ulimit soft limit must be less than or equal to '
            "hard limit: 5 > 1"
        ),
    ),
    (("--ulimit", "nofile"), 'invalid argument "nofile" for "--ulimit" flag: invalid ulimit argument: nofile'),
    (
        ("--mount", "type=bind,foo=1"),
        """invalid argument "type=bind,foo=1" for "--mount" flag: unexpected key 'foo' in 'foo=1'""",
    ),
    (
        ("--mount", "type=bind,readonly=x"),
        'invalid argument "type=bind,readonly=x" for "--mount" flag: invalid value for readonly: x',
    ),
    (
        ("--mount", "type=tmpfs,volume-nocopy"),
        'invalid argument "type=tmpfs,volume-nocopy" for "--mount" flag: target is required',
    ),
    (("-p", "x"), 'invalid argument "x" for "-p, --publish" flag: invalid containerPort: x'),
    (("-p", "1:2:3:4"), 'invalid argument "1:2:3:4" for "-p, --publish" flag: invalid IP address: 1:2'),
    (("-p", "70000:1"), 'invalid argument "70000:1" for "-p, --publish" flag: invalid hostPort: 70000'),
    (
        ("-p", "1-3:1-2"),
        (
            'invalid argument "1-3:1-2" for "-p, --publish" flag: invalid ranges specified for container and host '
            "Ports: 1-2 and 1-3"
        ),
    ),
    (("-p", "80/foo"), 'invalid argument "80/foo" for "-p, --publish" flag: invalid proto: foo'),
    (
        ("--device", "/dev/null:rel"),
        'invalid argument "/dev/null:rel" for "--device" flag: rel is not an absolute path',
    ),
    (
        ("--device-cgroup-rule", "x"),
        """invalid argument "x" for "--device-cgroup-rule" flag: invalid device cgroup format 'x'""",
    ),
    (("--device-read-bps", "x"), 'invalid argument "x" for "--device-read-bps" flag: bad format: x'),
    (
        ("--blkio-weight-device", "/dev/sda:5"),
        'invalid argument "/dev/sda:5" for "--blkio-weight-device" flag: invalid weight for device: /dev/sda:5',
    ),
    (("--rm", "--restart", "always"), "conflicting options: cannot specify both --restart and --rm"),
    (
        ("--restart", "on-failure:x"),
        (
            'invalid argument "on-failure:x" for "--restart" flag: invalid restart policy format: maximum retry '
            "count must be an integer"
        ),
    ),
    (("--health-interval", "-1s"), "--health-interval cannot be negative"),
    (("--no-healthcheck", "--health-cmd", "x"), "--no-healthcheck conflicts with --health-* options"),
    (("-e", "=x"), 'invalid argument "=x" for "-e, --env" flag: invalid environment variable: =x'),
    (("--env-file", "/nope"), "open /nope: no such file or directory"),
    (("--add-host", "h"), 'invalid argument "h" for "--add-host" flag: bad format for add-host: "h"'),
    (
        ("--add-host", "h:bad"),
        'invalid argument "h:bad" for "--add-host" flag: invalid IP address in add-host: "bad"',
    ),
    (("--dns", "x"), 'invalid argument "x" for "--dns" flag: IP address is not correctly formatted: x'),
    (
        ("--security-opt", "seccomp=/nope"),
        "opening seccomp profile (/nope) failed: open /nope: no such file or directory",
    ),
    (("--storage-opt", "x"), "invalid storage option"),
    (("--sysctl", "foo=1"), """invalid argument "foo=1" for "--sysctl" flag: sysctl 'foo=1' is not allowed"""),
    (("--pid", "x"), "--pid: invalid PID mode"),
    (("--cgroupns", "x"), "--cgroupns: invalid CGROUP mode"),
    (("--log-driver", "none", "--log-opt", "a=b"), "invalid logging opts for driver none"),
    (("-a", "foo"), 'invalid argument "foo" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR'),
    (("--network", ""), "no name set for network"),
    (
        ("--network", "a", "--network", "none"),
        "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
    ),
    (
        ("--network", "none", "--network-alias", "x"),
        "network-scoped aliases are only supported for user-defined networks",
    ),
    (("-l", "=x"), """invalid argument "=x" for "-l, --label" flag: invalid label '=x': empty name"""),
    (("--shm-size", "-1"), """invalid argument "-1" for "--shm-size" flag: invalid size: '-1'"""),
]


@pytest.mark.parametrize(("argv", "words"), WRONG, ids=[" ".join(argv) for argv, _ in WRONG])
def test_what_is_wrong_is_said_in_dockers_words(argv: tuple[str, ...], words: str) -> None:
    with pytest.raises((UsageError, CommandFailed)) as caught:
        body(*argv)

    assert str(caught.value) == words


def test_the_same_volume_twice_is_one() -> None:
    assert body("-v", "/a:/b", "-v", "/a:/b", "-v", "/a:/c")["HostConfig"]["Binds"] == ["/a:/b", "/a:/c"]


@pytest.mark.parametrize("spec", ["a:b:c:d", "x:rel", "/tmp:/x:zz", "", ":/x", "rel"])
def test_a_volume_that_cannot_be_is_refused_before_anything_is_asked(spec: str) -> None:
    with pytest.raises(UsageError, match="invalid volume specification"):
        body("-v", spec)


@pytest.mark.parametrize("flag", ["--gpus", "--isolation", "--link-local-ip"])
def test_a_flag_that_could_not_be_honoured_is_refused_with_the_reason(flag: str) -> None:
    with pytest.raises(UsageError, match=f'for "{flag}" flag: .{{20}}'):
        body(flag, "x")


def test_a_variable_name_with_blanks_in_a_file_is_refused_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("A=1\nB C=2\n")

    with pytest.raises(CommandFailed, match="bad line 2: invalid name 'B C'"):
        body("--env-file", "bad")

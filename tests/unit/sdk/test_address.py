"""Where an engine listens."""

from __future__ import annotations

import pytest

from rundlet.errors import InvalidArgument
from rundlet.sdk import address
from rundlet.sdk.address import Address


@pytest.mark.parametrize(
    ("text", "canonical", "authority"),
    [
        ("unix:///run/x.sock", "unix:///run/x.sock", "localhost"),
        ("tcp://host:1", "tcp://host:1", "host:1"),
        ("tcp://host", "tcp://host:2375", "host:2375"),
        ("tcp://10.0.0.1:80", "tcp://10.0.0.1:80", "10.0.0.1:80"),
        ("tcp://[::1]:80", "tcp://[::1]:80", "[::1]:80"),
        ("tcp://[::1]", "tcp://[::1]:2375", "[::1]:2375"),
    ],
)
def test_addresses_are_read_and_written(text: str, canonical: str, authority: str) -> None:
    parsed = Address.parse(text)

    assert str(parsed) == canonical
    assert parsed.authority == authority


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/run/x.sock",
        "unix://",
        "unix://relative",
        "unix:///" + "a" * 107,
        "unix:///a\0b",
        "tcp://",
        "tcp://:1",
        "tcp://host:0",
        "tcp://host:65536",
        "tcp://host:" + "9" * 5000,
        "tcp://host:a",
        "tcp://::1",
        "tcp://[::1",
        "tcp://[]:1",
        "tcp://host:1/path",
        "tcp://user@host:1",
        "http://host:1",
        "ssh://host",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        Address.parse(text)


def test_the_argument_wins_over_the_variable_and_that_over_the_default() -> None:
    environment = {"RUNDLET_HOST": "unix:///v", "DOCKER_HOST": "unix:///docker"}

    assert str(address.find("unix:///a", environment)) == "unix:///a"
    assert str(address.find(None, environment)) == "unix:///v"
    assert str(address.find(None, {"RUNDLET_HOST": "", "DOCKER_HOST": "unix:///docker"})) == address.DEFAULT


@pytest.mark.parametrize(
    ("host", "number", "words"),
    [
        ("unix:///x", 13, "permission denied; run as root or as a member of the group that owns the socket"),
        ("unix:///x", 88, "that file is not a socket"),
        ("tcp://h:1", 113, "No route to host"),
    ],
)
def test_what_keeps_us_out_is_said_with_what_to_do(host: str, number: int, words: str) -> None:
    import os

    failure = address.unreachable(Address.parse(host), OSError(number, os.strerror(number)))

    assert str(failure) == f"cannot reach the engine at {host}: {words}"

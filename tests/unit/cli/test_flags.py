"""The grammar of the command line: pflag's, as Docker's users know it."""

from __future__ import annotations

import pytest

from rundlet.cli import values
from rundlet.cli.flags import Arguments, HelpRequested, UsageError, option, parse, repeated, switch

FLAGS = (
    switch("all", "", short="a"),
    switch("quiet", "", short="q"),
    switch("sig-proxy", "", default=True),
    option("name", "", short="n"),
    option("count", "", metavar="int", convert=values.integer, default=0),
    repeated("env", "", short="e"),
)


def read(*argv: str, interspersed: bool = True) -> Arguments:
    return parse(argv, FLAGS, interspersed=interspersed, aliases={"environment": "env"})


@pytest.mark.parametrize("argv", [("--name", "x"), ("--name=x",), ("-n", "x"), ("-nx",), ("-n=x",), ("-aqn", "x")])
def test_a_value_may_be_written_in_every_way_that_docker_takes(argv: tuple[str, ...]) -> None:
    assert read(*argv)["name"] == "x"


@pytest.mark.parametrize(
    ("argv", "value"),
    [((), True), (("--sig-proxy",), True), (("--sig-proxy=false",), False), (("--sig-proxy=0",), False)],
)
def test_a_switch_may_be_turned_off(argv: tuple[str, ...], value: bool) -> None:
    assert read(*argv)["sig-proxy"] is value


def test_a_switch_does_not_take_the_next_word() -> None:
    arguments = read("--all", "false")

    assert (arguments["all"], arguments.positional) == (True, ["false"])


def test_switches_may_be_written_together() -> None:
    arguments = read("-aq")

    assert arguments["all"]
    assert arguments["quiet"]


def test_a_repeated_flag_gathers_its_values_in_order() -> None:
    assert read("-e", "A=1", "--env=B=2", "-eC", "--environment", "D")["env"] == ["A=1", "B=2", "C", "D"]


def test_two_parses_share_no_list() -> None:
    read("-e", "A=1")

    assert read()["env"] == []


def test_flags_after_the_image_are_the_containers() -> None:
    arguments = read("-q", "busybox", "ls", "-a", "--", "-x", interspersed=False)

    assert arguments.positional == ["busybox", "ls", "-a", "--", "-x"]
    assert not arguments["all"]


def test_flags_may_stand_after_words_where_they_are_not() -> None:
    arguments = read("web", "-a")

    assert arguments["all"]
    assert arguments.positional == ["web"]


def test_two_dashes_end_the_flags() -> None:
    assert read("--", "-a").positional == ["-a"]


def test_a_dash_alone_is_a_word() -> None:
    assert read("-").positional == ["-"]


def test_given_tells_a_default_from_the_same_value_written() -> None:
    assert read("--name", "").given == {"name"}


@pytest.mark.parametrize("argv", [("--help",), ("-h",), ("-ah",), ("x", "--help")])
def test_help_is_asked_for(argv: tuple[str, ...]) -> None:
    with pytest.raises(HelpRequested):
        read(*argv)


def test_h_is_a_flag_where_one_claims_it() -> None:
    assert parse(["-h", "web"], (option("hostname", "", short="h"),))["hostname"] == "web"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--nope",), "unknown flag: --nope"),
        (("-aZ",), "unknown shorthand flag: 'Z' in -aZ"),
        (("--name",), "flag needs an argument: --name"),
        (("-n",), "flag needs an argument: 'n' in -n"),
        (("--all=x",), 'invalid argument "x" for "-a, --all" flag: not a boolean (true or false)'),
        (("--count", "x"), 'invalid argument "x" for "--count" flag: parsing "x": invalid syntax'),
    ],
)
def test_what_is_wrong_is_said_in_pflags_words(argv: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(*argv)

    assert str(caught.value) == words

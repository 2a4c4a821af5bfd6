"""The keys that leave a container running: found however they arrive, and nothing else is swallowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundlet.cli.detach_keys import DetachScanner, parse

KEYS = b"\x10\x11"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", KEYS),
        ("ctrl-p,ctrl-q", KEYS),
        ("ctrl-a", b"\x01"),
        ("ctrl-Z,x", b"\x1ax"),
        ("a,b", b"ab"),
        ("ctrl-@", b"\x00"),
    ],
)
def test_keys_are_read_as_docker_reads_them(text: str, keys: bytes) -> None:
    assert parse(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-pp", "ab", "ctrl-p,", "ctrl-1", "ä"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid detach keys"):
        parse(text)


@pytest.mark.parametrize("pieces", [[KEYS], [b"\x10", b"\x11"], [b"ls\n\x10", b"\x11more"]])
def test_the_sequence_is_found_across_reads(pieces: list[bytes]) -> None:
    scanner = DetachScanner(KEYS)
    passed = b"".join(scanner.feed(piece) for piece in pieces)

    assert scanner.is_detached
    assert KEYS[:1] not in passed
    assert b"more" not in passed


def test_a_sequence_broken_off_reaches_the_program() -> None:
    scanner = DetachScanner(KEYS)

    assert scanner.feed(b"\x10") == b""
    assert scanner.feed(b"x\x10\x10\x11") == b"\x10x\x10"
    assert scanner.is_detached


@given(st.lists(st.binary(max_size=8), max_size=8))
def test_without_the_sequence_every_byte_is_passed_on(pieces: list[bytes]) -> None:
    scanner = DetachScanner(KEYS)
    typed = b"".join(pieces) + b"."
    if KEYS in typed:
        return

    assert b"".join(scanner.feed(piece) for piece in [*pieces, b"."]) == typed

"""Sizes as Docker's command line reads and writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundlet.errors import InvalidArgument
from rundlet.wire import sizes


@pytest.mark.parametrize(
    ("text", "binary", "decimal"),
    [
        ("0", 0, 0),
        ("32", 32, 32),
        ("32b", 32, 32),
        ("32B", 32, 32),
        ("32k", 32 * 1024, 32_000),
        ("32 kb", 32 * 1024, 32_000),
        ("32KiB", 32 * 1024, 32_000),
        ("64m", 64 * 1024**2, 64_000_000),
        ("1.5g", 3 * 1024**3 // 2, 1_500_000_000),
        (".5k", 512, 500),
        ("2T", 2 * 1024**4, 2_000_000_000_000),
        ("9007199254740993", 9007199254740993, 9007199254740993),
    ],
)
def test_sizes_are_read_as_docker_does(text: str, binary: int, decimal: int) -> None:
    assert binary == sizes.parse_binary(text)
    assert decimal == sizes.parse_decimal(text)


@pytest.mark.parametrize(
    "text", ["", "-1", "m", "1x", "1kk", "1ibk", "1  k", " 1", "1\n", "0x10", "9" * 5000, "9000p"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid size"):
        sizes.parse_binary(text)


@given(st.text(alphabet="0123456789. kKmibB-x", max_size=12))
def test_any_text_is_a_size_or_refused(text: str) -> None:
    try:
        assert sizes.parse_binary(text) >= 0
    except InvalidArgument:
        return


@pytest.mark.parametrize(
    ("size", "binary", "decimal"),
    [
        (0, "0B", "0B"),
        (999, "999B", "999B"),
        (1000, "1000B", "1kB"),
        (2_038_432, "1.944MiB", "2.04MB"),
        (4_261_550, "4.064MiB", "4.26MB"),
        (10**18, "888.2PiB", "1EB"),
    ],
)
def test_sizes_are_written_as_docker_does(size: int, binary: str, decimal: str) -> None:
    assert binary == sizes.format_binary(size)
    assert decimal == sizes.format_decimal(size)

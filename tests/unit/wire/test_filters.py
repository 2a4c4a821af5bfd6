"""The filters parameter, in both encodings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundlet.errors import InvalidArgument
from rundlet.wire import filters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("null", {}),
        ("{}", {}),
        ('{"label":{"a=b":true,"c":false}}', {"label": ["a=b", "c"]}),
        ('{"label":["a=b","c","c"]}', {"label": ["a=b", "c"]}),
        ('{"label":null}', {"label": []}),
        ('{"a":["x"],"b":{"y":true}}', {"a": ["x"], "b": ["y"]}),
    ],
)
def test_both_encodings_are_read(text: str, expected: dict[str, list[str]]) -> None:
    assert expected == filters.parse(text)


@pytest.mark.parametrize("text", ["nonsense", "[]", "3", '{"a":"b"}', '{"a":[1]}', '{"a":{"b":1}}', "[" * 100_000])
def test_what_cannot_be_read_is_refused_and_never_means_no_filter(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid filters"):
        filters.parse(text)


def test_a_single_value_may_be_given_without_a_list() -> None:
    assert (
        filters.build({"name": "web", "label": ["a", "b"]}) == '{"name":{"web":true},"label":{"a":true,"b":true}}'
    )


def test_no_filters_are_an_empty_parameter() -> None:
    assert filters.build({}) == ""


@given(st.dictionaries(st.text(max_size=5), st.lists(st.text(max_size=5), unique=True, max_size=4), max_size=4))
def test_what_is_built_reads_back(wanted: dict[str, list[str]]) -> None:
    assert wanted == filters.parse(filters.build(wanted))

"""Configuration documents are checked before anybody reads a part of them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundlet.errors import CorruptArchive
from rundlet.images.digests import chain_ids
from rundlet.images.history import history, unix_seconds
from rundlet.images.image import Image, encode_config, parse_config

GOOD: dict[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2020-01-02T03:04:05.123456789+02:00",
    "config": {"Env": ["A=1"], "Cmd": None, "Labels": {"a": "b"}, "unknown": 1},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]},
    "history": [{"created": "2020-01-02T03:04:05Z", "created_by": "x"}],
    "vendor": {"anything": []},
}


def test_a_good_document_comes_back_whole() -> None:
    assert parse_config(json.dumps(GOOD).encode()) == GOOD


def test_what_an_image_need_not_say_may_be_missing_or_null() -> None:
    document = parse_config(b'{"rootfs": {"diff_ids": null}, "config": null, "created": "", "history": null}')

    assert document["rootfs"]["diff_ids"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"rootfs": None},
        {"rootfs": {"diff_ids": {}}},
        {"rootfs": {"diff_ids": ["sha256:../x"]}},
        {"rootfs": {"diff_ids": ["sha256:" + "0" * 64] * 128}},
        {"os": "windows"},
        {"architecture": 1},
        {"created": "yesterday"},
        {"config": []},
        {"config": {"Env": "A=1"}},
        {"config": {"Env": [1]}},
        {"config": {"User": 0}},
        {"config": {"Labels": {"a": 1}}},
        {"config": {"Volumes": []}},
        {"history": {}},
        {"history": [1]},
        {"history": [{"created": "soon"}]},
        {"history": [{"created_by": []}]},
    ],
)
def test_a_part_of_another_kind_is_corrupt(change: dict[str, Any]) -> None:
    with pytest.raises(CorruptArchive):
        parse_config(json.dumps({**GOOD, **change}).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"a":"\\udc00"}', b"1" * 5000])
def test_what_is_no_document_is_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptArchive):
        parse_config(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(GOOD)), json_values)
def test_any_part_may_be_anything_and_is_read_or_refused(key: str, value: object) -> None:
    try:
        document = parse_config(json.dumps({**GOOD, key: value}).encode())
    except CorruptArchive:
        return
    image = Image("sha256:" + "0" * 64, (), (), document, (), 0)
    assert isinstance(image.created, str)
    assert history(image, [1]) is not None


def test_the_same_document_is_the_same_image() -> None:
    assert encode_config(GOOD) == encode_config(json.loads(json.dumps(GOOD)))


def test_chain_ids_are_those_of_the_specification() -> None:
    a, b = "sha256:" + "a" * 64, "sha256:" + "b" * 64

    assert chain_ids([]) == ()
    assert chain_ids([a]) == (a,)
    assert chain_ids([a, b])[1] == "sha256:" + hashlib.sha256(f"{a} {b}".encode()).hexdigest()


def test_history_gives_layers_their_sizes_and_skips_empty_steps() -> None:
    steps = [{"created_by": "base"}, {"created_by": "env", "empty_layer": True}, {"created_by": "app"}]
    image = Image("sha256:" + "0" * 64, ("a:1",), (), {**GOOD, "history": steps}, (), 0)

    items = history(image, [10, 20])

    assert [(item.CreatedBy, item.Size, item.Id[:9]) for item in items] == [
        ("app", 20, "sha256:00"),
        ("env", 0, "<missing>"),
        ("base", 10, "<missing>"),
    ]
    assert (items[0].Tags, items[1].Tags) == (["a:1"], None)


@pytest.mark.parametrize(
    ("time", "seconds"),
    [(None, 0), ("", 0), ("1970-01-01T00:01:00Z", 60), ("2020-01-02T03:04:05.123456789+02:00", 1577927045)],
)
def test_times_become_unix_seconds(time: str | None, seconds: int) -> None:
    assert unix_seconds(time) == seconds

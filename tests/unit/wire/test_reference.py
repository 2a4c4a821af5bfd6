"""References: Docker's normalisation, its familiar form, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundlet.errors import InvalidReference
from rundlet.wire import reference
from rundlet.wire.reference import Reference

DIGEST = "sha256:" + "0123456789abcdef" * 4
LONG_ID = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("index.docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("docker.io/library/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("rundlet/host", "docker.io/rundlet/host:latest", "rundlet/host:latest"),
        ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("myhost:5000", "docker.io/library/myhost:5000", "myhost:5000"),
        ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
        ("Registry/app", "Registry/app:latest", "Registry/app:latest"),
        ("quay.io/a/b__c/d---e", "quay.io/a/b__c/d---e:latest", "quay.io/a/b__c/d---e:latest"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}", f"busybox@{DIGEST}"),
        (f"busybox:1@{DIGEST}", f"docker.io/library/busybox:1@{DIGEST}", f"busybox:1@{DIGEST}"),
        (f"{LONG_ID[:63]}", f"docker.io/library/{LONG_ID[:63]}:latest", f"{LONG_ID[:63]}:latest"),
    ],
)
def test_a_name_is_normalised_as_docker_does(text: str, canonical: str, familiar: str) -> None:
    ref = reference.parse(text)

    assert canonical == str(ref)
    assert familiar == ref.familiar
    assert ref == reference.parse(canonical) == reference.parse(familiar)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        ":tag",
        "@",
        "busybox:",
        "busybox@",
        "busybox@sha256:short",
        "busybox@sha256:" + "A" * 64,
        "busybox@md5:" + "a" * 32,
        "Busybox",
        "docker.io/Busybox",
        "a//b",
        "/busybox",
        "busybox/",
        "docker.io/",
        "bad..name",
        "bad___name",
        "-bad",
        "bad-",
        "-bad.io/app",
        "host:port/app",
        "[::1/app",
        "busybox:tag:tag",
        "busybox:" + "t" * 129,
        "busybox:.tag",
        "busybox:täg",
        "busybox\n",
        "busybox:latest\n",
        "a" * 256,
        "a b",
        "../etc",
        LONG_ID,
    ],
)
def test_what_docker_refuses_is_refused(text: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        reference.parse(text)

    assert text == caught.value.reference


def test_upper_case_in_a_path_is_named_as_the_fault() -> None:
    with pytest.raises(InvalidReference, match="must be lowercase"):
        reference.parse("example.com/App")


def test_the_path_may_have_255_characters_and_the_domain_does_not_count() -> None:
    assert len(reference.parse("example.com/" + "a" * 255).path) == 255
    with pytest.raises(InvalidReference, match="255 characters"):
        reference.parse("example.com/" + "a" * 256)


def test_a_repository_alone_can_be_read_without_inventing_a_tag() -> None:
    ref = reference.parse("busybox", default_tag=None)

    assert ref.tag is None
    assert "docker.io/library/busybox" == str(ref) == ref.name


def test_a_full_id_is_an_id_and_a_short_one_is_still_a_name() -> None:
    assert f"sha256:{LONG_ID}" == reference.parse_any(LONG_ID) == reference.parse_any(f"sha256:{LONG_ID}")
    assert reference.parse("cafe") == reference.parse_any("cafe")


@pytest.mark.parametrize(
    ("text", "digits"),
    [("cafe", "cafe"), ("sha256:cafe", "cafe"), (LONG_ID, LONG_ID), ("CAFE", None), ("", None), ("cafe\n", None)],
)
def test_hex_id_prefix_knows_what_may_be_an_id(text: str, digits: str | None) -> None:
    assert digits == reference.hex_id_prefix(text)


def test_tag_and_digest_can_be_exchanged_but_not_for_bad_ones() -> None:
    ref = reference.parse("quay.io/app:1")

    assert str(ref.with_tag("2")) == "quay.io/app:2"
    assert f"quay.io/app@{DIGEST}" == str(ref.with_digest(DIGEST))
    with pytest.raises(InvalidReference):
        ref.with_tag("no good")
    with pytest.raises(InvalidReference):
        ref.with_digest("sha256:cafe")


def test_equal_references_hash_alike() -> None:
    assert {reference.parse("busybox")} == {Reference("docker.io", "library/busybox", "latest")}
    assert reference.parse("busybox") != "busybox"


@given(st.text(alphabet="aA0._-/:@[]\n é", max_size=40))
def test_any_text_is_either_refused_or_parses_back_to_itself(text: str) -> None:
    try:
        ref = reference.parse(text)
    except InvalidReference:
        return

    assert ref == reference.parse(str(ref)) == reference.parse(ref.familiar)

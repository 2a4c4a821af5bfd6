"""Docker's rules for removing images."""

from __future__ import annotations

import pytest

from rundlet.errors import ImageInUse
from rundlet.images.removal import Removal, plan

ID = "sha256:" + "ab" * 32
ONE = "docker.io/library/a:1"
TWO = "docker.io/library/a:2"
OTHER = "docker.io/library/b:1"
PULLED = "docker.io/library/a@sha256:" + "0" * 64
USER = ["c" * 64]


@pytest.mark.parametrize(
    ("name", "references", "users", "force", "expected"),
    [
        # by reference
        ("a:1", [ONE], [], False, Removal([ONE], delete=True)),
        ("a:1", [ONE, TWO], [], False, Removal([ONE], delete=False)),
        ("a:1", [ONE, OTHER], USER, False, Removal([ONE], delete=False)),
        ("a:1", [ONE], USER, True, Removal([ONE], delete=False)),
        ("a:1", [ONE, PULLED], [], False, Removal([ONE, PULLED], delete=True)),
        ("a:1", [ONE, TWO, PULLED], [], False, Removal([ONE], delete=False)),
        ("a:1", [ONE, OTHER, PULLED], [], False, Removal([ONE, PULLED], delete=False)),
        (PULLED, [PULLED], [], False, Removal([PULLED], delete=True)),
        # by ID
        (ID, [ONE], [], False, Removal([ONE], delete=True)),
        (ID[7:19], [ONE, PULLED], [], False, Removal([ONE, PULLED], delete=True)),
        (ID, [], [], False, Removal([], delete=True)),
        (ID, [ONE, OTHER], [], True, Removal([ONE, OTHER], delete=True)),
        (ID, [ONE], USER, True, Removal([ONE], delete=False)),
    ],
)
def test_what_is_untagged_and_what_is_deleted(
    name: str, references: list[str], users: list[str], force: bool, expected: Removal
) -> None:
    assert plan(name, ID, references, users, force=force) == expected


@pytest.mark.parametrize(
    ("name", "references", "users", "why"),
    [
        ("a:1", [ONE], USER, "must force"),
        (ID, [ONE], USER, "is being used by container cccccccccccc"),
        (ID, [ONE, TWO], [], "multiple repositories"),
        (ID, [ONE, OTHER], [], "multiple repositories"),
    ],
)
def test_a_conflict_without_force(name: str, references: list[str], users: list[str], why: str) -> None:
    with pytest.raises(ImageInUse, match=why):
        plan(name, ID, references, users, force=False)

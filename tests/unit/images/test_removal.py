"""Docker's rules for removing images."""

from __future__ import annotations

import pytest

from rundlet.errors import ImageInUse
from rundlet.images.removal import Removal, Users, plan

ID = "sha256:" + "ab" * 32
ONE = "docker.io/library/a:1"
TWO = "docker.io/library/a:2"
OTHER = "docker.io/library/b:1"
PULLED = "docker.io/library/a@sha256:" + "0" * 64
NOBODY = Users()
STOPPED = Users(stopped=["c" * 64])
RUNNING = Users(["d" * 64], ["c" * 64])


@pytest.mark.parametrize(
    ("name", "references", "users", "force", "expected"),
    [
        # by reference
        ("a:1", [ONE], NOBODY, False, Removal([ONE], delete=True)),
        ("a:1", [ONE, TWO], NOBODY, False, Removal([ONE], delete=False)),
        ("a:1", [ONE, OTHER], STOPPED, False, Removal([ONE], delete=False)),
        ("a:1", [ONE], STOPPED, True, Removal([ONE], delete=False)),
        ("a:1", [ONE], RUNNING, True, Removal([ONE], delete=False)),
        ("a:1", [ONE, PULLED], NOBODY, False, Removal([ONE, PULLED], delete=True)),
        ("a:1", [ONE, TWO, PULLED], NOBODY, False, Removal([ONE], delete=False)),
        ("a:1", [ONE, OTHER, PULLED], NOBODY, False, Removal([ONE, PULLED], delete=False)),
        (PULLED, [PULLED], NOBODY, False, Removal([PULLED], delete=True)),
        # by ID
        (ID, [ONE], NOBODY, False, Removal([ONE], delete=True)),
        (ID[7:19], [ONE, PULLED], NOBODY, False, Removal([ONE, PULLED], delete=True)),
        (ID, [], NOBODY, False, Removal([], delete=True)),
        (ID, [ONE, OTHER], NOBODY, True, Removal([ONE, OTHER], delete=True)),
        (ID, [ONE], STOPPED, True, Removal([ONE], delete=False)),
    ],
)
def test_what_is_untagged_and_what_is_deleted(
    name: str, references: list[str], users: Users, force: bool, expected: Removal
) -> None:
    assert plan(name, ID, references, users, force=force) == expected


@pytest.mark.parametrize(
    ("name", "references", "users", "why"),
    [
        ("a:1", [ONE], STOPPED, r'remove repository reference "a:1" \(must force\) - container cccccccccccc'),
        (
            ID,
            [ONE],
            STOPPED,
            r"delete abababababab \(must be forced\) - image is being used by stopped container cccccccccccc",
        ),
        (ID, [ONE, TWO], NOBODY, "multiple repositories"),
        (ID, [ONE, OTHER], NOBODY, "multiple repositories"),
    ],
)
def test_a_conflict_without_force(name: str, references: list[str], users: Users, why: str) -> None:
    with pytest.raises(ImageInUse, match=why):
        plan(name, ID, references, users, force=False)


@pytest.mark.parametrize("force", [False, True])
def test_no_force_takes_an_image_from_a_running_container(force: bool) -> None:
    with pytest.raises(ImageInUse, match=r"\(cannot be forced\) - image is being used by running container dddd"):
        plan(ID, ID, [ONE], RUNNING, force=force)

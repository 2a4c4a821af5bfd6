"""Users and groups of an image, which may write anything into the files that name them."""

from __future__ import annotations

import pytest

from rundlet.runtime.users import UnknownUser, find_home, find_identity

PASSWD = b"""\
root:x:0:0:root:/root:/bin/sh
alice:x:1000:1001::/home/alice:/bin/sh
1000:x:0:0::/evil:/bin/sh
nohome:x:5:5:::
"""
GROUP = b"""\
root:x:0:
wheel:x:10:root,alice
alice:x:1001:
"""


@pytest.mark.parametrize(
    ("user", "groups", "uid", "gid", "all_groups"),
    [
        ("", (), 0, 0, (0, 10)),
        ("root", (), 0, 0, (0, 10)),
        ("0", (), 0, 0, (0, 10)),
        ("alice", (), 1000, 1001, (1001, 10)),
        ("1000", (), 1000, 1001, (1001, 10)),
        ("alice:wheel", (), 1000, 10, (10,)),
        ("alice:77", (), 1000, 77, (77,)),
        ("4242", (), 4242, 0, (0,)),
        ("4242:4343", ("wheel", "8", "4343"), 4242, 4343, (4343, 10, 8)),
    ],
)
def test_names_and_numbers(
    user: str, groups: tuple[str, ...], uid: int, gid: int, all_groups: tuple[int, ...]
) -> None:
    identity = find_identity(user, groups, PASSWD, GROUP)

    assert (identity.uid, identity.gid, identity.groups) == (uid, gid, all_groups)


def test_the_primary_group_is_always_one_of_the_groups() -> None:
    """CVE-2022-36109."""
    assert 1001 in find_identity("alice", ("wheel",), PASSWD, GROUP).groups


@pytest.mark.parametrize("user", ["bob", "alice:staff", "-1", "99999999999", "4294967296"])
def test_who_is_in_no_file_is_unknown(user: str) -> None:
    with pytest.raises(UnknownUser, match=r"no matching entries in (passwd|group) file"):
        find_identity(user, (), PASSWD, GROUP)


def test_an_additional_group_that_is_in_no_file_is_unknown() -> None:
    with pytest.raises(UnknownUser, match="unable to find group staff"):
        find_identity("alice", ("staff",), PASSWD, GROUP)


@pytest.mark.parametrize(
    "line",
    [
        b"evil", b"evil:x", b"evil:x:-1:0::/:", b"evil:x:4294967296:0::/:", b"evil:x:\xd9\xa1:0::/:",
        b"evil:x: 1:0::/:", b"#evil:x:1:1::/:", b"\0evil:x:1:1::/:", b"", b":" * 100_000, b"e" * 1_000_000,
    ],
)  # fmt: skip
def test_malformed_lines_name_nobody_and_hide_nobody(line: bytes) -> None:
    passwd = line + b"\n" + PASSWD

    assert find_identity("alice", (), passwd, line + b"\n" + GROUP).uid == 1000
    with pytest.raises(UnknownUser):
        find_identity("evil", (), passwd, GROUP)


def test_a_malformed_primary_group_is_group_0() -> None:
    assert find_identity("u", (), b"u:x:7:oops::/:", b"").gid == 0


@pytest.mark.parametrize(("uid", "home"), [(0, "/root"), (1000, "/home/alice"), (5, "/"), (99, "/")])
def test_the_home_directory_is_the_files_or_the_root(uid: int, home: str) -> None:
    assert find_home(uid, PASSWD) == home

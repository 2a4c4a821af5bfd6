"""Unpacking: what is in the archive comes out, and nothing gets out of the layer."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rundlet.errors import CorruptArchive
from rundlet.images.unpack import components, kept_xattr, whiteout_target
from tests.unit.images.conftest import Unpack
from tests.unit.images.samples import Member, directory, entry, hard_link, pack, symlink


def tree(root: Path) -> dict[str, str]:
    """Relative path -> kind, for everything below ``root``."""
    kinds = {
        stat.S_IFDIR: "dir",
        stat.S_IFREG: "file",
        stat.S_IFLNK: "link",
        stat.S_IFIFO: "fifo",
        stat.S_IFCHR: "char",
    }
    return {
        str(path.relative_to(root)): kinds[stat.S_IFMT(path.lstat().st_mode)] for path in sorted(root.rglob("*"))
    }


def assert_contained(root: Path) -> None:
    """The canary beside the layer is as it was, and has no company."""
    assert (root.parent / "canary").read_text() == "alive"
    assert {"canary", "layer", "tmp"} == {path.name for path in root.parent.iterdir()}


# ── what comes out ──


def test_files_links_and_directories_come_out_with_their_metadata(root: Path, unpack_tar: Unpack) -> None:
    unpacked = unpack_tar(
        pack(
            [
                directory("etc", 0o750),
                entry("etc/motd", b"hello", mode=0o4711, mtime=1234567890),
                hard_link("etc/again", "etc/motd"),
                symlink("etc/link", "/etc/motd"),
                entry("pipe", type=tarfile.FIFOTYPE, mode=0o622),
            ]
        )
    )

    motd = root / "etc/motd"
    assert tree(root) == {
        "etc": "dir",
        "etc/again": "file",
        "etc/link": "link",
        "etc/motd": "file",
        "pipe": "fifo",
    }
    assert (motd.read_text(), motd.stat().st_mode & 0o7777, motd.stat().st_mtime) == ("hello", 0o4711, 1234567890)
    assert motd.stat().st_ino == (root / "etc/again").stat().st_ino
    assert os.readlink(root / "etc/link") == "/etc/motd"
    assert (root / "pipe").stat().st_mode & 0o777 == 0o622
    assert unpacked.size == 5


def test_directories_keep_their_time_although_files_come_into_them_later(root: Path, unpack_tar: Unpack) -> None:
    unpack_tar(pack([directory("d"), entry("d/f", b"x")]))

    assert (root / "d").stat().st_mtime == 1_000_000_000


def test_the_archive_may_describe_the_root_itself(root: Path, unpack_tar: Unpack) -> None:
    unpack_tar(pack([directory("./", 0o711)]))

    assert root.stat().st_mode & 0o777 == 0o711


def test_missing_directories_are_made_open_to_all_whatever_the_umask(root: Path, unpack_tar: Unpack) -> None:
    before = os.umask(0o077)
    try:
        unpack_tar(pack([entry("a/b/c", b"x")]))
    finally:
        os.umask(before)

    assert [(root / path).stat().st_mode & 0o777 for path in ("a", "a/b")] == [0o755, 0o755]


def test_sparse_files_stay_sparse_and_whole(root: Path, unpack_tar: Unpack, tmp_path: Path) -> None:
    with (tmp_path / "tmp/sparse").open("wb") as file:
        file.truncate(32 << 20)
        file.seek(16 << 20)
        file.write(b"middle")
    archive = subprocess.run(
        ["tar", "-C", tmp_path / "tmp", "-cSf", "-", "sparse"], capture_output=True, check=True
    ).stdout

    unpack_tar(archive)

    out = root / "sparse"
    assert out.read_bytes() == (tmp_path / "tmp/sparse").read_bytes()
    assert out.stat().st_blocks * 512 < 1 << 20


def test_what_comes_later_replaces_what_came_earlier(root: Path, unpack_tar: Unpack) -> None:
    unpack_tar(
        pack(
            [
                entry("file-then-dir"),
                directory("file-then-dir"),
                entry("file-then-dir/in", b"x"),
                directory("dir-then-file/deep/er"),
                entry("dir-then-file", b"x"),
                symlink("link-then-file", "/canary"),
                entry("link-then-file", b"mine"),
                directory("twice", 0o700),
                entry("twice/kept"),
                directory("twice", 0o755),
            ]
        )
    )

    assert tree(root) == {
        "dir-then-file": "file",
        "file-then-dir": "dir",
        "file-then-dir/in": "file",
        "link-then-file": "file",
        "twice": "dir",
        "twice/kept": "file",
    }
    assert (root / "twice").stat().st_mode & 0o777 == 0o755


def test_a_directory_that_was_replaced_is_not_written_to_any_more(root: Path, unpack_tar: Unpack) -> None:
    unpack_tar(pack([directory("a"), entry("a/1"), directory("b"), symlink("a", "b"), entry("a/2")]))

    assert tree(root) == {"a": "link", "b": "dir", "b/2": "file"}


def test_a_hard_link_to_itself_loses_nothing(root: Path, unpack_tar: Unpack) -> None:
    unpack_tar(pack([entry("f", b"kept"), hard_link("f", "./f")]))

    assert (root / "f").read_text() == "kept"


# ── whiteouts ──


def test_a_whiteout_becomes_the_device_that_overlayfs_knows(root: Path, unpack_tar: Unpack) -> None:
    unpack_tar(pack([directory("d"), entry("d/.wh.gone"), entry(".wh..wh.plnk"), entry("implied/.wh.x")]))

    assert tree(root) == {"d": "dir", "d/gone": "char", "implied": "dir", "implied/x": "char"}
    assert (root / "d/gone").stat().st_rdev == 0


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh..", "d/.wh..."])
def test_a_whiteout_that_hides_no_name_is_refused(root: Path, unpack_tar: Unpack, name: str) -> None:
    with pytest.raises(CorruptArchive, match="hides no name"):
        unpack_tar(pack([entry("kept"), directory("d"), entry(name)]))
    assert (root / "kept").exists()


def test_a_whiteout_hides_nothing_of_its_own_layer(root: Path, unpack_tar: Unpack) -> None:
    unpack_tar(pack([entry("before"), entry(".wh.before"), entry(".wh.after"), entry("after", b"x")]))

    assert tree(root) == {"after": "file", "before": "file"}


def test_a_whiteout_through_a_link_stays_in_the_layer(root: Path, unpack_tar: Unpack) -> None:
    unpack_tar(pack([symlink("out", ".."), entry("out/.wh.canary")]))

    assert tree(root) == {"canary": "char", "out": "link"}
    assert_contained(root)


def test_an_archive_cannot_bring_a_whiteout_as_a_device(root: Path, unpack_tar: Unpack) -> None:
    unpack_tar(pack([entry("x", type=tarfile.CHRTYPE, devmajor=0, devminor=0)]))

    assert tree(root) == {}


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (b"security.capability", True),
        (b"user.mime_type", True),
        (b"user.overlay.opaque", False),
        (b"trusted.overlay.opaque", False),
        (b"trusted.anything", False),
        (b"security.selinux", False),
        (b"system.posix_acl_access", False),
    ],
)
def test_attributes_are_kept_as_docker_keeps_them(name: bytes, kept: bool) -> None:
    assert kept is kept_xattr(name)


@pytest.mark.parametrize(
    ("base", "target"), [(b".wh.a", b"a"), (b".wh..a", b".a"), (b".wh..wh.plnk", None), (b".wh. ", b" ")]
)
def test_the_name_that_a_whiteout_hides(base: bytes, target: bytes | None) -> None:
    assert target == whiteout_target(base)


# ── attacks ──


@pytest.mark.parametrize("name", ["../canary", "a/../../canary", "..", "/../canary", "./.././canary"])
def test_a_name_that_climbs_out_is_refused(root: Path, unpack_tar: Unpack, name: str) -> None:
    with pytest.raises(CorruptArchive, match="leads out"):
        unpack_tar(pack([entry(name, b"dead")]))
    assert_contained(root)


def test_an_absolute_name_is_below_the_root(root: Path, unpack_tar: Unpack) -> None:
    unpack_tar(pack([entry(str(root.parent / "canary"), b"dead")]))

    assert_contained(root)
    assert (root / str(root.parent).lstrip("/") / "canary").read_text() == "dead"


@pytest.mark.parametrize("target", ["/", "..", "../../..", "."])
def test_a_file_through_a_link_stays_in_the_layer(root: Path, unpack_tar: Unpack, target: str) -> None:
    unpack_tar(pack([symlink("out", target), entry("out/canary", b"dead")]))

    assert (root / "canary").read_text() == "dead"
    assert_contained(root)


@pytest.mark.parametrize("target", ["/proc/self/root", "/proc/self/cwd", "self", "nowhere", "file"])
def test_a_link_that_leads_nowhere_in_the_layer_is_no_directory(
    root: Path, unpack_tar: Unpack, target: str
) -> None:
    with pytest.raises(CorruptArchive):
        unpack_tar(pack([entry("file"), symlink("self", "self"), symlink("out", target), entry("out/x")]))
    assert_contained(root)


@pytest.mark.parametrize("target", ["/etc/shadow", "../canary", "out/canary", "missing", ".", "d"])
def test_a_hard_link_to_anything_but_a_file_of_the_layer_is_refused(
    root: Path, unpack_tar: Unpack, target: str
) -> None:
    with pytest.raises(CorruptArchive):
        unpack_tar(pack([directory("d"), symlink("out", ".."), hard_link("x", target)]))
    assert_contained(root)


def test_a_hard_link_to_a_symlink_does_not_follow_it(root: Path, unpack_tar: Unpack) -> None:
    unpack_tar(pack([symlink("out", "../canary"), hard_link("x", "out"), entry("x", b"dead")]))

    assert_contained(root)


@pytest.mark.parametrize(
    "member",
    [
        entry("n" * 256),
        entry("/".join(["p" * 200] * 25)),
        entry("d/" * 300),
        entry("f", pax_headers={"path": "a\0b"}),
        symlink("l", "x" * 5000),
        entry("f", uid=2**32 - 1),
        entry("f", gid=2**40),
        entry("f", pax_headers={"uid": "99999999999999999999"}),
        entry("f", pax_headers={"SCHILY.xattr.user.big": "x" * 100_000}),
    ],
    ids=["long", "path-max", "deep", "nul", "link", "uid", "gid", "huge", "xattr"],
)
def test_what_no_filesystem_can_hold_is_refused(root: Path, unpack_tar: Unpack, member: Member) -> None:
    with pytest.raises(CorruptArchive):
        unpack_tar(pack([member]))
    assert_contained(root)


def test_a_pax_path_overrides_the_header_and_is_checked_like_it(root: Path, unpack_tar: Unpack) -> None:
    with pytest.raises(CorruptArchive, match="leads out"):
        unpack_tar(pack([entry("harmless", b"dead", pax_headers={"path": "../canary"})]))
    assert_contained(root)


@pytest.mark.parametrize("mtime", [2**62, -5])
def test_times_that_no_filesystem_can_hold_are_bent(root: Path, unpack_tar: Unpack, mtime: int) -> None:
    unpack_tar(pack([entry("f", mtime=mtime)], tarfile.GNU_FORMAT))

    assert (root / "f").stat().st_mtime >= 0


parts = st.sampled_from(["a", "b", "..", ".", "", "out", ".wh.a", ".wh.", ".wh..wh.b", "canary", "tmp"])
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)
members = st.one_of(
    st.builds(entry, paths, st.just(b"dead")),
    st.builds(directory, paths, st.sampled_from([0o755, 0o700])),
    st.builds(symlink, paths, st.one_of(paths, st.sampled_from(["/", "..", "../..", "/proc/self/root"]))),
    st.builds(hard_link, paths, paths),
    st.builds(lambda name: entry(name, type=tarfile.FIFOTYPE), paths),
)


@given(st.lists(members, max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
def test_no_sequence_of_entries_gets_out_of_the_layer(
    root: Path, unpack_tar: Unpack, sequence: list[Member]
) -> None:
    """The examples pile up in one layer, which makes them only worse. Opaque directories are for root alone."""
    with contextlib.suppress(CorruptArchive, PermissionError):
        unpack_tar(pack(sequence))
    assert_contained(root)


@given(st.lists(st.binary(min_size=1, max_size=6), max_size=6).map(b"/".join))
def test_components_never_leave_the_root(name: bytes) -> None:
    with contextlib.suppress(CorruptArchive):
        assert not {b"", b".", b".."} & set(components(name))

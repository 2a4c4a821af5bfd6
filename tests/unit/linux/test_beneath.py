"""Paths below a root that somebody else controls."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rundlet.linux.beneath import (
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
    crosses_magic_link,
    make_directory_beneath,
    make_file_beneath,
    open_beneath,
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "dir/inner").mkdir(parents=True)
    (root / "dir/file").write_text("inside")
    (tmp_path / "file").write_text("outside")
    (root / "up").symlink_to("../../../../dir")
    (root / "absolute").symlink_to("/dir")
    (root / "dangling").symlink_to("/new/place")
    (root / "loop").symlink_to("loop")
    (root / "self").symlink_to("/proc/self/cwd")
    return root


@pytest.fixture
def root(tree: Path) -> Iterator[int]:
    fd = os.open(tree, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def _read(root: int, path: str, resolve: int = 0) -> str:
    with open(open_beneath(root, path, os.O_RDONLY, resolve=resolve)) as file:
        return file.read()


@pytest.mark.parametrize("path", ["dir/file", "/dir/file", "up/file", "absolute/file", "../../dir/../dir/file"])
def test_every_way_stays_below_the_root(root: int, path: str) -> None:
    assert _read(root, path) == "inside"


@pytest.mark.parametrize("path", ["../file", "/../file", "dir/../../file"])
def test_nothing_outside_can_be_named(root: int, path: str) -> None:
    with pytest.raises(FileNotFoundError):
        _read(root, path)


def test_symlinks_can_be_forbidden(root: int) -> None:
    with pytest.raises(OSError, match="symbolic links"):
        _read(root, "absolute/file", RESOLVE_NO_SYMLINKS)


def test_magic_links_are_never_followed() -> None:
    fd = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        for path in ("/proc/self/cwd", "/proc/self/root/etc", "/proc/self/exe"):
            with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
                open_beneath(fd, path, os.O_PATH)
        with pytest.raises(OSError, match=os.strerror(errno.EXDEV)):
            open_beneath(fd, "/proc/stat", os.O_PATH, resolve=RESOLVE_NO_XDEV)
    finally:
        os.close(fd)


def test_descriptors_are_close_on_exec(root: int) -> None:
    fd = open_beneath(root, "dir", os.O_PATH)

    assert not os.get_inheritable(fd)
    os.close(fd)


def test_a_magic_link_is_found_anywhere_on_a_path(tree: Path) -> None:
    assert crosses_magic_link("/proc/self/exe")
    assert crosses_magic_link(f"{tree}/self/x")
    assert not crosses_magic_link(f"{tree}/absolute")
    assert not crosses_magic_link(f"{tree}/no/such")


@pytest.mark.parametrize(
    ("path", "made"),
    [("a/b/c", "a/b/c"), ("/up/x/y", "dir/x/y"), ("absolute/x/", "dir/x"), ("dir/inner", "dir/inner")],
)
def test_missing_directories_are_made_below_the_root(root: int, tree: Path, path: str, made: str) -> None:
    fd = make_directory_beneath(root, path)

    assert os.path.samestat(os.fstat(fd), os.stat(tree / made))
    os.close(fd)


def test_the_root_itself_is_there_already(root: int, tree: Path) -> None:
    fd = make_directory_beneath(root, "/")

    assert os.path.samestat(os.fstat(fd), os.stat(tree))
    os.close(fd)


@pytest.mark.parametrize("path", ["dangling", "dangling/x", "loop", "dir/file/x"])
def test_no_directory_is_made_through_what_is_none(root: int, tree: Path, path: str) -> None:
    before = sorted(tree.rglob("*"))

    with pytest.raises(OSError, match=r"symbolic links|Not a directory|exists|No such"):
        make_directory_beneath(root, path)

    assert sorted(tree.rglob("*")) == before


def test_a_missing_file_is_made_and_an_existing_one_is_left_alone(root: int, tree: Path) -> None:
    for path in ("new/deep/file", "dir/file"):
        os.close(make_file_beneath(root, path))

    assert (tree / "new/deep/file").read_text() == ""
    assert (tree / "dir/file").read_text() == "inside"


def test_a_directory_that_turns_into_a_symlink_meanwhile_leads_nowhere_else(root: int, tree: Path) -> None:
    """CVE-2021-30465: another process exchanges directory and link all the time. Not one attempt may get out."""
    outside = tree.parent / "outside"
    outside.mkdir()
    stop = threading.Event()

    def swap() -> None:
        race = tree / "race"
        while not stop.is_set():
            for step in race.mkdir, race.rmdir, lambda: race.symlink_to(outside), race.unlink:
                with contextlib.suppress(OSError):  # the other side makes and finds things there, too
                    step()

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(500):
            with contextlib.suppress(OSError):
                os.close(make_directory_beneath(root, "race"))
                os.close(make_file_beneath(root, "race/file"))
    finally:
        stop.set()
        thread.join()

    assert os.listdir(outside) == []

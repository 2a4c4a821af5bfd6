"""Trees are deleted whole and at once, whatever a container made of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rundlet.images import Snapshots
from rundlet.images.trees import Workspace


def nest(directory: Path, depth: int) -> None:
    """Make ``depth`` directories in each other: deeper than any path or recursion reaches."""
    here = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        os.close(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=here))
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def left(workspace: Workspace) -> list[Path]:
    """What is in the workspace beside the empty place for what is gone."""
    return [path for path in workspace.path.rglob("*") if path != workspace.path / "gone"]


def test_a_tree_deeper_than_any_path_is_deleted(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "deep").mkdir()
    nest(tmp_path / "deep", 5000)

    workspace.discard(tmp_path / "deep")

    assert not (tmp_path / "deep").exists()
    assert left(workspace) == []


def test_symlinks_are_deleted_and_not_followed(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").touch()
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone/link").symlink_to(tmp_path / "kept")
    (tmp_path / "link").symlink_to(tmp_path / "kept")

    workspace.discard(tmp_path / "gone")
    workspace.discard(tmp_path / "link")

    assert (tmp_path / "kept/file").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "tmp"}


def test_names_that_the_deletion_itself_uses_do_no_harm(tmp_path: Path, workspace: Workspace) -> None:
    for path in ["gone/gone/gone", "tree/gone", "gone-1", "0/0"]:
        (tmp_path / "tree" / path).mkdir(parents=True)

    workspace.discard(tmp_path / "tree")

    assert left(workspace) == []


def test_what_does_not_exist_is_deleted_already(tmp_path: Path, workspace: Workspace) -> None:
    workspace.discard(tmp_path / "nothing")

    assert left(workspace) == []


def test_a_working_directory_goes_with_what_is_in_it(workspace: Workspace) -> None:
    with workspace.directory("work") as directory:
        (directory / "half-made").mkdir()

    assert left(workspace) == []


def test_sweeping_deletes_what_a_crash_left(workspace: Workspace) -> None:
    (workspace.path / "layer-x/diff").mkdir(parents=True)
    (workspace.path / "gone/y/z").mkdir(parents=True)
    (workspace.path / "blob").touch()

    workspace.sweep()

    assert left(workspace) == []


@pytest.mark.privileged  # only root removes what is in a directory of mode 000
def test_a_snapshot_is_made_and_removed(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)

    made = snapshots.create("abc")

    assert [path.stat().st_mode & 0o777 for path in (made.upper, made.work, made.upper.parent)] == [
        0o755,
        0o700,
        0o700,
    ]
    with pytest.raises(FileExistsError):
        snapshots.create("abc")
    (made.work / "work").mkdir(mode=0)  # as overlayfs leaves it
    snapshots.remove("abc")
    snapshots.remove("abc")
    assert list((tmp_path / "containers").iterdir()) == []


def test_removing_a_snapshot_leaves_what_else_the_engine_keeps_there(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    made = snapshots.create("abc")
    log = made.upper.parent / "log.json"
    log.touch()

    snapshots.remove("abc")

    assert list(log.parent.iterdir()) == [log]


def test_the_size_of_a_snapshot_is_that_of_its_files(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    made = snapshots.create("abc")
    (made.upper / "d").mkdir()
    (made.upper / "d/f").write_bytes(b"x" * 1000)
    (made.upper / "link").symlink_to("/etc/passwd")
    nest(made.upper / "d", 1000)

    assert snapshots.size("abc") == 1000
    snapshots.remove("abc")  # pytest cannot delete so deep a tree
    assert snapshots.size("unknown") == 0

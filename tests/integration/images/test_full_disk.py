"""On a full disk the error names what there was no room for, and nothing half-made is left."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rundlet.errors import StorageFull
from rundlet.images import ImageStore, Snapshots
from tests.integration.images.conftest import Run
from tests.unit.images.samples import docker_archive, entry, pack

pytestmark = pytest.mark.privileged

SMALL = pack([entry("small", b"x")])
LARGE = pack([entry(f"file{number}", os.urandom(1 << 20)) for number in range(6)])


@pytest.fixture
def full(tmp_path: Path, run: Run) -> Iterator[Path]:
    """A data root on a filesystem of 8 MiB."""
    place = tmp_path / "full"
    place.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=500", "tmpfs", place)
    yield place
    run("umount", place)


@pytest.fixture
def full_store(full: Path) -> Iterator[ImageStore]:
    store = ImageStore(full)
    yield store
    store.close()  # before the filesystem goes


def used(path: Path) -> set[str]:
    return {str(item.relative_to(path)) for item in path.rglob("*") if "engine.db" not in item.name}


def test_loading_too_much_fails_and_leaves_what_was_there(full: Path, full_store: ImageStore) -> None:
    store = full_store
    store.load(io.BytesIO(docker_archive([SMALL], ["small:1"])))
    before = used(full)

    with pytest.raises(StorageFull, match="no space left on device"):
        store.load(io.BytesIO(docker_archive([LARGE], ["large:1"])))

    assert used(full) == before
    assert [image.references for image in store.list()] == [("small:1",)]
    store.load(io.BytesIO(docker_archive([SMALL], ["again:1"])))


def test_running_out_of_inodes_is_the_same(full: Path, full_store: ImageStore) -> None:
    store = full_store
    before = used(full)

    with pytest.raises(StorageFull, match="unpacking"):
        store.import_rootfs(io.BytesIO(pack([entry(str(number)) for number in range(1000)])), reference="many")

    assert used(full) == before


def test_a_snapshot_is_whole_or_not_there(full: Path) -> None:
    snapshots = Snapshots(full)

    with pytest.raises(StorageFull, match="filesystem"):
        create_without_end(snapshots)

    made = list((full / "containers").iterdir())
    assert len(made) > 10
    for path in made:
        assert {item.name for item in path.iterdir()} == {"upper", "work"}


def create_without_end(snapshots: Snapshots) -> None:
    for number in itertools.count():
        snapshots.create(f"c{number}")

"""The image store: what loads, what names what, what is deleted and what is kept."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rundlet.errors import (
    CorruptArchive,
    ImageInUse,
    ImageNotFound,
    InvalidArgument,
    InvalidReference,
    RundletError,
)
from rundlet.images import ImageStore, Loaded, Progress, Users
from rundlet.images.image import host_architecture
from rundlet.images.tar import TarLimits
from tests.unit.images.samples import (
    config,
    digest,
    directory,
    docker_archive,
    entry,
    oci_archive,
    pack,
)

LOWER = pack([directory("etc"), entry("etc/os", b"lower"), entry("only-lower")])
UPPER = pack([entry("etc/os", b"upper!")])


def load(store: ImageStore, archive: bytes) -> list[Loaded]:
    return store.load(io.BytesIO(archive))


def content(data_root: Path) -> set[str]:
    """Everything that the store keeps, as paths: to see that nothing is left, or nothing was changed."""
    kept = [*(data_root / "blobs").rglob("*"), *(data_root / "layers").rglob("*"), *(data_root / "tmp").rglob("*")]
    return {str(path.relative_to(data_root)) for path in kept} - {"blobs/sha256", "tmp/gone"}


# ── loading ──


def test_an_image_is_what_its_archive_says(store: ImageStore) -> None:
    defaults = {"Env": ["A=1"], "Cmd": ["sh"], "Labels": {"l": "v"}}
    archive = docker_archive([LOWER, UPPER], created="2020-01-02T03:04:05Z", config=defaults)

    (loaded,) = load(store, archive)

    image = store.resolve("sample")
    assert ("sample:latest", image.id) == (loaded.reference, loaded.image_id)
    assert (image.references, image.digests) == (("sample:latest",), ())
    assert (image.created, image.architecture, image.os) == ("2020-01-02T03:04:05Z", "amd64", "linux")
    assert (defaults, len(b"lower" + b"upper!")) == (image.defaults, image.size)
    assert (digest(LOWER), digest(UPPER)) == image.diff_ids
    assert (digest(LOWER), digest(f"{digest(LOWER)} {digest(UPPER)}".encode())) == image.layers


def test_lower_directories_come_topmost_first(store: ImageStore) -> None:
    load(store, docker_archive([LOWER, UPPER]))

    top, bottom = store.lower_dirs(store.resolve("sample"))

    assert ((top / "etc/os").read_text(), (bottom / "etc/os").read_text()) == ("upper!", "lower")


def test_an_image_without_layers_still_has_a_lower_directory(store: ImageStore) -> None:
    load(store, docker_archive([]))

    (empty,) = store.lower_dirs(store.resolve("sample"))

    assert list(empty.iterdir()) == []


def test_an_oci_archive_with_compressed_layers_is_the_same_image(store: ImageStore) -> None:
    (docker,) = load(store, docker_archive([LOWER, UPPER]))
    (oci,) = load(store, oci_archive([LOWER, UPPER], [gzip.compress(LOWER), UPPER]))

    assert ("sample:oci", docker.image_id) == (oci.reference, oci.image_id)


def test_an_archive_may_itself_be_compressed(store: ImageStore) -> None:
    assert load(store, gzip.compress(docker_archive([LOWER])))[0].reference == "sample:latest"


def test_every_name_of_an_archive_is_reported_and_an_image_without_name_too(store: ImageStore) -> None:
    tagged = load(store, docker_archive([LOWER], ["a:1", "docker.io/library/b:2", "localhost:5000/c/d:3"]))
    nameless = load(store, docker_archive([UPPER], []))

    assert [item.reference for item in tagged] == ["a:1", "b:2", "localhost:5000/c/d:3"]
    assert [item.reference for item in nameless] == [None]


def test_loading_moves_a_name_to_the_new_image(store: ImageStore) -> None:
    (old,) = load(store, docker_archive([LOWER]))
    (new,) = load(store, docker_archive([UPPER]))

    assert new.image_id == store.resolve("sample").id
    assert store.resolve(old.image_id).references == ()


def test_loading_twice_changes_nothing(store: ImageStore, data_root: Path) -> None:
    load(store, docker_archive([LOWER, UPPER]))
    before = content(data_root)

    load(store, docker_archive([LOWER, UPPER]))

    assert before == content(data_root)
    assert len(store.list()) == 1


def test_layers_that_images_share_are_unpacked_once(store: ImageStore, data_root: Path) -> None:
    load(store, docker_archive([LOWER], ["a:1"]))
    load(store, docker_archive([LOWER, UPPER], ["b:1"]))

    assert len(list((data_root / "layers").iterdir())) == 2
    assert store.resolve("b:1").layers[0] == store.resolve("a:1").layers[0]


def test_progress_tells_of_reading_and_of_every_layer(store: ImageStore) -> None:
    told: list[Progress] = []

    store.load(io.BytesIO(docker_archive([LOWER, UPPER])), told.append)

    last = {item.id: (item.current, item.total) for item in told if item.status == "Loading layer"}
    assert {digest(layer)[7:19]: (len(layer), len(layer)) for layer in (LOWER, UPPER)} == last
    assert told[0].status == "Reading archive"


def test_several_threads_may_load_the_same_image(store: ImageStore) -> None:
    results: list[str] = []

    def run() -> None:
        results.append(load(store, docker_archive([LOWER, UPPER]))[0].image_id)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(results) == 4
    assert len(store.list()) == 1


@pytest.mark.privileged  # sets a trusted attribute
def test_an_opaque_root_hides_all_layers_below(store: ImageStore) -> None:
    load(store, docker_archive([LOWER, pack([entry(".wh..wh..opq"), entry("new")])]))

    (only,) = store.lower_dirs(store.resolve("sample"))

    assert [path.name for path in only.iterdir()] == ["new"]


BAD_ARCHIVES: dict[str, Callable[[], bytes]] = {
    "not a tar": lambda: b"x" * 2000,
    "empty": lambda: b"",
    "a root filesystem": lambda: LOWER,
    "a cut archive": lambda: docker_archive([LOWER])[:1500],
    "a layer that is not what the configuration says": lambda: docker_archive([UPPER], document=config([b"else"])),
    "fewer layers than the configuration says": lambda: docker_archive([LOWER], document=config([LOWER, UPPER])),
    "a layer that is no tar": lambda: docker_archive([b"x" * 600]),
    "a layer that climbs out": lambda: docker_archive([LOWER, pack([entry("../../../canary", b"dead")])]),
    "a diff ID that is a path": lambda: docker_archive(
        [LOWER], document=json.dumps({"rootfs": {"diff_ids": ["sha256:../../../../etc/passwd"]}}).encode()
    ),
    "too many layers": lambda: docker_archive([], document=config([b"%d" % n for n in range(200)])),
    "an image for another system": lambda: docker_archive([LOWER], os="windows"),
    "a bad tag": lambda: docker_archive([LOWER], ["UPPER:case"]),
    "a reference by digest": lambda: docker_archive([LOWER], [f"a@{digest(b'')}"]),
}


@pytest.mark.parametrize("what", BAD_ARCHIVES)
def test_a_bad_archive_is_refused_and_leaves_the_store_as_it_was(
    store: ImageStore, data_root: Path, what: str
) -> None:
    load(store, docker_archive([LOWER], ["kept:1"]))
    before = content(data_root)

    with pytest.raises(CorruptArchive):
        load(store, BAD_ARCHIVES[what]())

    assert before == content(data_root)
    assert [image.references for image in store.list()] == [("kept:1",)]


def test_a_layer_with_more_data_than_allowed_is_refused(data_root: Path) -> None:
    store = ImageStore(data_root, limits=TarLimits(data_bytes=1 << 20))
    bomb = gzip.compress(pack([entry("zeros", bytes(2 << 20))]))
    try:
        with pytest.raises(CorruptArchive, match="holds more than"):
            load(store, oci_archive([gzip.decompress(bomb)], [bomb]))
    finally:
        store.close()
    assert set() == content(data_root)


# ── finding ──


def test_an_image_is_found_by_any_of_its_names(store: ImageStore) -> None:
    loaded, _ = load(store, docker_archive([LOWER], ["team/app:1", "app:latest"]))
    digits = loaded.image_id.removeprefix("sha256:")

    for name in ["team/app:1", "docker.io/team/app:1", "app", "app:latest", loaded.image_id, digits, digits[:12]]:
        assert loaded.image_id == store.resolve(name).id
    assert loaded.image_id == store.resolve(f"sha256:{digits[:8]}").id


@pytest.mark.parametrize("name", ["app", "app:2", "team/app", "f" * 64, "sha256:" + "f" * 64, "ffff"])
def test_an_unknown_name_is_not_found_in_dockers_words(store: ImageStore, name: str) -> None:
    with pytest.raises(ImageNotFound, match="No such image: "):
        store.resolve(name)


@pytest.mark.parametrize("name", ["", "UPPER", "a b", "a:b:c", "../x", "a@sha256:zz"])
def test_what_is_no_name_is_invalid(store: ImageStore, name: str) -> None:
    with pytest.raises(InvalidReference):
        store.resolve(name)


def test_a_short_id_of_several_images_is_ambiguous(store: ImageStore) -> None:
    documents = [config([], author=str(number)) for number in range(80)]
    same = [document for document in documents if digest(document)[7] == "a"]
    for document in same:
        load(store, docker_archive([], [], document=document))

    assert len(same) > 1
    with pytest.raises(InvalidArgument, match="ambiguous"):
        store.resolve("a")


def test_a_name_wins_over_a_short_id_that_looks_the_same(store: ImageStore) -> None:
    (by_id,) = load(store, docker_archive([LOWER], []))
    (by_name,) = load(store, docker_archive([UPPER], [f"{by_id.image_id[7:12]}:latest"]))

    assert by_name.image_id == store.resolve(by_id.image_id[7:12]).id


def test_images_are_there_after_a_restart(store: ImageStore, data_root: Path) -> None:
    load(store, docker_archive([LOWER, UPPER]))

    again = ImageStore(data_root)
    again.sweep()

    assert store.list() == again.list()
    assert all((path / "etc/os").exists() for path in again.lower_dirs(again.resolve("sample")))
    again.close()


# ── naming and removing ──


def test_an_image_may_get_another_name(store: ImageStore) -> None:
    load(store, docker_archive([LOWER]))

    store.tag("sample", "localhost:5000/other:v1")

    assert store.resolve("sample").references == ("localhost:5000/other:v1", "sample:latest")


@pytest.mark.parametrize("name", ["UPPER", "a@sha256:" + "0" * 64, "0" * 64, ""])
def test_what_is_no_tag_cannot_be_given(store: ImageStore, name: str) -> None:
    load(store, docker_archive([LOWER]))

    with pytest.raises(RundletError):
        store.tag("sample", name)


def test_the_last_name_takes_the_image_and_its_layers_along(store: ImageStore, data_root: Path) -> None:
    loaded, _ = load(store, docker_archive([LOWER, UPPER], ["a:1", "a:2"]))
    layers = store.resolve("a:1").layers

    first = store.remove("a:1")
    last = store.remove("a:2")

    assert [(item.Untagged, item.Deleted) for item in first] == [("a:1", None)]
    assert [
        ("a:2", None),
        (None, loaded.image_id),
        (None, layers[1]),
        (None, layers[0]),
    ] == [(item.Untagged, item.Deleted) for item in last]
    assert set() == content(data_root)
    with pytest.raises(ImageNotFound):
        store.resolve(loaded.image_id)


def test_layers_of_another_image_stay(store: ImageStore) -> None:
    load(store, docker_archive([LOWER], ["base:1"]))
    load(store, docker_archive([LOWER, UPPER], ["app:1"]))

    store.remove("app:1")

    assert (store.lower_dirs(store.resolve("base:1"))[0] / "etc/os").read_text() == "lower"


def test_an_image_that_containers_use_keeps_its_layers_even_when_forced(store: ImageStore) -> None:
    (loaded,) = load(store, docker_archive([LOWER]))

    with pytest.raises(ImageInUse, match="must force"):
        store.remove("sample", users=lambda _: Users(stopped=["c" * 64]))
    items = store.remove("sample", force=True, users=lambda _: Users(stopped=["c" * 64]))

    assert [(item.Untagged, item.Deleted) for item in items] == [("sample:latest", None)]
    assert store.lower_dirs(store.resolve(loaded.image_id))[0].is_dir()


def test_what_cannot_be_removed_keeps_its_names(store: ImageStore) -> None:
    loaded, _ = load(store, docker_archive([LOWER], ["a:1", "b:1"]))

    with pytest.raises(ImageInUse, match="multiple repositories"):
        store.remove(loaded.image_id)

    assert store.resolve("a:1").references == ("a:1", "b:1")


# ── importing ──


def test_an_imported_root_filesystem_is_an_image_of_one_layer(store: ImageStore) -> None:
    image = store.import_rootfs(
        io.BytesIO(gzip.compress(LOWER)), reference="mine:1", message="from tar", changes=["CMD sh", "ENV A=b"]
    )

    assert (("mine:1",), (digest(LOWER),)) == (image.references, image.layers)
    assert image.defaults == {"Cmd": ["/bin/sh", "-c", "sh"], "Env": ["A=b"]}
    assert (store.lower_dirs(image)[0] / "etc/os").read_text() == "lower"
    (step,) = store.history(image)
    assert ("from tar", 5, image.id, ["mine:1"]) == (step.Comment, step.Size, step.Id, step.Tags)


def test_an_import_is_for_this_machine_unless_it_says_otherwise(store: ImageStore) -> None:
    own = store.import_rootfs(io.BytesIO(LOWER), reference=None)
    foreign = store.import_rootfs(io.BytesIO(LOWER), reference=None, architecture="s390x")

    assert (own.architecture, foreign.architecture) == (host_architecture(), "s390x")


def test_an_import_keeps_its_archive_as_a_reproducible_blob(store: ImageStore, data_root: Path) -> None:
    layer = store.import_rootfs(io.BytesIO(LOWER), reference=None).layers[0]

    document = json.loads((data_root / "layers" / layer[7:] / "layer.json").read_text())
    blob = (data_root / "blobs/sha256" / document["blob"]["digest"][7:]).read_bytes()
    assert (LOWER, document["blob"]["size"]) == (gzip.decompress(blob), len(blob))


@pytest.mark.parametrize(
    ("reference", "changes", "data"),
    [("BAD", [], LOWER), ("a@sha256:" + "0" * 64, [], LOWER), ("a:1", ["FROM x"], LOWER), ("a:1", [], b"x" * 700)],
)
def test_a_bad_import_leaves_nothing(
    store: ImageStore, data_root: Path, reference: str, changes: list[str], data: bytes
) -> None:
    with pytest.raises(InvalidArgument):
        store.import_rootfs(io.BytesIO(data), reference=reference, changes=changes)

    assert set() == content(data_root)
    assert store.list() == []


# ── start-up and concurrency ──


def test_start_up_sweeps_what_a_crash_left(store: ImageStore, data_root: Path) -> None:
    load(store, docker_archive([LOWER]))
    before = content(data_root)
    (data_root / "tmp/layer-abc/diff/deep").mkdir(parents=True)
    (data_root / "blobs/sha256" / ("0" * 64)).write_text("nobody's")
    (data_root / "layers" / ("1" * 64) / "diff").mkdir(parents=True)

    store.sweep()

    assert before == content(data_root)


@pytest.mark.parametrize("damage", ["config", "layer", "description"])
def test_start_up_forgets_an_image_that_is_not_whole_and_keeps_the_others(
    store: ImageStore, data_root: Path, damage: str
) -> None:
    load(store, docker_archive([LOWER], ["good:1"]))
    (bad,) = load(store, docker_archive([LOWER, UPPER], ["bad:1"]))
    top = data_root / "layers" / store.resolve("bad:1").layers[1][7:]
    if damage == "config":
        (data_root / "blobs/sha256" / bad.image_id[7:]).write_bytes(b"")
    elif damage == "layer":
        shutil.rmtree(top)
    else:
        (top / "layer.json").write_bytes(b"")

    again = ImageStore(data_root)
    again.sweep()

    assert [image.references for image in again.list()] == [("good:1",)]
    again.close()


def test_nothing_is_collected_while_an_image_is_being_made(store: ImageStore, data_root: Path) -> None:
    """A removal in the middle of a load takes the image, and its layers go when the load has ended."""
    load(store, docker_archive([LOWER], ["old:1"]))

    def remove_once(_: Progress) -> None:
        if any("old:1" in image.references for image in store.list()):
            store.remove("old:1")

    store.load(io.BytesIO(docker_archive([LOWER, UPPER], ["new:1"])), remove_once)
    store.remove("new:1")

    assert set() == content(data_root)


def test_directories_are_closed_to_other_users(store: ImageStore, data_root: Path) -> None:
    load(store, docker_archive([LOWER]))

    closed = [data_root, data_root / "tmp", data_root / "layers", data_root / "blobs/sha256"]
    assert [path.stat().st_mode & 0o777 for path in closed] == [0o700] * 4
    assert all(path.stat().st_mode & 0o077 == 0 for path in (data_root / "layers").iterdir())
    assert all(path.stat().st_mode & 0o077 == 0 for path in (data_root / "blobs/sha256").iterdir())

"""Archives that skopeo and umoci write are the filesystems that they were made from."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from rundlet.images import Image, ImageStore
from tests.integration.images.conftest import Run

pytestmark = [
    pytest.mark.privileged,
    pytest.mark.skipif(not (shutil.which("skopeo") and shutil.which("umoci")), reason="needs skopeo and umoci"),
]
Mounted = Callable[[ImageStore, Image], Path]


@pytest.fixture
def layout(tmp_path: Path, rootfs: Path, run: Run) -> Path:
    """An OCI layout with an image of two layers: the second changes, adds and removes."""
    bundle = tmp_path / "bundle"
    run("umoci", "init", "--layout", "layout")
    run("umoci", "new", "--image", "layout:empty")
    run("umoci", "unpack", "--image", "layout:empty", bundle)
    shutil.copytree(rootfs, bundle / "rootfs", dirs_exist_ok=True, symlinks=True)
    run("umoci", "repack", "--image", "layout:one", "--refresh-bundle", bundle)
    (bundle / "rootfs/etc/motd").write_text("second")
    (bundle / "rootfs/bin/id").unlink()
    shutil.rmtree(bundle / "rootfs/data/old")
    (bundle / "rootfs/data/new").mkdir()
    run("umoci", "repack", "--image", "layout:two", bundle)
    run("umoci", "config", "--image", "layout:two", "--config.cmd", "sh", "--config.env", "A=b c")
    return tmp_path / "layout"


def assert_is_the_second_image(root: Path) -> None:
    assert (root / "etc/motd").read_text() == "second"
    assert not (root / "bin/id").exists()
    assert [path.name for path in (root / "data").iterdir()] == ["new"]
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (root / "bin/sh").read_bytes() == Path("/bin/busybox").read_bytes()


@pytest.mark.parametrize(
    "kind", ["docker-archive:out.tar:busybox:test", "oci-archive:out.tar:busybox:test"], ids=["docker", "oci"]
)
@pytest.mark.parametrize("compression", ["plain", "gzip", "xz", "zstd", "bzip2"])
def test_an_archive_of_skopeo_is_its_image(
    store: ImageStore, tmp_path: Path, layout: Path, run: Run, mounted: Mounted, kind: str, compression: str
) -> None:
    run("skopeo", "copy", "--insecure-policy", f"oci:{layout}:two", kind)
    archive = tmp_path / "out.tar"
    if compression != "plain":
        if not shutil.which(compression):
            pytest.skip(f"needs {compression}")
        run(compression, "--quiet", archive)
        (archive,) = tmp_path.glob("out.tar.*")

    with archive.open("rb") as file:
        (loaded,) = store.load(file)

    image = store.resolve("busybox:test")
    assert (loaded.reference, loaded.image_id) == ("busybox:test", image.id)
    assert (image.defaults["Cmd"], image.defaults["Env"]) == (["sh"], ["A=b c"])
    assert_is_the_second_image(mounted(store, image))


def test_a_layout_of_umoci_holds_all_its_images(
    store: ImageStore, tmp_path: Path, layout: Path, run: Run, mounted: Mounted
) -> None:
    run("tar", "-C", layout, "-cf", tmp_path / "layout.tar", ".")

    with (tmp_path / "layout.tar").open("rb") as file:
        empty, one, two = store.load(file)

    assert {empty.reference, one.reference, two.reference} == {None}
    images = sorted(
        (store.resolve(item.image_id) for item in (empty, one, two)), key=lambda image: len(image.layers)
    )
    assert [len(image.layers) for image in images] == [0, 1, 2]
    first = mounted(store, images[1])
    assert ((first / "etc/motd").read_text(), (first / "data/old/file").read_text()) == ("first", "old")
    assert_is_the_second_image(mounted(store, images[2]))


def test_a_container_can_run_from_an_imported_root_filesystem(
    store: ImageStore, tmp_path: Path, rootfs: Path, run: Run, mounted: Mounted
) -> None:
    run("tar", "-C", rootfs, "-czf", tmp_path / "rootfs.tgz", ".")

    with (tmp_path / "rootfs.tgz").open("rb") as file:
        image = store.import_rootfs(file, reference="mine", changes=['CMD ["sh"]'])

    assert run("chroot", mounted(store, image), "/bin/cat", "/etc/motd") == "first"


def test_owners_devices_and_capabilities_survive(store: ImageStore, tmp_path: Path, run: Run) -> None:
    source = tmp_path / "source"
    source.mkdir()
    os.mknod(source / "null", 0o020666, os.makedev(1, 3))
    (source / "ping").write_text("x")
    (source / "ping").chmod(0o755)
    run("setcap", "cap_net_raw+ep", source / "ping")
    os.chown(source / "ping", 1000, 2000)
    run("setcap", "cap_net_raw+ep", source / "ping")
    run("tar", "-C", source, "--xattrs", "--xattrs-include=*", "-cf", tmp_path / "source.tar", ".")

    with (tmp_path / "source.tar").open("rb") as file:
        root = store.lower_dirs(store.import_rootfs(file, reference=None))[0]

    assert (root / "null").stat().st_rdev == os.makedev(1, 3)
    assert ((root / "ping").stat().st_uid, (root / "ping").stat().st_gid) == (1000, 2000)
    assert os.getxattr(root / "ping", "security.capability") == os.getxattr(source / "ping", "security.capability")


def test_what_is_made_by_whiteouts_is_what_overlayfs_shows(
    store: ImageStore, tmp_path: Path, mounted: Mounted
) -> None:
    """One layer with everything, one that hides some of it in every way there is."""
    from tests.unit.images.samples import directory, docker_archive, entry, pack

    lower = pack(
        [directory("opaque"), entry("opaque/below"), directory("again"), entry("again/below"), entry("gone")]
    )
    upper = pack(
        [
            directory("opaque"),
            entry("opaque/.wh..wh..opq"),
            entry("opaque/above"),
            entry(".wh.gone"),
            entry(".wh.again"),
            directory("again"),
            entry("again/above"),
        ]
    )
    archive = tmp_path / "archive.tar"
    archive.write_bytes(docker_archive([lower, upper]))

    with archive.open("rb") as file:
        store.load(file)
    root = mounted(store, store.resolve("sample"))

    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == [
        "again",
        "again/above",
        "opaque",
        "opaque/above",
    ]


def test_an_archive_cannot_speak_overlayfs(store: ImageStore, tmp_path: Path) -> None:
    from tests.unit.images.samples import directory, entry, pack

    attributes = {f"SCHILY.xattr.{name}.overlay.opaque": "y" for name in ("trusted", "user")}
    members = [
        entry("device", type=tarfile.CHRTYPE, devmajor=0, devminor=0),
        (directory("marked")[0], b""),
    ]
    members[1][0].pax_headers = attributes
    archive = tmp_path / "archive.tar"
    archive.write_bytes(pack(members))

    with archive.open("rb") as file:
        root = store.lower_dirs(store.import_rootfs(file, reference=None))[0]

    assert [path.name for path in root.iterdir()] == ["marked"]
    assert os.listxattr(root / "marked") == []

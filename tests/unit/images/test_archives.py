"""The documents of image archives: every flavour is read, and none of them is believed."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from rundlet.errors import CorruptArchive
from rundlet.images.archives import read_archive
from rundlet.images.image import host_architecture
from rundlet.images.members import ArchivedImage
from rundlet.images.progress import silent
from rundlet.images.tar import TarLimits
from tests.unit.images.samples import (
    Member,
    config,
    descriptor,
    digest,
    docker_archive,
    entry,
    hard_link,
    oci_archive,
    pack,
    pack_oci,
    symlink,
)

LAYER = pack([entry("f", b"x")])
OTHER = pack([entry("g", b"y")])


def read(tmp_path: Path, data: bytes) -> list[ArchivedImage]:
    directory = tmp_path / "members"
    directory.mkdir()
    return read_archive(io.BytesIO(data), directory, TarLimits(), silent)


def manifest(document: bytes, layers: list[bytes]) -> bytes:
    return json.dumps({"config": descriptor(document), "layers": [descriptor(layer) for layer in layers]}).encode()


def index(*descriptors: dict[str, Any]) -> dict[str, Any]:
    return {"schemaVersion": 2, "manifests": list(descriptors)}


def test_a_docker_archive_names_its_files_in_manifest_json(tmp_path: Path) -> None:
    (image,) = read(tmp_path, docker_archive([LAYER, OTHER], ["a:1", "b:2"]))

    assert image.config == config([LAYER, OTHER])
    assert [layer.digest for layer in image.layers] == [digest(LAYER), digest(OTHER)]
    assert image.references == ["docker.io/library/a:1", "docker.io/library/b:2"]


@pytest.mark.parametrize(
    "link", [symlink("a/layer.tar", "../b/layer.tar"), hard_link("a/layer.tar", "b/layer.tar")]
)
def test_layers_may_be_links_inside_the_archive(tmp_path: Path, link: Member) -> None:
    """docker save and skopeo share equal layers so."""
    documents = [{"Config": "c", "RepoTags": None, "Layers": ["a/layer.tar"]}]
    archive = pack(
        [
            entry("b/layer.tar", LAYER),
            link,
            entry("c", config([LAYER])),
            entry("manifest.json", json.dumps(documents).encode()),
        ]
    )

    (image,) = read(tmp_path, archive)

    assert [layer.digest for layer in image.layers] == [digest(LAYER)]


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "missing", "loop", "a\0b", 7, None, ["x"]])
@pytest.mark.parametrize("key", ["Config", "Layers"])
def test_a_file_that_the_archive_does_not_have_is_never_looked_for_on_this_machine(
    tmp_path: Path, key: str, name: object
) -> None:
    document: dict[str, Any] = {"Config": "config.json", "Layers": []}
    document[key] = [name] if key == "Layers" else name
    archive = pack(
        [
            entry("config.json", config([])),
            symlink("loop", "loop"),
            entry("manifest.json", json.dumps([document]).encode()),
        ]
    )

    with pytest.raises(CorruptArchive, match="the archive has no file"):
        read(tmp_path, archive)


@pytest.mark.parametrize(
    "document",
    ["{}", "[[]]", "null", "[" * 100_000, '{"a":', "[{}", '"\\ud800"', "\xff", '[{"Layers":{}}]', "9" * 5000],
)
def test_a_manifest_that_is_something_else_is_corrupt(tmp_path: Path, document: str) -> None:
    with pytest.raises(CorruptArchive):
        read(tmp_path, pack([entry("manifest.json", document.encode("latin-1"))]))


def test_a_manifest_with_millions_of_layers_is_refused(tmp_path: Path) -> None:
    documents = [{"Config": "c", "Layers": ["l"] * 100_000}]

    with pytest.raises(CorruptArchive, match="100000 items"):
        read(tmp_path, pack([entry("manifest.json", json.dumps(documents).encode())]))


def test_a_document_too_large_to_be_one_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(CorruptArchive, match="bytes"):
        read(tmp_path, pack([entry("manifest.json", b" " * (5 << 20))]))


def test_a_member_that_climbs_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptArchive, match="leads out"):
        read(tmp_path, pack([entry("../../canary", b"dead")]))


def test_a_member_is_never_written_under_its_own_name(tmp_path: Path) -> None:
    read(tmp_path, docker_archive([LAYER]))

    assert {path.name for path in (tmp_path / "members").iterdir()} == {"0", "1", "2"}


# ── OCI ──


@pytest.mark.parametrize(
    ("name", "references"),
    [
        ("busybox:1.36", ["docker.io/library/busybox:1.36"]),
        ("registry.example/team/app:v1", ["registry.example/team/app:v1"]),
        ("team/app", ["docker.io/team/app:latest"]),
        ("latest", []),
    ],
)
def test_an_oci_archive_names_its_images_in_annotations(tmp_path: Path, name: str, references: list[str]) -> None:
    """A bare word is a tag of nobody knows what: umoci writes it."""
    (image,) = read(tmp_path, oci_archive([LAYER], name=name))

    assert image.references == references
    assert [layer.digest for layer in image.layers] == [digest(LAYER)]


def test_containerds_name_wins_over_the_short_one(tmp_path: Path) -> None:
    document = config([LAYER])
    body = manifest(document, [LAYER])
    annotations = {"org.opencontainers.image.ref.name": "1", "io.containerd.image.name": "docker.io/library/a:1"}

    archive = pack_oci(index({**descriptor(body), "annotations": annotations}), [body, document, LAYER])

    assert read(tmp_path, archive)[0].references == ["docker.io/library/a:1"]


def test_of_a_multi_platform_image_the_one_for_this_machine_is_taken(tmp_path: Path) -> None:
    bodies, blobs, descriptors = [], [], []
    for architecture in ("mips", host_architecture(), "unknown"):
        document = config([LAYER], author=architecture)
        bodies.append(manifest(document, [LAYER]))
        blobs.append(document)
        attested = {"vnd.docker.reference.type": "attestation-manifest"} if architecture == "unknown" else {}
        platform = {"os": "linux", "architecture": architecture}
        descriptors.append({**descriptor(bodies[-1]), "platform": platform, "annotations": attested})
    inner = json.dumps(index(*descriptors)).encode()

    (image,) = read(tmp_path, pack_oci(index(descriptor(inner, "a:1")), [inner, *bodies, *blobs, LAYER]))

    assert json.loads(image.config)["author"] == host_architecture()
    assert image.references == ["docker.io/library/a:1"]


def test_an_image_for_other_machines_alone_is_refused(tmp_path: Path) -> None:
    inner = json.dumps(index({**descriptor(b"m"), "platform": {"os": "linux", "architecture": "mips"}})).encode()

    with pytest.raises(CorruptArchive, match="no image for linux/"):
        read(tmp_path, pack_oci(index(descriptor(inner)), [inner, b"m"]))


def test_content_under_a_false_digest_is_not_found(tmp_path: Path) -> None:
    document = config([LAYER])
    body = manifest(document, [LAYER])
    members = [
        entry("index.json", json.dumps(index(descriptor(body))).encode()),
        entry(f"blobs/sha256/{digest(body)[7:]}", body),
        entry(f"blobs/sha256/{digest(document)[7:]}", document),
        entry(f"blobs/sha256/{digest(LAYER)[7:]}", OTHER),
    ]

    with pytest.raises(CorruptArchive, match="no content with digest"):
        read(tmp_path, pack(members))


@pytest.mark.parametrize(
    "value", ["sha256:../../etc/passwd", "md5:" + "0" * 32, "", 5, None, "sha256:" + "F" * 64]
)
def test_what_is_no_digest_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(CorruptArchive, match="not a sha256 digest"):
        read(tmp_path, pack_oci(index({"digest": value}), []))


def test_an_index_that_holds_itself_in_itself_ends(tmp_path: Path) -> None:
    body = b'{"manifests": []}'
    blobs = []
    for _ in range(10):
        blobs.append(body)
        body = json.dumps(index(descriptor(body))).encode()

    with pytest.raises(CorruptArchive, match="nested too deep"):
        read(tmp_path, pack_oci(index(descriptor(body)), [*blobs, body]))


# ── before Docker 1.10 ──

LOW, HIGH = "1" * 64, "2" * 64


def legacy(repositories: object | None, parent: str = LOW) -> bytes:
    low = {"id": LOW, "created": "2014-01-01T00:00:00Z", "container_config": {"Cmd": ["/bin/sh", "-c", "first"]}}
    high = {"id": HIGH, "parent": parent, "config": {"Cmd": ["sh"]}, "architecture": "amd64", "os": "linux"}
    members = [
        *(entry(f"{name}/VERSION", b"1.0") for name in (LOW, HIGH)),
        entry(f"{LOW}/json", json.dumps(low).encode()),
        entry(f"{LOW}/layer.tar", LAYER),
        entry(f"{HIGH}/json", json.dumps(high).encode()),
        entry(f"{HIGH}/layer.tar", OTHER),
    ]
    if repositories is not None:
        members.append(entry("repositories", json.dumps(repositories).encode()))
    return pack(members)


def test_an_old_archive_becomes_an_ordinary_image(tmp_path: Path) -> None:
    (image,) = read(tmp_path, legacy({"old/app": {"v1": HIGH, "v2": HIGH}}))

    document = json.loads(image.config)
    assert image.references == ["docker.io/old/app:v1", "docker.io/old/app:v2"]
    assert [layer.digest for layer in image.layers] == [digest(LAYER), digest(OTHER)]
    assert document["rootfs"]["diff_ids"] == [digest(LAYER), digest(OTHER)]
    assert document["config"] == {"Cmd": ["sh"]}
    assert document["history"][0] == {"created": "2014-01-01T00:00:00Z", "created_by": "/bin/sh -c first"}


def test_an_old_archive_without_names_holds_the_image_that_is_nobodys_parent(tmp_path: Path) -> None:
    (image,) = read(tmp_path, legacy(None))

    assert (image.references, len(image.layers)) == ([], 2)


@pytest.mark.parametrize(
    "repositories", [{"a": {"1": "f" * 64}}, {"a": {"1": ["x"]}}, {"UPPER": {"1": HIGH}}, ["x"]]
)
def test_an_old_archive_that_names_what_it_does_not_have_is_corrupt(tmp_path: Path, repositories: object) -> None:
    with pytest.raises(CorruptArchive):
        read(tmp_path, legacy(repositories))


@pytest.mark.parametrize("parent", [HIGH, "f" * 64])
def test_an_old_archive_whose_parents_do_not_end_is_corrupt(tmp_path: Path, parent: str) -> None:
    with pytest.raises(CorruptArchive):
        read(tmp_path, legacy({"a": {"1": HIGH}}, parent))

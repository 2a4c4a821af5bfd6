"""The tar reader reads what others write, and survives what nobody should."""

from __future__ import annotations

import contextlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rundlet.errors import CorruptArchive
from rundlet.images.tar import BLOCK, Kind, TarLimits, TarReader
from tests.unit.images.samples import Member, entry, hard_link, pack, symlink

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def read(data: bytes, limits: TarLimits | None = None) -> dict[bytes, bytes]:
    """Name -> data of every entry."""
    reader = TarReader(io.BytesIO(data), limits)
    return {item.name: b"".join(reader.data()) for item in reader}


@pytest.mark.parametrize("tar_format", FORMATS)
def test_every_format_that_tarfile_writes_is_read_back(tar_format: int) -> None:
    fields = {"mode": 0o4751, "uid": 1234, "gid": 5678, "mtime": 1_700_000_000}
    reader = TarReader(io.BytesIO(pack([entry("dir/file", b"x" * 1000, **fields)], tar_format)))

    item = next(iter(reader))

    assert (item.name, item.kind, item.mode) == (b"dir/file", Kind.FILE, 0o4751)
    assert (item.uid, item.gid, item.mtime_ns, item.size) == (1234, 5678, 1_700_000_000 * 10**9, 1000)
    assert b"".join(reader.data()) == b"x" * 1000


@pytest.mark.parametrize("tar_format", FORMATS[1:])
def test_names_and_links_of_any_length_are_read(tar_format: int) -> None:
    name, target = "n/" * 300 + "end", "t/" * 400
    items = list(TarReader(io.BytesIO(pack([symlink(name, target), hard_link("h", name)], tar_format))))

    assert [name.encode(), b"h"] == [item.name for item in items]
    assert [target.encode(), name.encode()] == [item.link for item in items]


def test_ustar_prefix_belongs_to_the_name() -> None:
    name = "p" * 120 + "/" + "n" * 90

    assert [name.encode()] == list(read(pack([entry(name)], tarfile.USTAR_FORMAT)))


def test_pax_times_keep_their_nanoseconds() -> None:
    member = entry("f", pax_headers={"mtime": "1700000000.123456789"})

    assert next(iter(TarReader(io.BytesIO(pack([member]))))).mtime_ns == 1_700_000_000_123_456_789


def test_large_numbers_are_read_in_base_256() -> None:
    item = next(iter(TarReader(io.BytesIO(pack([entry("f", uid=2**31, gid=2**32 - 2)], tarfile.GNU_FORMAT)))))

    assert (item.uid, item.gid) == (2**31, 2**32 - 2)


def test_extended_attributes_are_read_as_bytes() -> None:
    value = "\x01\x00\udcff\udcfe"  # tarfile hands on bytes that are not UTF-8 as surrogates
    member = entry("f", pax_headers={"SCHILY.xattr.security.capability": value})

    assert next(iter(TarReader(io.BytesIO(pack([member]))))).xattrs == {
        b"security.capability": b"\x01\x00\xff\xfe"
    }


def test_attributes_as_bsdtar_writes_them_are_read() -> None:
    member = entry("f", pax_headers={"LIBARCHIVE.xattr.user.a%20b": "aGk"})

    assert next(iter(TarReader(io.BytesIO(pack([member]))))).xattrs == {b"user.a b": b"hi"}


def test_a_slash_at_the_end_makes_an_old_file_entry_a_directory() -> None:
    assert Kind.DIRECTORY is next(iter(TarReader(io.BytesIO(pack([entry("d/")], tarfile.USTAR_FORMAT))))).kind


@pytest.mark.parametrize(
    "options", [["--format=gnu"], *(["--format=posix", f"--sparse-version={v}"] for v in ("0.0", "0.1", "1.0"))]
)
def test_sparse_files_are_read_as_gnu_tar_writes_them(tmp_path: Path, options: list[str]) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        for at in range(0, 60 << 20, 2 << 20):  # 30 parts: more than fit into the first header
            file.seek(at)
            file.write(b"part" * 2048)
        file.truncate(64 << 20)
    data = subprocess.run(
        ["tar", "-C", tmp_path, "-cSf", "-", *options, "sparse"], capture_output=True, check=True
    ).stdout
    reader = TarReader(io.BytesIO(data))

    item = next(iter(reader))

    stored = [(offset, length) for offset, length in item.extents or () if length]
    assert (item.name, item.size) == (b"sparse", 64 << 20)
    assert [offset for offset, _ in stored] == list(range(0, 60 << 20, 2 << 20))
    assert b"".join(reader.data()) == b"part" * 2048 * 30


def test_data_that_nobody_reads_is_skipped() -> None:
    reader = TarReader(io.BytesIO(pack([entry("a", b"1" * 5000), entry("b", b"2")])))

    assert [item.name for item in reader] == [b"a", b"b"]


def test_an_archive_without_end_marker_is_complete() -> None:
    data = pack([entry("f", b"x")], tarfile.USTAR_FORMAT)[: 2 * BLOCK]

    assert read(data) == {b"f": b"x"}


@pytest.mark.parametrize("length", [1, 100, 511, 513, 600, 1023, 1100])
def test_a_cut_archive_is_corrupt(length: int) -> None:
    data = pack([entry("f", b"x" * 600)], tarfile.USTAR_FORMAT)

    with pytest.raises(CorruptArchive, match="ends"):
        read(data[:length])


def test_a_header_that_was_changed_is_corrupt() -> None:
    data = bytearray(pack([entry("f")], tarfile.USTAR_FORMAT))
    data[0] ^= 1

    with pytest.raises(CorruptArchive, match="checksum"):
        read(bytes(data))


def test_more_entries_than_allowed_are_refused() -> None:
    with pytest.raises(CorruptArchive, match="more than 2 entries"):
        read(pack([entry(str(n)) for n in range(3)]), TarLimits(entries=2))


def test_more_data_than_allowed_is_refused_before_it_is_read() -> None:
    header = tarfile.TarInfo("bomb")
    header.size = 1 << 40

    with pytest.raises(CorruptArchive, match="holds more than"):
        read(header.tobuf(tarfile.GNU_FORMAT), TarLimits(data_bytes=1 << 30))


@pytest.mark.parametrize("kind", [b"x", b"L", b"K", b"g"])
def test_an_extension_header_without_end_is_refused_before_it_is_read(kind: bytes) -> None:
    header = tarfile.TarInfo("bomb")
    header.size, header.type = 1 << 40, kind

    with pytest.raises(CorruptArchive, match="extension header"):
        read(header.tobuf(tarfile.GNU_FORMAT))


def test_a_long_row_of_extension_headers_does_not_recurse() -> None:
    header = tarfile.TarInfo("name")
    header.size, header.type = 2, b"L"
    block = header.tobuf(tarfile.GNU_FORMAT) + b"n\0".ljust(BLOCK, b"\0")

    assert read(block * 5000 + pack([entry("f")], tarfile.USTAR_FORMAT)) == {b"n": b""}


@pytest.mark.parametrize(
    "record", [b"11 path=a\n", b"4 a=\n", b"0 a=b\n", b"x", b"99999999999999999999 a=b\n", b"6 a=b", b"6 ab\n\n"]
)
def test_bad_pax_records_are_corrupt(record: bytes) -> None:
    header = tarfile.TarInfo("pax")
    header.size, header.type = len(record), b"x"
    data = header.tobuf(tarfile.USTAR_FORMAT) + record.ljust(BLOCK, b"\0") + pack([entry("f")])

    with pytest.raises(CorruptArchive):
        read(data)


@pytest.mark.parametrize(
    "headers",
    [
        {"GNU.sparse.map": "0,1", "GNU.sparse.size": "0"},
        {"GNU.sparse.map": "5,1,0,1", "GNU.sparse.size": "9"},
        {"GNU.sparse.map": "0,9223372036854775807,9,1", "GNU.sparse.size": "9"},
        {"GNU.sparse.map": "0", "GNU.sparse.size": "9"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"},
    ],
)
def test_a_sparse_map_that_fits_nothing_is_corrupt(headers: dict[str, str]) -> None:
    with pytest.raises(CorruptArchive):
        read(pack([entry("f", b"xx", pax_headers=headers)]))


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=300)


@given(st.lists(st.tuples(names, st.binary(max_size=2000)), max_size=5), st.sampled_from(FORMATS[1:]))
def test_whatever_tarfile_writes_we_read(files: list[tuple[str, bytes]], tar_format: int) -> None:
    members: list[Member] = [
        entry(f"f{number}{name.replace('/', '')}", data) for number, (name, data) in enumerate(files)
    ]

    assert {info.name.encode(): data for info, data in members} == read(pack(members, tar_format))


@given(st.data())
@settings(deadline=None)
def test_any_damage_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    headers = {"GNU.sparse.map": "0,2,4,2", "GNU.sparse.size": "9", "SCHILY.xattr.user.a": "b", "mtime": "1.5"}
    archive = bytearray(
        pack([entry("a" * 120, b"data", pax_headers=headers), symlink("l", "t" * 200), entry("b")])
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(archive) - 1))
        archive[at] = data.draw(st.integers(0, 255))

    with contextlib.suppress(CorruptArchive):
        read(bytes(archive))


@given(st.binary(max_size=3 * BLOCK))
def test_any_bytes_are_read_or_refused_and_nothing_else(data: bytes) -> None:
    with contextlib.suppress(CorruptArchive):
        read(data)

"""Reading tar archives that anybody may have written.

    archive = { header block(512) , data , padding to 512 } , two zero blocks      POSIX.1-1988 ustar
              pax headers ("x") and GNU "L"/"K" headers come before the entry that they describe
              sparse files: old GNU ("S"), GNU.sparse 0.0, 0.1 and 1.0

The reader turns bytes into :class:`Entry` values and does no other I/O than reading its source forward. Names
stay bytes: an archive has no encoding. Everything that the input can make large is bounded by
:class:`TarLimits`; what is not tar raises CorruptArchive. Whether a name or an owner is acceptable is for
:mod:`rundlet.images.unpack` to say.

Why not the standard library's tarfile: it decodes names, recurses once per extension header, reads extension
headers of any size into memory, and takes four times as long per entry.

Formats: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html and
https://www.gnu.org/software/tar/manual/html_node/Standard.html
"""

from __future__ import annotations

import base64
import binascii
import enum
import re
import struct
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field

from rundlet.errors import CorruptArchive
from rundlet.images.compression import CHUNK, Readable

BLOCK = 512
_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_ZEROS = bytes(BLOCK)
_DECIMAL = re.compile(rb"[0-9]{1,19}")
_MTIME = re.compile(rb"(-?)([0-9]{1,18})(?:\.([0-9]*))?")


class Kind(enum.Enum):
    FILE = "file"
    HARD_LINK = "hard link"
    SYMLINK = "symbolic link"
    CHARACTER_DEVICE = "character device"
    BLOCK_DEVICE = "block device"
    DIRECTORY = "directory"
    FIFO = "fifo"


_KINDS = {
    b"\0": Kind.FILE,
    b"0": Kind.FILE,
    b"7": Kind.FILE,
    b"S": Kind.FILE,
    b"1": Kind.HARD_LINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER_DEVICE,
    b"4": Kind.BLOCK_DEVICE,
    b"5": Kind.DIRECTORY,
    b"6": Kind.FIFO,
}


@dataclass(frozen=True)
class TarLimits:
    """What an archive may ask for. The defaults are far above any honest image."""

    entries: int = 4_000_000
    extension_bytes: int = 1 << 20
    """Size of one extension header or sparse map."""
    data_bytes: int = 256 << 30
    """Stored bytes of all files together; holes of sparse files take no space and do not count."""


@dataclass(slots=True)
class Entry:
    name: bytes
    """As it stands in the archive."""
    kind: Kind
    mode: int = 0o644
    """Permission bits, with set-id and sticky."""
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    stored_size: int = 0
    """Bytes of data in the archive; for a sparse file less than ``size``."""
    size: int = 0
    link: bytes = b""
    """Target of a hard or symbolic link."""
    device: tuple[int, int] = (0, 0)
    """Major, minor."""
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    extents: list[tuple[int, int]] | None = None
    """(offset, length) of the parts of a sparse file that are stored, ascending; else None."""


class TarReader:
    """Iterate over the entries; :meth:`data` gives the data of the entry last returned."""

    def __init__(self, source: Readable, limits: TarLimits | None = None) -> None:
        self._source = source
        self._limits = limits or TarLimits()
        self._left = 0
        self._padding = 0
        self._entries = 0
        self._data_bytes = 0

    def __iter__(self) -> Iterator[Entry]:
        while (entry := self._next()) is not None:
            self._entries += 1
            self._data_bytes += entry.stored_size
            if self._entries > self._limits.entries:
                raise CorruptArchive("tar archive", f"it has more than {self._limits.entries} entries")
            if self._data_bytes > self._limits.data_bytes:
                raise CorruptArchive("tar archive", f"it holds more than {self._limits.data_bytes} bytes")
            yield entry

    def data(self) -> Iterator[bytes]:
        """The data of the current entry that has not been read yet, in pieces."""
        while self._left:
            piece = self._source.read(min(self._left, CHUNK))
            if not piece:
                raise CorruptArchive("tar archive", "it ends in the middle of a file")
            self._left -= len(piece)
            yield piece

    def drain(self) -> None:
        """Read on to the end of the source: a layer's digest covers what follows the archive, too."""
        left = self._limits.data_bytes
        while (piece := self._source.read(CHUNK)) and left > 0:
            left -= len(piece)
        if left <= 0:
            raise CorruptArchive("tar archive", "too much follows its end")

    def _next(self) -> Entry | None:
        extensions = _Extensions()
        while True:
            for _ in self.data():
                pass
            self._exactly(self._padding)
            self._padding = 0
            block = self._block()
            if block is None or block == _ZEROS:
                return None
            header = _Header(block)
            if header.type in b"xgLK":
                self._begin(header.size)
                extensions.add(header.type, self._extension())
                continue
            if header.type not in _KINDS:
                raise CorruptArchive("tar archive", f"entry of unknown type {header.type!r}")
            return self._entry(header, block, extensions)

    def _entry(self, header: _Header, block: bytes, extensions: _Extensions) -> Entry:
        entry = header.entry()
        extensions.apply(entry)
        if entry.kind is Kind.FILE and entry.name.endswith(b"/"):
            entry.kind = Kind.DIRECTORY  # how the oldest tars wrote one
        # Only files have data, whatever the size field of the others says (as Go's archive/tar reads it).
        stored = entry.stored_size if entry.kind is Kind.FILE else 0
        self._begin(stored)
        entry.size = stored
        if header.type == b"S":
            entry.size, entry.extents = self._old_sparse(block)
        elif extensions.sparse is not None:
            entry.size, entry.extents = extensions.sparse.resolve(self)
        entry.stored_size = self._left
        if entry.extents is not None:
            _check_extents(entry)
        return entry

    def _begin(self, size: int) -> None:
        self._left = size
        self._padding = -size % BLOCK

    def _extension(self) -> bytes:
        if self._left > self._limits.extension_bytes:
            raise CorruptArchive("tar archive", f"an extension header of {self._left} bytes")
        return b"".join(self.data())

    def _block(self) -> bytes | None:
        """The next block; None at the end of the source, which some writers use instead of zero blocks."""
        block = self._source.read(BLOCK)
        if not block:
            return None
        while len(block) < BLOCK:
            more = self._source.read(BLOCK - len(block))
            if not more:
                raise CorruptArchive("tar archive", "it ends in the middle of a header")
            block += more
        return block

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._source.read(size - len(data))
            if not piece:
                raise CorruptArchive("tar archive", "it ends too early")
            data += piece
        return data

    def _old_sparse(self, block: bytes) -> tuple[int, list[tuple[int, int]]]:
        """The map of a type "S" entry: four extents in the header, 21 in each block that follows it."""
        extents: list[tuple[int, int]] = []
        size = _number(block[483:495])
        table, more = block[386:482], block[482]
        while True:
            for at in range(0, len(table), 24):
                offset, length = table[at : at + 12], table[at + 12 : at + 24]
                if not offset.strip(b"\0 ") and not length.strip(b"\0 "):
                    break
                extents.append((_number(offset), _number(length)))
            if not more:
                return size, extents
            if len(extents) * 24 > self._limits.extension_bytes:
                raise CorruptArchive("tar archive", "a sparse map without end")
            block = self._exactly(BLOCK)
            table, more = block[:504], block[504]

    def sparse_map_from_data(self) -> list[int]:
        """The numbers that stand before the data of a GNU.sparse 1.0 entry, one a line, padded to a block."""
        text = b""
        wanted = None
        while wanted is None or text.count(b"\n") < wanted:
            if self._left < BLOCK or len(text) > self._limits.extension_bytes:
                raise CorruptArchive("tar archive", "a bad sparse map")
            text += self._exactly(BLOCK)
            self._left -= BLOCK
            if wanted is None and b"\n" in text:
                wanted = 1 + 2 * _decimal(text.partition(b"\n")[0])
        return [_decimal(line) for line in text.split(b"\n")[1:wanted]]


class _Header:
    """The fields of one header block that the reader needs."""

    __slots__ = ("_fields", "size", "type")

    def __init__(self, block: bytes) -> None:
        self._fields = _HEADER.unpack(block)
        stated = _number(self._fields[6])
        unsigned = sum(block) - sum(block[148:156]) + 8 * 0x20
        # Some old writers summed signed bytes.
        if stated not in (unsigned, unsigned - 256 * sum(byte > 127 for byte in block)):
            raise CorruptArchive("tar archive", "a header with a wrong checksum")
        self.type: bytes = self._fields[7]
        self.size = _number(self._fields[4])
        if self.size < 0:
            raise CorruptArchive("tar archive", "an entry of negative size")

    def entry(self) -> Entry:
        name, mode, uid, gid, _, mtime, _, kind, link, magic, _, _, major, minor, prefix = self._fields
        name = _text(name)
        if magic.startswith(b"ustar\0") and (prefix := _text(prefix)):
            name = prefix + b"/" + name
        return Entry(
            name=name,
            kind=_KINDS[kind],
            mode=_number(mode) & 0o7777,
            uid=_number(uid),
            gid=_number(gid),
            mtime_ns=_number(mtime) * 1_000_000_000,
            stored_size=self.size,
            link=_text(link),
            device=(_number(major), _number(minor)) if kind in b"34" else (0, 0),
        )


@dataclass
class _PaxSparse:
    """What pax records said about a sparse file (GNU.sparse.*)."""

    size: int = 0
    numbers: list[int] = field(default_factory=list)
    in_data: bool = False

    def resolve(self, reader: TarReader) -> tuple[int, list[tuple[int, int]]]:
        numbers = reader.sparse_map_from_data() if self.in_data else self.numbers
        if len(numbers) % 2:
            raise CorruptArchive("tar archive", "a sparse map of odd length")
        return self.size, list(zip(numbers[::2], numbers[1::2], strict=True))


class _Extensions:
    """What extension headers say about the entry that follows them."""

    def __init__(self) -> None:
        self.sparse: _PaxSparse | None = None
        self._name: bytes | None = None
        self._link: bytes | None = None
        self._numbers: dict[bytes, int] = {}
        self._mtime_ns: int | None = None
        self._xattrs: dict[bytes, bytes] = {}

    def add(self, kind: bytes, data: bytes) -> None:
        if kind == b"L":
            self._name = data.rstrip(b"\0")
        elif kind == b"K":
            self._link = data.rstrip(b"\0")
        elif kind == b"x":
            for key, value in _pax_records(data):
                self._add_record(key, value)
        # "g", defaults for all later entries, is ignored as Docker does: honest ones hold only a comment.

    def _add_record(self, key: bytes, value: bytes) -> None:
        if key == b"path":
            self._name = value
        elif key == b"linkpath":
            self._link = value
        elif key in (b"uid", b"gid", b"size"):
            self._numbers[key] = _decimal(value)
        elif key == b"mtime":
            self._mtime_ns = _nanoseconds(value)
        elif key.startswith(b"SCHILY.xattr."):
            self._xattrs[key.removeprefix(b"SCHILY.xattr.")] = value
        elif key.startswith(b"LIBARCHIVE.xattr."):
            name = urllib.parse.unquote_to_bytes(key.removeprefix(b"LIBARCHIVE.xattr."))
            self._xattrs.setdefault(name, _base64(value))
        elif key.startswith(b"GNU.sparse."):
            self._add_sparse(key.removeprefix(b"GNU.sparse."), value)

    def _add_sparse(self, key: bytes, value: bytes) -> None:
        self.sparse = sparse = self.sparse or _PaxSparse()
        if key in (b"size", b"realsize"):
            sparse.size = _decimal(value)
        elif key in (b"offset", b"numbytes"):
            sparse.numbers.append(_decimal(value))
        elif key == b"map":
            sparse.numbers = [_decimal(number) for number in value.split(b",") if number]
        elif key == b"major":
            sparse.in_data = value == b"1"
        elif key == b"name":
            self._name = value

    def apply(self, entry: Entry) -> None:
        if self._name is not None:
            entry.name = self._name
        if self._link is not None:
            entry.link = self._link
        if self._mtime_ns is not None:
            entry.mtime_ns = self._mtime_ns
        entry.uid = self._numbers.get(b"uid", entry.uid)
        entry.gid = self._numbers.get(b"gid", entry.gid)
        entry.stored_size = self._numbers.get(b"size", entry.stored_size)
        entry.xattrs = self._xattrs


def _pax_records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """``<length> <key>=<value>\\n`` again and again; the length counts the whole record."""
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        length = _decimal(data[at:space]) if space > at else 0
        record = data[space + 1 : at + length]
        key, equals, value = record.partition(b"=")
        if length <= space - at + 1 or at + length > len(data) or not equals or not value.endswith(b"\n"):
            raise CorruptArchive("tar archive", "a bad pax record")
        yield key, value[:-1]
        at += length


def _check_extents(entry: Entry) -> None:
    end = 0
    for offset, length in entry.extents or ():
        if offset < end:
            raise CorruptArchive("tar archive", "a sparse file whose parts overlap")
        end = offset + length
    if end > entry.size or sum(length for _, length in entry.extents or ()) != entry.stored_size:
        raise CorruptArchive("tar archive", "a sparse file whose map does not fit its data")


def _text(raw: bytes) -> bytes:
    return raw.partition(b"\0")[0]


def _number(raw: bytes) -> int:
    """A numeric field: octal digits, or GNU's base-256 when the first bit is set."""
    if raw[0] & 0x80:
        value = int.from_bytes(raw, "big") - (0x80 << 8 * (len(raw) - 1))
        return value - (1 << 8 * len(raw) - 1) if raw[0] & 0x40 else value
    digits = raw.partition(b"\0")[0].strip(b" ")
    try:
        return int(digits or b"0", 8) if digits.isdigit() or not digits else _bad_number(raw)
    except ValueError:
        return _bad_number(raw)


def _bad_number(raw: bytes) -> int:
    raise CorruptArchive("tar archive", f"{raw!r} is not a number")


def _decimal(raw: bytes) -> int:
    return int(raw) if _DECIMAL.fullmatch(raw) else _bad_number(raw[:40])


def _nanoseconds(raw: bytes) -> int:
    match = _MTIME.fullmatch(raw)
    if match is None:
        return _bad_number(raw[:40])
    sign, seconds, fraction = match.groups()
    value = int(seconds) * 1_000_000_000 + int((fraction or b"0")[:9].ljust(9, b"0"))
    return -value if sign else value


def _base64(value: bytes) -> bytes:
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except binascii.Error as error:
        raise CorruptArchive("tar archive", "a bad LIBARCHIVE.xattr record") from error

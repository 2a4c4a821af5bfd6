"""Which images there are and what they are called: two tables in DATA/engine.db.

    images(id, layers, size)          layers: the ChainIDs, lowest first, separated by spaces
    image_tags(reference, image_id)   canonical references, by tag and by digest

The configuration of an image is its blob; the tables hold what has to be found or changed in one transaction.
The engine keeps its own tables in the same file: SQLite keeps the writers apart. No file is touched here
beyond the database.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rundlet.images import space

_SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    id TEXT PRIMARY KEY,
    layers TEXT NOT NULL,
    size INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS image_tags (
    reference TEXT PRIMARY KEY,
    image_id TEXT NOT NULL REFERENCES images(id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS image_tags_by_image ON image_tags(image_id);
"""
_BUSY_MS = 10_000


@dataclass(frozen=True)
class Row:
    id: str
    layers: tuple[str, ...]
    size: int


class Catalog:
    """Safe to use from several threads: one connection, one statement or transaction at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        with space.needed(path, "opening the image catalog"):
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute("PRAGMA foreign_keys = ON")
            self._database.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            self._database.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes of the block, or none. Raises StorageFull when the disk is."""
        with self._lock, _full_disk(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._database.in_transaction:  # a full disk has rolled back already
                    self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def add(self, row: Row) -> None:
        self._write("INSERT OR IGNORE INTO images VALUES (?, ?, ?)", row.id, " ".join(row.layers), row.size)

    def delete(self, image_id: str) -> None:
        """Forget the image and what it is called."""
        self._write("DELETE FROM image_tags WHERE image_id = ?", image_id)
        self._write("DELETE FROM images WHERE id = ?", image_id)

    def tag(self, reference: str, image_id: str) -> None:
        """Call the image so; what was called so before is not any more."""
        self._write("INSERT OR REPLACE INTO image_tags VALUES (?, ?)", reference, image_id)

    def untag(self, reference: str) -> None:
        self._write("DELETE FROM image_tags WHERE reference = ?", reference)

    def get(self, image_id: str) -> Row | None:
        return next(iter(self._rows("WHERE id = ?", image_id)), None)

    def by_reference(self, reference: str) -> Row | None:
        where = "WHERE id = (SELECT image_id FROM image_tags WHERE reference = ?)"
        return next(iter(self._rows(where, reference)), None)

    def by_id_prefix(self, prefix: str) -> list[Row]:
        """At most two: enough to see that ``prefix`` ("sha256:" and hexadecimal digits) is not unique."""
        return self._rows("WHERE id >= ? AND id < ? LIMIT 2", prefix, prefix + "g")

    def all(self) -> list[Row]:
        return self._rows("")

    def references(self, image_id: str) -> list[str]:
        """Canonical, sorted."""
        query = "SELECT reference FROM image_tags WHERE image_id = ? ORDER BY reference"
        with self._lock:
            return [reference for (reference,) in self._database.execute(query, (image_id,))]

    def _rows(self, where: str, *values: str) -> list[Row]:
        with self._lock:
            found = self._database.execute(f"SELECT id, layers, size FROM images {where}", values).fetchall()
        return [Row(image_id, tuple(layers.split()), size) for image_id, layers, size in found]

    def _write(self, statement: str, *values: object) -> None:
        with self._lock, _full_disk(self._path):
            self._database.execute(statement, values)


def chain_ids_of(rows: Iterable[Row]) -> set[str]:
    return {chain_id for row in rows for chain_id in row.layers}


@contextlib.contextmanager
def _full_disk(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        raise space.full(path, "writing the image catalog") from error

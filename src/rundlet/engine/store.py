"""The engine's records in SQLite: containers, execs, volumes. What is committed survives a kill at any instant.

    engine.db     WAL. One writer thread; the image store keeps its own tables and connections in the same file.
      containers  id, definition (JSON), state (JSON)
      execs       id, container, record (JSON)
      volumes     name, record (JSON)

A commit does not wait for the disk (``synchronous=NORMAL``): the page cache outlives the daemon, and a
container does not outlive the machine. Commits that arrive together go into one transaction. Checkpoints, which
do wait for the disk, happen when nothing has been written for a while.

It decides nothing: which record says what, and when, is its callers' business.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import msgspec

from rundlet.engine.container import Container, Definition, State
from rundlet.engine.exec_record import ExecRecord
from rundlet.engine.volumes import Volume
from rundlet.errors import EngineError, RundletError, StorageFull

__all__ = ["Store"]

_log = logging.getLogger(__name__)

_IDLE_S = 1.0
"""A checkpoint waits for so long a pause …"""
_BATCHES_PER_CHECKPOINT = 2000
"""… unless so many transactions have come without one."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS containers (id TEXT PRIMARY KEY, definition BLOB NOT NULL, state BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS execs (id TEXT PRIMARY KEY, container TEXT NOT NULL, record BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS execs_of_container ON execs (container);
CREATE TABLE IF NOT EXISTS volumes (name TEXT PRIMARY KEY, record BLOB NOT NULL);
"""

T = TypeVar("T")
Statement: TypeAlias = tuple[str, Sequence[Any]]

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class _Write:
    statements: Sequence[Statement]
    done: Callable[[Exception | None], None]


class Store:
    """Reads happen once, at start-up; from then on the registry holds what the store says."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Blocking. Make the file and its tables, start the writer. EngineError when it is not a database."""
        try:
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=10)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint=0")
            connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise _translated(error, self._path) from error
        self._connection = connection
        self._thread = threading.Thread(target=self._write_all, name="rundlet-store", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Blocking. Everything that was handed in is committed."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None
            self._connection.close()

    # reading, at start-up

    def load_containers(self) -> list[Container]:
        rows = self._connection.execute("SELECT definition, state FROM containers").fetchall()
        return [
            Container(msgspec.json.decode(definition, type=Definition), msgspec.json.decode(state, type=State))
            for definition, state in rows
        ]

    def load_execs(self) -> list[ExecRecord]:
        return [
            msgspec.json.decode(record, type=ExecRecord)
            for (record,) in self._connection.execute("SELECT record FROM execs")
        ]

    def load_volumes(self) -> list[Volume]:
        return [
            msgspec.json.decode(record, type=Volume)
            for (record,) in self._connection.execute("SELECT record FROM volumes")
        ]

    # writing: each returns when committed. StorageFull.

    async def add_container(self, container: Container, volumes: Iterable[Volume] = ()) -> None:
        await self._commit(
            (
                "INSERT INTO containers VALUES (?, ?, ?)",
                (container.id, _encode(container.definition), _encode(container.state)),
            ),
            *(("INSERT OR IGNORE INTO volumes VALUES (?, ?)", (v.name, _encode(v))) for v in volumes),
        )

    async def put_state(self, container: Container) -> None:
        await self._commit(_state_update(container))

    async def try_put_state(self, container: Container) -> bool:
        """For what has to happen even on a full disk: False, and a line in the log, if it was not stored."""
        try:
            await self.put_state(container)
        except RundletError as error:
            _log.error("the state of container %s is not stored: %s", container.id, error)
            return False
        return True

    def put_state_soon(self, container: Container) -> None:
        """Commit, some time soon, what a restart would find out anyway. A failure is logged and no more."""
        self._queue.put(_Write([_state_update(container)], _log_failure))

    async def put_definition(self, container: Container) -> None:
        await self._commit(
            ("UPDATE containers SET definition = ? WHERE id = ?", (_encode(container.definition), container.id))
        )

    async def delete_container(self, container_id: str) -> None:
        await self._commit(
            ("DELETE FROM containers WHERE id = ?", (container_id,)),
            ("DELETE FROM execs WHERE container = ?", (container_id,)),
        )

    async def put_exec(self, record: ExecRecord) -> None:
        await self._commit(_exec_update(record))

    def put_exec_soon(self, record: ExecRecord) -> None:
        self._queue.put(_Write([_exec_update(record)], _log_failure))

    async def delete_execs(self, exec_ids: Iterable[str]) -> None:
        await self._commit(*(("DELETE FROM execs WHERE id = ?", (exec_id,)) for exec_id in exec_ids))

    async def delete_volume(self, name: str) -> None:
        await self._commit(("DELETE FROM volumes WHERE name = ?", (name,)))

    async def _commit(self, *statements: Statement) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def settle(error: Exception | None) -> None:
            if future.cancelled():
                return
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        def done(error: Exception | None) -> None:
            loop.call_soon_threadsafe(settle, error)

        self._queue.put(_Write(statements, done))
        await future

    # the writer thread

    def _write_all(self) -> None:
        unchecked = 0
        while True:
            try:
                first = self._queue.get(timeout=_IDLE_S if unchecked else None)
            except queue.Empty:
                self._checkpoint()
                unchecked = 0
                continue
            batch, is_last = self._take_batch(first)
            if batch:
                self._write(batch)
                unchecked += 1
            if unchecked >= _BATCHES_PER_CHECKPOINT:
                self._checkpoint()
                unchecked = 0
            if is_last:
                return

    def _take_batch(self, first: _Write | None) -> tuple[list[_Write], bool]:
        """What is in the queue just now; True when the end was."""
        batch: list[_Write] = []
        write = first
        while write is not None:
            batch.append(write)
            try:
                write = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _write(self, batch: Sequence[_Write]) -> None:
        if (error := self._transaction(batch)) is None or len(batch) == 1:
            for write in batch:
                write.done(error)
            return
        for write in batch:  # one of them spoiled it: each by itself
            write.done(self._transaction([write]))

    def _transaction(self, batch: Iterable[_Write]) -> Exception | None:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for write in batch:
                for sql, values in write.statements:
                    connection.execute(sql, values)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            return _translated(error, self._path)
        return None

    def _checkpoint(self) -> None:
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            _log.warning("checkpoint of %s: %s", self._path, error)


def _state_update(container: Container) -> Statement:
    return "UPDATE containers SET state = ? WHERE id = ?", (_encode(container.state), container.id)


def _exec_update(record: ExecRecord) -> Statement:
    return "INSERT OR REPLACE INTO execs VALUES (?, ?, ?)", (record.id, record.container_id, _encode(record))


def _log_failure(error: Exception | None) -> None:
    if error is not None:
        _log.error("a record was not stored: %s", error)


def _translated(error: sqlite3.Error, path: Path) -> Exception:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    # Without room SQLite says FULL for the database and IOERR for the files beside it.
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path)):
        return StorageFull(str(path), "storing a record")
    return EngineError(f"store {path}: {error}")


def _is_full(path: Path) -> bool:
    file_system = os.statvfs(path.parent)
    return file_system.f_bavail * file_system.f_frsize < 1024 * 1024 or file_system.f_favail == 0

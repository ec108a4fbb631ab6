# SPDX-License-Identifier: Apache-2.0
"""The SQLite index of stored runs: a cache of the folders, rebuilt whenever it does not fit them."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from explorer.results.record import ResultError

_VERSION = 1
_BUSY_S = 10.0
_COLUMNS = ("content_id", "experiment_class", "label", "job_id")
_T = TypeVar("_T")


class Index:
    """Records of runs by id; safe for many processes at once.

    Parameters
    ----------
    path : Path
        The database file; made when missing, made anew when damaged.
    """

    def __init__(self, path: Path):
        self.path = path

    def add(self, records: list[dict[str, Any]]) -> None:
        """Add or replace records (dicts as in ``run.json``)."""
        rows = [(r["run_id"], *(r[c] for c in _COLUMNS), r["started"], json.dumps(r, sort_keys=True)) for r in records]
        marks = ",".join("?" * (len(_COLUMNS) + 3))
        self._do(lambda db: _write(db, f"INSERT OR REPLACE INTO runs VALUES ({marks})", rows))

    def remove(self, run_ids: list[str]) -> None:
        """Forget runs; unknown ids are fine."""
        self._do(lambda db: _write(db, "DELETE FROM runs WHERE run_id = ?", [(r,) for r in run_ids]))

    def run_ids(self) -> set[str]:
        """Return the ids of all records."""
        return self._do(lambda db: {row[0] for row in db.execute("SELECT run_id FROM runs")})

    def records(self, limit: int | None = None, **equal: str) -> list[dict[str, Any]]:
        """Return records, newest first, whose named columns equal the given values."""
        where = " AND ".join(f"{c} = ?" for c in equal) or "1"
        query = f"SELECT record FROM runs WHERE {where} ORDER BY started DESC, run_id LIMIT ?"
        values = (*equal.values(), -1 if limit is None else limit)
        return self._do(lambda db: [json.loads(row[0]) for row in db.execute(query, values)])

    def _do(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run ``work`` in a transaction; a damaged index is dropped and ``work`` gets an empty one."""
        try:
            try:
                with self._open() as db:
                    return work(db)
            except sqlite3.DatabaseError as err:
                if not _damaged(err):
                    raise
                self._drop()
                with self._open() as db:
                    return work(db)
        except sqlite3.Error as err:
            raise ResultError(
                f"results.index = '{self.path}': cannot be used ({err}). Check that the folder can be "
                "written and has space, or set OHMSCAPE_HOME to another folder."
            ) from err

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=_BUSY_S)) as db:
            db.isolation_level = None  # transactions are begun by hand: reads need none
            db.execute("PRAGMA synchronous = NORMAL")
            if db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                _create(db)
            yield db

    def _drop(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _write(db: sqlite3.Connection, statement: str, rows: list[tuple[Any, ...]]) -> None:
    with _transaction(db):
        db.executemany(statement, rows)


def _create(db: sqlite3.Connection) -> None:
    columns = ", ".join(f"{c} TEXT NOT NULL" for c in _COLUMNS)
    _enter_wal(db)
    with _transaction(db):
        if db.execute("PRAGMA user_version").fetchone()[0] == _VERSION:
            return  # another process was first
        db.execute("DROP TABLE IF EXISTS runs")
        db.execute(
            f"CREATE TABLE runs (run_id TEXT PRIMARY KEY, {columns}, started TEXT NOT NULL, record TEXT NOT NULL)"
        )
        db.execute("CREATE INDEX by_started ON runs (started)")
        db.execute("CREATE INDEX by_content ON runs (content_id)")
        db.execute(f"PRAGMA user_version = {_VERSION}")


def _enter_wal(db: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; SQLite does not wait for a lock here by itself."""
    end = time.monotonic() + _BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as err:
            if err.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)


def _damaged(err: sqlite3.DatabaseError) -> bool:
    code = getattr(err, "sqlite_errorcode", None)
    wrong_tables = isinstance(err, sqlite3.OperationalError) and "no such" in str(err)
    return wrong_tables or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

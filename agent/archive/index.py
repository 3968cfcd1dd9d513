"""The index: one SQLite database, opened for writing by the storage worker alone.

Write-ahead log with `synchronous=FULL`: what COMMIT has returned from survives the plug. With
NORMAL, which some builds of SQLite make the default for this mode, it may not: checked at start.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from agent.archive import index_failure, migrations
from agent.archive.layout import INDEX
from agent.archive.settings import StorageStatuses
from agent.dataset.whole_write import sync_folder
from agent.errors import StorageError

_FULL = 2
_DEFAULT = StorageStatuses()
_CACHE = -2048  # in KiB, for SQLite says so by the sign


class Index:
    """A connection that writes, and the counters of the `state` table.

    `connection` is in autocommit mode: statements outside `transaction` are their own.
    """

    def __init__(self, connection: sqlite3.Connection, statuses: StorageStatuses) -> None:
        self.connection = connection
        self.execute: Callable[..., sqlite3.Cursor] = connection.execute
        self.fate_is_open = False
        """Whether the transaction that failed last may yet be found in the log after a crash."""
        self._statuses = statuses
        self._is_synced = True

    @classmethod
    def open(cls, folder: Path, statuses: StorageStatuses = _DEFAULT) -> Index:
        """Open or create the index of the archive in `folder`, and bring it up to date.

        The cost does not grow with the index. Raises StorageError when it is damaged as far as
        that shows at once (`check` looks at all of it), newer than this program, or not durable.
        """
        path = folder / INDEX
        connection = None
        try:
            connection = connect(path)
            connection.execute("PRAGMA locking_mode = NORMAL")
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            connection.execute("PRAGMA synchronous = FULL")
            synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
            if mode != "wal" or synchronous < _FULL:
                raise StorageError(
                    f"The index cannot be made durable here (journal {mode}, "
                    f"synchronous {synchronous}).",
                    value=(mode, synchronous),
                    limit=("wal", _FULL),
                    way_out="Put the archive on a local file system.",
                )
            migrations.migrate(connection)
            _probe(connection)
            sync_folder(folder)
        except (sqlite3.Error, OSError) as error:
            if connection is not None:
                connection.close()
            raise index_failure.of_any(error, "open the index", statuses) from error
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        return cls(connection, statuses)

    def close(self) -> None:
        """Fold the log into the database and close."""
        self.connection.close()

    @contextmanager
    def transaction(self, *, is_synced: bool = True) -> Iterator[None]:
        """All or nothing; durable when the block has ended. Raises sqlite3.Error.

        Without `is_synced` it is durable when the caller has synced the file system after it.
        """
        self.fate_is_open = False
        if is_synced != self._is_synced:
            self.execute(f"PRAGMA synchronous = {'FULL' if is_synced else 'NORMAL'}")
            self._is_synced = is_synced
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.fate_is_open = True
            self.execute("COMMIT")
        except BaseException as error:
            # A full disk shows when the log is written: then the frame that would make the
            # transaction valid is not whole. Any other failure may come after that frame.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
                self.fate_is_open = False
            self._roll_back()
            raise
        self.fate_is_open = False

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Within a transaction: a failure inside takes back only what is inside."""
        self.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            # A full disk or an I/O error may have ended the whole transaction already.
            if self.connection.in_transaction:
                self.execute("ROLLBACK TO part")
                self.execute("RELEASE part")
            raise
        self.execute("RELEASE part")

    def state(self, name: str, default: int = 0) -> int:
        """A number that is kept under this name."""
        row = self.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return default if row is None else int(row[0])

    def set_state(self, **values: int) -> None:
        """Keep numbers by their names."""
        rows = ", ".join(["(?, ?)"] * len(values))
        self.execute(
            f"INSERT INTO state VALUES {rows} "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            tuple(chain.from_iterable(values.items())),
        )

    def check(self) -> None:
        """Read all of the index; takes seconds for a million rows.

        Raises StorageError when it is damaged.
        """
        try:
            (answer,) = self.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            raise index_failure.of_index(error, "check the index", self._statuses) from error
        if answer != "ok":
            raise damaged(answer)

    def shorten_log(self) -> None:
        """Fold the log into the database and give its space back, as far as that goes now."""
        with suppress(sqlite3.Error):
            self.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            self.execute("ROLLBACK")


def damaged(what: str) -> StorageError:
    """The error for an index that is not what it should be."""
    return StorageError(f"The index is damaged: {what}.", value=what, way_out=index_failure.REBUILD)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode with a small cache. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}",
        uri=True,
        isolation_level=None,
        timeout=10.0,
        cached_statements=256,
    )
    connection.execute(f"PRAGMA cache_size = {_CACHE}")
    return connection


def _probe(connection: sqlite3.Connection) -> None:
    # The two ends of each table: a few page reads, which find a file that was cut or overwritten.
    tables: list[Any] = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    for (name,) in tables:
        for order in ("ASC", "DESC"):
            connection.execute(f"SELECT * FROM {name} ORDER BY 1 {order} LIMIT 1").fetchone()

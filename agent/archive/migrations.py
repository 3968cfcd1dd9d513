"""Bringing the index of an older version up to date.

Each step is the SQL that makes version N+1 out of version N. All steps run in one transaction, so
a crash in the middle leaves the old version whole. Steps are never changed once released.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from agent.archive import schema
from agent.archive.index_failure import REBUILD
from agent.errors import StorageError

STEPS: Mapping[int, str] = {
    1: schema.PROCEDURES,
    2: schema.QUERIES,
    3: schema.DATES,
    4: schema.UNCONFIRMED,
}
"""From version N to N+1, by N."""


def migrate(
    connection: sqlite3.Connection,
    *,
    steps: Mapping[int, str] = STEPS,
    newest: int = schema.VERSION,
) -> int:
    """Create the tables, or bring them to the newest version; returns the version found.

    0 is a new index. Raises StorageError for a version that this program does not know, and
    sqlite3.Error when a step fails (then nothing has changed).
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == newest:
        return version
    if version > newest:
        raise StorageError(
            f"The index was written by a newer Gantry (version {version} of the index).",
            value=version,
            limit=newest,
            way_out=(
                "Install the newer Gantry again; or, to stay with this one: "
                + REBUILD
                + " Jobs that wait are kept as far as they can be read."
            ),
        )
    connection.execute("BEGIN EXCLUSIVE")
    try:
        if version == 0:
            _run(connection, schema.TABLES)
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        else:
            for number in range(version, newest):
                _run(connection, steps[number])
        connection.execute(f"PRAGMA user_version = {newest}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return version


def _run(connection: sqlite3.Connection, script: str) -> None:
    # `executescript` would commit first; the steps hold no semicolons but between statements.
    for statement in script.split(";"):
        if statement.strip():
            connection.execute(statement)

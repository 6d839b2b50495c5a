"""Where review events are kept: one table in SQLite or PostgreSQL that is only ever added to.

:mod:`pipelines.reviews` says what the events mean.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from weaklight.errors import ConfigError

__all__ = ["EVENTS", "create_postgresql", "create_sqlite", "open_engine"]

# A writer holds the lock for about a millisecond; half a minute outlasts any queue of people.
BUSY_TIMEOUT_MS = 30_000
# PostgreSQL's advisory lock of this number is for us what SQLite's lock on the file is.
WRITER_LOCK = 0x7765616B

# SQLite compares text byte by byte, a server by its language's rules unless told otherwise.
_ITEM_ID = sa.String().with_variant(sa.String(collation="C"), "postgresql")
EVENTS = sa.Table(
    "events",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("time", sa.String, nullable=False),
    sa.Column("item_id", _ITEM_ID, nullable=False, index=True),
    sa.Column("reviewer", sa.String, nullable=False),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("old", sa.String),
    sa.Column("new", sa.String),
    sa.Column("run_id", sa.String),
    sa.Column("queue", sa.String),
    sa.Column("batch", sa.String),
    sa.Column("undoes", sa.Integer, unique=True),  # an event is taken back once
    sqlite_autoincrement=True,  # an id is never given twice
)

_SQLITE_GUARDS = (
    """CREATE TRIGGER events_keep BEFORE UPDATE ON events
       BEGIN SELECT RAISE(ABORT, 'review events are never changed; add an undo event'); END""",
    """CREATE TRIGGER events_stay BEFORE DELETE ON events
       BEGIN SELECT RAISE(ABORT, 'review events are never deleted; add an undo event'); END""",
    # INSERT OR REPLACE deletes without firing the trigger above.
    """CREATE TRIGGER events_add BEFORE INSERT ON events
       WHEN EXISTS (SELECT 1 FROM events WHERE id = NEW.id OR undoes = NEW.undoes)
       BEGIN SELECT RAISE(ABORT, 'this review event exists or is already undone'); END""",
)
_POSTGRESQL_GUARDS = (
    """CREATE OR REPLACE FUNCTION weaklight_events_stay() RETURNS trigger AS $$
       BEGIN RAISE EXCEPTION 'review events are never changed or deleted; add an undo event'; END
       $$ LANGUAGE plpgsql""",
    """CREATE TRIGGER events_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON events
       FOR EACH STATEMENT EXECUTE FUNCTION weaklight_events_stay()""",
)


def create_sqlite(file: Path) -> None:
    """Build the database aside and rename it into place; of twenty first writers one does it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    door = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(door, fcntl.LOCK_EX)
        if file.is_file() and file.stat().st_size > 0:
            return
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".reviews-") as folder:
            fresh = Path(folder) / file.name
            with open_engine(sa.make_url(f"sqlite:///{fresh}")).connect() as connection:
                connection.exec_driver_sql("COMMIT")  # the mode cannot change in a transaction
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                connection.exec_driver_sql("BEGIN")
                _create(connection, _SQLITE_GUARDS)
                connection.commit()
            os.replace(fresh, file)
            os.fsync(door)
    finally:
        os.close(door)


def create_postgresql(connection: sa.Connection) -> None:
    """Make the table where it is not there yet."""
    if not sa.inspect(connection).has_table(EVENTS.name):
        _create(connection, _POSTGRESQL_GUARDS)


def _create(connection: sa.Connection, guards: Sequence[str]) -> None:
    EVENTS.create(connection, checkfirst=False)
    for statement in guards:
        connection.exec_driver_sql(statement)


def open_engine(url: sa.URL) -> sa.Engine:
    """Return the engine of a database, in which writers take turns.

    Raises
    ------
    ConfigError
        If its driver is not installed.
    """
    # A connection per transaction: opening one costs less than a millisecond, a few on a server,
    # and none is shared by threads or inherited by a fork.
    try:
        engine = sa.create_engine(url, poolclass=sa.NullPool)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{url} needs an optional library, {error.name}; run "
            '`pip install "weaklight[postgresql]"` and let the URL begin with postgresql+psycopg://'
        ) from error
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite:

        @sa.event.listens_for(engine, "connect")
        def _connect(connection: Any, record: Any) -> None:
            connection.isolation_level = None  # we say BEGIN ourselves
            connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # Whoever writes waits for the lock at the start, so no writer fails half-way.
        writes = connection.get_execution_options().get("weaklight_writes", False)
        if is_sqlite:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
        elif writes:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")

    return engine

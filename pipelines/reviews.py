"""The review store: what people decided, as events that are only ever added.

The current human decision on an item is a view over the events, never a row that somebody edits. An
undo is one more event, which names the event that it takes back. SQLite in WAL mode by default;
PostgreSQL for a team.

Try it: ``ReviewStore("my_project/.weaklight/reviews.sqlite").current()``.
"""

from __future__ import annotations

import hashlib
import io
import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from pipelines.review_table import EVENTS, create_postgresql, create_sqlite, open_engine
from pipelines.store import explain_disk_errors, write_atomically
from weaklight.errors import ConfigError, DataError, StorageError

__all__ = ["ACTIONS", "DECISIONS", "GOLD_QUEUE", "ReviewEvent", "ReviewStore"]

# What settles an item's label or its place in the training set; the rest are remarks beside it.
DECISIONS = ("accept", "relabel", "exclude")
ACTIONS = (*DECISIONS, "flag", "skip", "undo", "comment", "assign", "draw_sample", "set_role")
# Where items that were drawn at random are labelled; only these labels are gold.
GOLD_QUEUE = "gold"
_UNDOABLE = (*DECISIONS, "flag", "skip", "comment")
_COLUMNS = tuple(column.name for column in EVENTS.columns)


@dataclass(frozen=True)
class ReviewEvent:
    """One act of a reviewer.

    Attributes
    ----------
    item_id : the item; empty only for ``draw_sample``, which concerns many
    reviewer : who did it
    action : one of :data:`ACTIONS`
    old, new : the label before and after, by class name; ``new`` holds the text of a comment
    run_id : the run whose labels the reviewer saw
    queue : the order in which the item was offered, or the page it came from
    """

    item_id: str
    reviewer: str
    action: str
    old: str | None = None
    new: str | None = None
    run_id: str | None = None
    queue: str | None = None

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise DataError(f"expected an action of {list(ACTIONS)}, but came {self.action!r}")
        if not self.reviewer.strip():
            raise DataError("a review needs the reviewer's name, but it is empty; enter one first")
        if not self.item_id and self.action != "draw_sample":
            raise DataError(f"the action {self.action!r} needs an item_id, but it is empty")
        if self.action in ("accept", "relabel") and not self.new:
            raise DataError(
                f"the action {self.action!r} needs the label in `new`, but came {self.new!r}; "
                "use exclude or skip for an item without a label"
            )


class ReviewStore:
    """Append-only review events of one project.

    A missing or empty SQLite file reads as no reviews and is only created by the first event; so
    is the table in PostgreSQL. Events are written by one writer at a time, in the order of their
    ids.

    Parameters
    ----------
    url_or_path
        A file for SQLite, or ``postgresql+psycopg://USER@HOST/DATABASE``, which needs
        ``pip install "weaklight[postgresql]"``. A password is better kept in ``~/.pgpass``.

    Raises
    ------
    ConfigError
        If the URL is of another database, or its driver is not installed.

    Examples
    --------
    >>> import tempfile
    >>> store = ReviewStore(Path(tempfile.mkdtemp()) / "reviews.sqlite")
    >>> store.record(ReviewEvent("00017", "ada", "relabel", old="shirt", new="coat"))
    1
    >>> store.current()[["item_id", "new"]].values.tolist()
    [['00017', 'coat']]
    >>> undone = store.undo("ada")
    >>> len(store.current()), len(store.events())
    (0, 2)
    """

    def __init__(self, url_or_path: Path | str) -> None:
        text = str(url_or_path)
        self.url = sa.make_url(text if "://" in text else f"sqlite:///{Path(text).absolute()}")
        if self.url.get_backend_name() not in ("sqlite", "postgresql"):
            raise ConfigError(
                "reviews are kept in a file or in postgresql+psycopg://USER@HOST/DATABASE, "
                f"but came {self.url}"
            )
        self._file = Path(self.url.database or "") if self._is_sqlite else None
        self._engine = open_engine(self.url)

    def record(self, event: ReviewEvent) -> int:
        """Write one event in one short transaction and return its id.

        Raises
        ------
        StorageError
            If the disk is full, the file cannot be written or the server cannot be reached.
        """
        return self.record_many([event])[0]

    def record_many(self, events: Sequence[ReviewEvent]) -> list[int]:
        """Write the events of one bulk action, all or none; one undo takes all of them back."""
        batch = uuid.uuid4().hex if len(events) > 1 else None
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        rows = [{**_as_row(event), "time": now, "batch": batch} for event in events]
        with self._writing() as connection:
            return [_insert(connection, row) for row in rows]

    def undo(self, reviewer: str) -> list[ReviewEvent]:
        """Take back the reviewer's last action, and with it the whole bulk action it was part of.

        Nothing is removed: each event taken back gets a compensating ``undo`` event. What others
        decided on the item before shows again.

        Returns
        -------
        The events that no longer count, oldest first; empty when there is nothing to take back.
        """
        if not self._exists():
            return []
        mine = (EVENTS.c.reviewer == reviewer) & EVENTS.c.action.in_(_UNDOABLE) & _stands()
        query = sa.select(EVENTS).where(mine).order_by(EVENTS.c.id)
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        with self._writing() as connection:
            last = connection.execute(
                query.order_by(None).order_by(EVENTS.c.id.desc()).limit(1)
            ).one_or_none()
            if last is None:
                return []
            same = EVENTS.c.id == last.id if last.batch is None else EVENTS.c.batch == last.batch
            undone = connection.execute(query.where(same)).all()
            for row in undone:
                back = {
                    "item_id": row.item_id, "reviewer": reviewer, "action": "undo", "old": row.new,
                    "new": row.old, "run_id": row.run_id, "queue": row.queue, "undoes": row.id,
                    "batch": row.batch, "time": now,
                }  # fmt: skip
                _insert(connection, back)
        return [ReviewEvent(**{f.name: getattr(r, f.name) for f in fields(ReviewEvent)})
                for r in undone]  # fmt: skip

    def current(
        self,
        actions: Sequence[str] = DECISIONS,
        *,
        queue: str | None = None,
        outside: str | None = None,
    ) -> pd.DataFrame:
        """Return, per item, the last event of these kinds that was not taken back.

        Parameters
        ----------
        actions
            The kinds of events.
        queue
            Look at the events of this queue alone.
        outside
            Leave the events of this queue out.

        Returns
        -------
        Columns of the events table, one row an item, sorted by ``item_id``. ``new`` is a class
        name; for ``exclude`` it is None.
        """
        counts = EVENTS.c.action.in_(actions) & _stands()
        if queue is not None:
            counts &= EVENTS.c.queue == queue
        if outside is not None:
            counts &= EVENTS.c.queue.is_distinct_from(outside)
        newest = sa.select(sa.func.max(EVENTS.c.id)).where(counts).group_by(EVENTS.c.item_id)
        query = sa.select(EVENTS).where(EVENTS.c.id.in_(newest)).order_by(EVENTS.c.item_id)
        return self._frame(query)

    def gold(self) -> pd.DataFrame:
        """Return the items that were drawn at random, with their role and their label so far.

        Returns
        -------
        Columns ``item_id``, ``role``, ``label``, a class name or None, and ``batch``, that of the
        draw; sorted by ``item_id``. Only what was decided in the gold queue counts.
        """
        drawn = self.current(("set_role",), queue=GOLD_QUEUE).set_index("item_id")
        label = self.current(queue=GOLD_QUEUE).set_index("item_id")["new"]
        return pd.DataFrame(
            {
                "item_id": drawn.index,
                "role": drawn["new"].to_numpy(),
                "label": label.reindex(drawn.index)
                .map(lambda v: None if pd.isna(v) else v)
                .to_numpy(dtype=object),
                "batch": drawn["batch"].to_numpy(),
            }
        )

    def draws(self) -> pd.DataFrame:
        """Return the ``draw_sample`` events of the log, oldest first."""
        is_draw = EVENTS.c.action == "draw_sample"
        return self._frame(sa.select(EVENTS).where(is_draw).order_by(EVENTS.c.id))

    def events(self, limit: int | None = None) -> pd.DataFrame:
        """Return the log, newest first."""
        return self._frame(sa.select(EVENTS).order_by(EVENTS.c.id.desc()).limit(limit))

    def last_id(self) -> int:
        """Return the id of the newest event, 0 when there is none; it changes with every event."""
        newest = self._frame(sa.select(EVENTS).order_by(EVENTS.c.id.desc()).limit(1))
        return int(newest["id"].iloc[0]) if len(newest) else 0

    def digest(self) -> str:
        """Digest the current decisions; equal decisions digest equally, however they came about."""
        current = self.current()
        rows = current[["item_id", "action", "new"]].to_numpy(dtype=object).tolist()
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:24]

    def take_over(self, other: ReviewStore) -> int:
        """Copy the whole log of another store into this empty one, all or nothing.

        Returns
        -------
        How many events that were. Their ids are given anew, in the same order.

        Raises
        ------
        DataError
            If this store holds events already.
        """
        log = other.events().iloc[::-1].to_dict("records")
        ids: dict[int | None, int | None] = {None: None}
        with self._writing() as connection:
            if connection.execute(sa.select(EVENTS.c.id).limit(1)).first() is not None:
                raise DataError(f"{self.url} holds reviews already; copy into an empty database")
            for row in log:
                known = row.pop("id")
                row["undoes"] = ids[row["undoes"]]
                ids[known] = _insert(connection, {str(k): v for k, v in row.items()})
        return len(log)

    def snapshot(self, path: Path) -> None:
        """Write the whole log as Parquet, oldest first, in one atomic step."""
        buffer = io.BytesIO()
        self.events().iloc[::-1].to_parquet(buffer, index=False)
        write_atomically(path, buffer.getvalue())

    @property
    def _is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def _exists(self) -> bool:
        if self._file is not None:
            return self._file.is_file() and self._file.stat().st_size > 0
        return sa.inspect(self._engine).has_table(EVENTS.name)

    def _frame(self, query: sa.Select[Any]) -> pd.DataFrame:
        rows: Sequence[Any] = []
        with self._explained():
            if self._exists():
                with self._engine.connect() as connection:
                    rows = connection.execute(query).all()
        frame = pd.DataFrame([tuple(row) for row in rows], columns=list(_COLUMNS), dtype=object)
        return frame.astype({"id": "int64"})

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._explained():
            if self._file is not None and not self._exists():
                create_sqlite(self._file)
            writer = self._engine.execution_options(weaklight_writes=True)
            with writer.begin() as connection:
                if self._file is None:
                    create_postgresql(connection)
                yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the disk, the file or the server refuses into a StorageError."""
        try:
            with explain_disk_errors(self._file or Path(".")):
                yield
        except (sa.exc.OperationalError, sa.exc.ProgrammingError) as error:
            reason = str(error.orig).partition("\n")[0]
            raise StorageError(
                f"the reviews in {self.url} cannot be read or written now: {reason}; "
                "nothing half-written was kept. Set this right and do the same again"
            ) from error


def _as_row(event: ReviewEvent) -> dict[str, str | None]:
    return {f.name: getattr(event, f.name) for f in fields(event)}


def _insert(connection: sa.Connection, row: dict[str, Any]) -> int:
    inserted = connection.execute(EVENTS.insert().values(**row)).inserted_primary_key
    assert inserted is not None  # it is for an insert of one row
    return int(inserted[0])


def _stands() -> sa.ColumnElement[bool]:
    """Say whether an event was never taken back."""
    undo = EVENTS.alias("undo")
    return ~sa.exists().where(undo.c.undoes == EVENTS.c.id)

"""A PostgreSQL server for tests: the one that WEAKLIGHT_TEST_POSTGRESQL names, or one of our own.

Debian's ``apt-get install postgresql`` has what starts our own; it listens on a socket alone and is
gone after the test. The variable holds a URL like ``postgresql+psycopg://me@localhost/postgres``,
whose user may create databases.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

NAMED = "WEAKLIGHT_TEST_POSTGRESQL"


@contextmanager
def server() -> Iterator[sa.URL]:
    """Yield the URL of a server's own database, or skip the test."""
    pytest.importorskip("psycopg")
    if NAMED in os.environ:
        yield sa.make_url(os.environ[NAMED])
        return
    places = [os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    initdb = shutil.which("initdb", path=os.pathsep.join(places))
    if initdb is None:
        pytest.skip(f"no PostgreSQL: install it, or name a server in {NAMED}")
    # It refuses to run as root, and Debian's package makes a user for it.
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="weaklight-postgresql-"))
    control = [Path(initdb).resolve().with_name("pg_ctl"), "-D", folder / "data", "-w"]

    def run(*command: Path | str) -> None:
        subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    try:
        if user is not None:
            shutil.chown(folder, user)
        # ICU's order of letters is not that of bytes, as on most servers
        as_elsewhere = ("--encoding=UTF8", "--locale-provider=icu", "--icu-locale=en")
        run(initdb, "-D", folder / "data", "-U", "postgres", "-A", "trust", "-N", *as_elsewhere)
        run(*control, "-l", folder / "log", "-o", f"-k {folder} -h '' -F", "start")
        try:
            yield sa.make_url(f"postgresql+psycopg://postgres@/postgres?host={folder}")
        finally:
            run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@contextmanager
def fresh_database(url: sa.URL) -> Iterator[str]:
    """Yield the URL of an empty database on this server and drop it afterwards."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    name = f"weaklight_{uuid.uuid4().hex}"
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        try:
            yield url.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")

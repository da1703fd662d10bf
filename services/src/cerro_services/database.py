"""The database of what the services must remember: jobs and users' tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url


def connect(url: str) -> Engine:
    """Open the database.

    Parameters
    ----------
    url
        SQLAlchemy URL: ``sqlite:///path`` (made if it is not there; WAL, so that several processes
        share it) or ``postgresql+psycopg://…``.

    Returns
    -------
    sqlalchemy.Engine
        Whose connections are checked before use, so that a database which was away is found again.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    if parsed.database and parsed.database != ":memory:":
        folder = Path(parsed.database).parent
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(parsed, connect_args={"timeout": 30})
    event.listen(engine, "connect", _prepare)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")

"""The tables in which jobs are remembered, in SQLite and PostgreSQL alike."""

from __future__ import annotations

import sqlalchemy as sa

from cerro_services.errors import CerroError

VERSION = 1
"""Of the tables; grows when they change."""
METADATA = sa.MetaData()
JOBS = sa.Table(
    "uws_jobs",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("share", sa.Text, nullable=False),
    sa.Column("groups", sa.Text, nullable=False),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("phase", sa.String(16), nullable=False),
    sa.Column("run_id", sa.Text),
    sa.Column("parameters", sa.Text, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("queued", sa.Double),
    sa.Column("started", sa.Double),
    sa.Column("ended", sa.Double),
    sa.Column("destruction", sa.Double, nullable=False),
    sa.Column("duration", sa.Integer, nullable=False),
    sa.Column("quote", sa.Double),
    sa.Column("results", sa.Text),
    sa.Column("result_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("failure", sa.Text),
    sa.Column("progress", sa.Text),
    sa.Column("running_limit", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("worker", sa.Text),
    # The list of one's jobs, newest first; how many one has; the next to run; what to delete.
    sa.Index("uws_jobs_owner", "owner", "kind", "created"),
    sa.Index("uws_jobs_share", "share", "phase"),
    sa.Index("uws_jobs_phase", "phase", "queued"),
    sa.Index("uws_jobs_destruction", "destruction"),
)
WORKERS = sa.Table(
    "uws_workers",
    METADATA,
    sa.Column("id", sa.String(255), primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("seen", sa.Double, nullable=False),
    sa.Column("processes", sa.Integer, nullable=False),
)
_VERSIONS = sa.Table(
    "uws_version",
    METADATA,
    sa.Column("version", sa.Integer, primary_key=True),
)


def prepare(database: sa.Engine) -> None:
    """Make the tables where they are not.

    Parameters
    ----------
    database
        Where.

    Raises
    ------
    CerroError
        A later version of Cerro has changed them.
    """
    try:
        _make(database)
    except (sa.exc.OperationalError, sa.exc.ProgrammingError, sa.exc.IntegrityError):
        # Another process made the same at the same moment; what is really wrong fails again.
        _make(database)


def _make(database: sa.Engine) -> None:
    with database.begin() as connection:
        METADATA.create_all(connection)
        found = connection.execute(sa.select(sa.func.max(_VERSIONS.c.version))).scalar()
        if found is None:
            connection.execute(_VERSIONS.insert().values(version=VERSION))
        elif found > VERSION:
            raise CerroError(
                f"The database of jobs is of a later Cerro (its version is {found}, {VERSION} is "
                "known). Run that Cerro, or set another database."
            )

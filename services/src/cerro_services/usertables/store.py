"""Where users' tables are remembered: SQLite and PostgreSQL alike."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from cerro_services.access import Caller
from cerro_services.usertables.model import (
    Sharing,
    UserTable,
    UserTableExistsError,
    UserTableQuotaError,
    from_json,
    to_json,
)

METADATA = sa.MetaData()
TABLES = sa.Table(
    "user_tables",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("folded", sa.String(64), nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("public", sa.Boolean, nullable=False),
    sa.Column("read_group", sa.Text),
    sa.Column("write_group", sa.Text),
    sa.Column("nrows", sa.BigInteger, nullable=False),
    sa.Column("nbytes", sa.BigInteger, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("changed", sa.Double, nullable=False),
    sa.Column("expires", sa.Double, nullable=False),
    # Names ignore case in ADQL.
    sa.UniqueConstraint("owner", "folded", name="user_tables_name"),
    sa.Index("user_tables_expires", "expires"),
)
_LOCK = sa.Table(
    "user_tables_lock",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("changes", sa.BigInteger, nullable=False),
)


class UserTableStore:
    """Remembers tables.

    Parameters
    ----------
    database
        Where; it need not be there yet.
    """

    def __init__(self, database: sa.Engine) -> None:
        self._database = database
        self._ready = False

    def visible(self, caller: Caller) -> list[UserTable]:
        """Give the tables that a caller may read, their own first."""
        allowed: list[sa.ColumnElement[bool]] = [TABLES.c.public]
        if caller.name is not None:
            allowed.append(TABLES.c.owner == caller.name)
        if caller.groups:
            groups = sorted(caller.groups)
            allowed += [TABLES.c.read_group.in_(groups), TABLES.c.write_group.in_(groups)]
        query = sa.select(TABLES).where(sa.or_(*allowed), TABLES.c.expires > time.time())
        with self._prepared().connect() as connection:
            found = [_table(row) for row in connection.execute(query)]
        return sorted(found, key=lambda t: (t.owner != caller.name, t.owner, t.name.lower()))

    def find(self, owner: str, name: str) -> UserTable | None:
        """Give a table by owner and name; None if there is none."""
        query = sa.select(TABLES).where(
            TABLES.c.owner == owner,
            TABLES.c.folded == name.lower(),
            TABLES.c.expires > time.time(),
        )
        with self._prepared().connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else _table(row)

    def versions(self) -> set[str]:
        """Give the versions of all tables."""
        with self._prepared().connect() as connection:
            return set(connection.execute(sa.select(TABLES.c.version)).scalars())

    def add(self, table: UserTable, most: int) -> None:
        """Remember a new table.

        Parameters
        ----------
        table
            The table.
        most
            Bytes that its owner may keep.

        Raises
        ------
        UserTableExistsError
            The owner has one of this name.
        UserTableQuotaError
            The owner would keep more than they may.
        """
        try:
            with self._changing() as connection:
                connection.execute(
                    TABLES.delete().where(
                        TABLES.c.owner == table.owner,
                        TABLES.c.folded == table.name.lower(),
                        TABLES.c.expires <= time.time(),
                    )
                )
                _check_room(connection, table, most)
                connection.execute(TABLES.insert().values(**_row(table)))
        except sa.exc.IntegrityError:
            raise UserTableExistsError(
                f"You have a table {table.name} already. Drop it first, or choose another name."
            ) from None

    def replace(self, old: UserTable, new: UserTable, most: int | None = None) -> None:
        """Remember a changed table.

        Parameters
        ----------
        old
            As it was when the change began.
        new
            As it is now.
        most
            Bytes that its owner may keep, if rows changed.

        Raises
        ------
        UserTableExistsError
            Somebody else changed or dropped it meanwhile.
        UserTableQuotaError
            The owner would keep more than they may.
        """
        with self._changing() as connection:
            if most is not None:
                _check_room(connection, new, most)
            done = connection.execute(
                TABLES.update()
                .where(
                    TABLES.c.id == old.id,
                    TABLES.c.version == old.version,
                    TABLES.c.changed == old.changed,
                )
                .values(**_row(new))
            )
            if not done.rowcount:
                raise UserTableExistsError(
                    f"{old.name} was changed or dropped at the same time by another request. Look "
                    "at it, and try again."
                )

    def remove(self, identity: str) -> bool:
        """Forget a table; tell whether it was there."""
        with self._changing() as connection:
            done = connection.execute(TABLES.delete().where(TABLES.c.id == identity))
        return bool(done.rowcount)

    def expired(self) -> list[UserTable]:
        """Give the tables whose time is over."""
        query = sa.select(TABLES).where(TABLES.c.expires <= time.time())
        with self._prepared().connect() as connection:
            return [_table(row) for row in connection.execute(query)]

    # ---- inside -------------------------------------------------------------------------------

    @contextmanager
    def _changing(self) -> Iterator[sa.Connection]:
        """Change tables one after another, so that quotas hold whoever else changes some."""
        with self._prepared().begin() as connection:
            connection.execute(_LOCK.update().values(changes=_LOCK.c.changes + 1))
            yield connection

    def _prepared(self) -> sa.Engine:
        """Give the database with its tables, made when they are first needed."""
        if not self._ready:
            try:
                self._make()
            except (sa.exc.OperationalError, sa.exc.ProgrammingError, sa.exc.IntegrityError):
                # Another process made the same at the same moment; what is really wrong fails again
                self._make()
            self._ready = True
        return self._database

    def _make(self) -> None:
        with self._database.begin() as connection:
            METADATA.create_all(connection)
            if connection.execute(sa.select(sa.func.count()).select_from(_LOCK)).scalar() == 0:
                connection.execute(_LOCK.insert().values(id=1, changes=0))


def _used(connection: sa.Connection, owner: str, but: str = "") -> int:
    query = sa.select(sa.func.coalesce(sa.func.sum(TABLES.c.nbytes), 0)).where(
        TABLES.c.owner == owner, TABLES.c.id != but
    )
    return int(connection.execute(query).scalar() or 0)


def _check_room(connection: sa.Connection, table: UserTable, most: int) -> None:
    used = _used(connection, table.owner, but=table.id)
    if used + table.nbytes > most:
        raise UserTableQuotaError(
            f"Your tables may have {most:,} bytes in all; {used:,} are used, and {table.name} has "
            f"{table.nbytes:,}. Drop tables that you no longer need, or keep fewer rows or columns."
        )


def _row(table: UserTable) -> dict[str, Any]:
    return {
        "id": table.id,
        "version": table.version,
        "owner": table.owner,
        "folded": table.name.lower(),
        "model": to_json(table.model),
        "public": table.sharing.public,
        "read_group": table.sharing.read,
        "write_group": table.sharing.write,
        "nrows": table.nrows,
        "nbytes": table.nbytes,
        "created": table.created,
        "changed": table.changed,
        "expires": table.expires,
    }


def _table(row: sa.Row[Any]) -> UserTable:
    return UserTable(
        row.id,
        row.version,
        row.owner,
        from_json(row.model),
        Sharing(row.public, row.read_group, row.write_group),
        row.nrows,
        row.nbytes,
        row.created,
        row.changed,
        row.expires,
    )

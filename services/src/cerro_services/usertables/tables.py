"""What users do with their tables."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Engine as Database

from cerro_services.access import Caller
from cerro_services.adql import QueryTable
from cerro_services.config import Settings
from cerro_services.context import Context
from cerro_services.quotas import Quotas
from cerro_services.release.model import TableModel
from cerro_services.release.readers import TableSource
from cerro_services.uploads import Content
from cerro_services.usertables import vosi
from cerro_services.usertables.changes import WRITE_TABLES, Changes
from cerro_services.usertables.files import TableFiles
from cerro_services.usertables.listing import Listing
from cerro_services.usertables.model import (
    Sharing,
    UserTable,
    UserTableError,
    UserTableForbiddenError,
)
from cerro_services.usertables.rows import RowsSource
from cerro_services.usertables.store import UserTableStore

log = logging.getLogger(__name__)

__all__ = ["WRITE_TABLES", "UserTables", "of", "query_table"]


class UserTables:
    """The tables of all users.

    Parameters
    ----------
    settings
        Where they lie and how long they stay.
    quotas
        How much users may keep.
    database
        Where they are remembered.
    """

    def __init__(self, settings: Settings, quotas: Quotas, database: Database) -> None:
        assert settings.usertables is not None
        self.store = UserTableStore(database)
        self.files = TableFiles(settings.usertables)
        self._listing = Listing(self.store, settings.usertables)
        self._changes = Changes(settings, quotas, self.store, self.files, self._listing)

    # ---- find ---------------------------------------------------------------------------------

    def visible(self, caller: Caller) -> tuple[UserTable, ...]:
        """Give the tables that a caller may read; remembered until any table changes."""
        return self._listing.of(caller)

    def find(self, caller: Caller, name: str) -> UserTable:
        """Give a table that a caller may read; see `Changes.find`."""
        return self._changes.find(caller, name)

    # ---- make and change ----------------------------------------------------------------------

    def create(
        self,
        caller: Caller,
        name: str,
        content: Content,
        sharing: Sharing | None = None,
        description: str | None = None,
    ) -> UserTable:
        """Keep rows as a table.

        Parameters
        ----------
        caller
            Its owner.
        name
            ``mydb.name`` or ``name``.
        content
            The rows, as `uploads.read` gives them.
        sharing
            Who else may use it.
        description
            For people.

        Raises
        ------
        UserTableExistsError
            They have one of this name.
        UserTableQuotaError
            They would keep more than they may.
        """
        short = self._changes.new_name(caller, name)
        ra, dec = content.position if content.position and content.placed else (None, None)
        model = TableModel(short, content.columns, description, ra=ra, dec=dec)
        schema = _schema(content)
        source = RowsSource(Path(short), schema, content.batches(), content.nrows)
        return self._changes.add(caller, model, [source], sharing)

    def define(
        self, caller: Caller, name: str, document: bytes, sharing: Sharing | None = None
    ) -> UserTable:
        """Make an empty table from a VOSI description; errors as for `create`."""
        short = self._changes.new_name(caller, name)
        return self._changes.add(caller, vosi.parse(document, short), [], sharing)

    def append(self, caller: Caller, name: str, source: TableSource) -> UserTable:
        """Add rows to a table.

        Parameters
        ----------
        caller
            Who asks.
        name
            The table.
        source
            The rows; columns are matched by name.

        Raises
        ------
        UserTableError
            A value or column does not fit.
        UserTableForbiddenError
            They may not.
        """
        table = self._changes.writable(caller, name)
        kept = self.files.source(table.owner, table.version, table.model)
        return self._changes.rewrite(caller, table, table.model, [kept, source])

    def describe(self, caller: Caller, name: str, document: bytes) -> UserTable:
        """Change what is said of a table and its columns; its time begins anew.

        Raises
        ------
        UserTableError
            The description does not fit the table.
        UserTableForbiddenError
            They may not.
        """
        table = self._changes.writable(caller, name)
        model = vosi.described(table.model, vosi.parse(document, table.name))
        return self._changes.change(table, replace(table, model=model))

    def index(
        self, caller: Caller, name: str, columns: Sequence[str], kind: str = "", *, unique: bool
    ) -> UserTable:
        """Lay a table out so that conditions on some columns are answered fast.

        Parameters
        ----------
        caller
            Who asks.
        name
            The table.
        columns
            The columns: one, or right ascension and declination.
        kind
            ``long-lat`` for positions; empty for values.
        unique
            Whether no value may stand twice.

        Raises
        ------
        UserTableError
            The columns cannot be indexed so.
        UserTableForbiddenError
            They may not.
        """
        table = self._changes.writable(caller, name)
        model = table.model
        known = {column.name.lower(): column.name for column in model.columns}
        missing = [column for column in columns if column.lower() not in known]
        if missing or not columns:
            raise UserTableError(
                f"{table.name} has no column {', '.join(missing) or 'to index'}. Its columns are "
                f"{', '.join(known.values())}."
            )
        names = [known[column.lower()] for column in columns]
        if kind == "long-lat":
            if len(names) != 2:
                raise UserTableError("long-lat takes two columns: right ascension, declination.")
            model = replace(model, ra=names[0], dec=names[1])
        elif kind:
            raise UserTableError(f"There is no index of type {kind}; there is long-lat, or none.")
        elif unique:
            model = replace(model, key=tuple(names))
        else:
            model = replace(model, indexes=tuple(dict.fromkeys((*model.indexes, *names))))
        kept = self.files.source(table.owner, table.version, table.model)
        return self._changes.rewrite(caller, table, model, [kept])

    def share(self, caller: Caller, name: str, sharing: Sharing) -> UserTable:
        """Say who else may use a table.

        Raises
        ------
        UserTableForbiddenError
            They do not own it.
        UserTableError
            They are no member of a group that they name.
        """
        table = self._changes.writable(caller, name)
        if table.owner != caller.name:
            raise UserTableForbiddenError(f"Only its owner shares {name}.")
        self._changes.check_sharing(caller, sharing, table.sharing)
        return self._changes.change(table, replace(table, sharing=sharing))

    def keep(self, caller: Caller, name: str, until: float | None = None) -> UserTable:
        """Keep a table for longer; by default as long as a new one.

        Parameters
        ----------
        caller
            Who asks.
        name
            The table.
        until
            When it is to be deleted [s since 1970]; not later than a new one would be.
        """
        table = self._changes.writable(caller, name)
        latest = self._changes.expiry()
        return self._changes.change(table, replace(table, expires=min(until or latest, latest)))

    def drop(self, caller: Caller, name: str) -> None:
        """Delete a table; queries that read it end as they began.

        Raises
        ------
        UserTableForbiddenError
            They do not own it.
        """
        table = self._changes.writable(caller, name)
        if table.owner != caller.name:
            raise UserTableForbiddenError(f"Only its owner drops {name}.")
        if self.store.remove(table.id):
            self.files.retire(table.owner, table.version)
            self._listing.changed()

    def sweep(self) -> int:
        """Delete what has expired, and files that nobody can be reading; give how many tables."""
        gone = [table for table in self.store.expired() if self.store.remove(table.id)]
        for table in gone:
            log.info("table %s of %s has expired", table.name, table.owner)
            self.files.retire(table.owner, table.version)
        if gone:
            self._listing.changed()
        self.files.sweep(self.store.versions())
        return len(gone)


def _schema(content: Content) -> pa.Schema:
    if content.table is not None:
        return content.table.schema
    assert content.path is not None
    return pq.read_schema(content.path)


_ALL: WeakKeyDictionary[Database, UserTables] = WeakKeyDictionary()


def of(context: Context) -> UserTables:
    """Give the users' tables of a process.

    Parameters
    ----------
    context
        What its services share.
    """
    found = _ALL.get(context.database)
    if found is None:
        found = _ALL.setdefault(
            context.database, UserTables(context.settings, context.quotas, context.database)
        )
    return found


def query_table(tables: UserTables, table: UserTable, caller: Caller) -> QueryTable:
    """Give a table as a query of a caller names it."""
    catalog = tables.files.catalog(table.owner, table.version)
    return QueryTable(table.schema_for(caller), table.model, catalog)

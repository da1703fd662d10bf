"""What users do with their tables."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Engine as Database

from cerro_services.access import Caller, UnauthorizedError
from cerro_services.adql import QueryTable
from cerro_services.config import Settings
from cerro_services.context import Context
from cerro_services.quotas import Quotas
from cerro_services.release import DataError
from cerro_services.release.model import TableModel
from cerro_services.release.readers import TableSource
from cerro_services.uploads import Content
from cerro_services.uploads.sources import described
from cerro_services.usertables import vosi
from cerro_services.usertables.files import RowsSource, TableFiles
from cerro_services.usertables.model import (
    OWN,
    SHARED,
    Sharing,
    UserTable,
    UserTableError,
    UserTableExistsError,
    UserTableForbiddenError,
    UserTableNotFoundError,
    split,
    table_name,
)
from cerro_services.usertables.store import UserTableStore

log = logging.getLogger(__name__)

WRITE_TABLES = "custom:write:tables"
_DAY = 86_400.0
_NONE: frozenset[str] = frozenset()
_KNOWN = 4096


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
        self._settings, self._quotas = settings, quotas
        self.store = UserTableStore(database)
        self.files = TableFiles(settings.usertables)
        self._stamp = settings.usertables / ".changed"
        self._seen: dict[object, tuple[object, tuple[UserTable, ...]]] = {}
        self._lock = threading.Lock()
        if self._stamp.exists():
            # A process may have been killed between a change and its mark.
            self._touch()

    # ---- find ---------------------------------------------------------------------------------

    def visible(self, caller: Caller) -> tuple[UserTable, ...]:
        """Give the tables that a caller may read; remembered until any table changes."""
        key = (caller.name, caller.groups)
        stamp = self._changed()
        known = self._seen.get(key)
        if known is not None and known[0] == stamp:
            return known[1]
        # The stamp was read first: a change in between is seen the next time.
        found = tuple(self.store.visible(caller)) if stamp is not None else ()
        with self._lock:
            if len(self._seen) >= _KNOWN:
                self._seen.clear()
            self._seen[key] = (stamp, found)
        return found

    def find(self, caller: Caller, name: str) -> UserTable:
        """Give a table that a caller may read.

        Parameters
        ----------
        caller
            Who asks.
        name
            ``mydb.name``, ``name``, or ``user_owner.name``.

        Raises
        ------
        UserTableNotFoundError
            There is none, or not for them.
        """
        schema, short = split(name)
        own = schema == OWN or schema.lower() == f"{SHARED}{caller.name}".lower()
        owner = caller.name if own else schema[len(SHARED) :]
        found = self.store.find(owner, short) if owner is not None else None
        if found is None or not found.readable(caller):
            raise UserTableNotFoundError(
                f"There is no table {name}. Your tables are {OWN}.NAME; "
                "/api/tap/tables lists those that you can read."
            )
        return found

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
        short = self._new_name(caller, name)
        ra, dec = content.position if content.position and content.placed else (None, None)
        model = TableModel(short, content.columns, description, ra=ra, dec=dec)
        schema = _schema(content)
        source = RowsSource(Path(short), schema, content.batches(), content.nrows)
        return self._add(caller, model, [source], sharing)

    def define(
        self, caller: Caller, name: str, document: bytes, sharing: Sharing | None = None
    ) -> UserTable:
        """Make an empty table from a VOSI description; errors as for `create`."""
        short = self._new_name(caller, name)
        return self._add(caller, vosi.parse(document, short), [], sharing)

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
        table = self._writable(caller, name)
        kept = self.files.source(table.owner, table.version, table.model)
        return self._rewrite(caller, table, table.model, [kept, source])

    def describe(self, caller: Caller, name: str, document: bytes) -> UserTable:
        """Change what is said of a table and its columns; its time begins anew.

        Raises
        ------
        UserTableError
            The description does not fit the table.
        UserTableForbiddenError
            They may not.
        """
        table = self._writable(caller, name)
        model = vosi.described(table.model, vosi.parse(document, table.name))
        return self._change(table, replace(table, model=model))

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
        table = self._writable(caller, name)
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
        return self._rewrite(caller, table, model, [kept])

    def share(self, caller: Caller, name: str, sharing: Sharing) -> UserTable:
        """Say who else may use a table.

        Raises
        ------
        UserTableForbiddenError
            They do not own it.
        UserTableError
            They are no member of a group that they name.
        """
        table = self._writable(caller, name)
        if table.owner != caller.name:
            raise UserTableForbiddenError(f"Only its owner shares {name}.")
        self._check_sharing(caller, sharing, table.sharing)
        return self._change(table, replace(table, sharing=sharing))

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
        table = self._writable(caller, name)
        latest = self._expiry()
        return self._change(table, replace(table, expires=min(until or latest, latest)))

    def drop(self, caller: Caller, name: str) -> None:
        """Delete a table; queries that read it end as they began.

        Raises
        ------
        UserTableForbiddenError
            They do not own it.
        """
        table = self._writable(caller, name)
        if table.owner != caller.name:
            raise UserTableForbiddenError(f"Only its owner drops {name}.")
        if self.store.remove(table.id):
            self.files.retire(table.owner, table.version)
            self._touch()

    def sweep(self) -> int:
        """Delete what has expired, and files that nobody can be reading; give how many tables."""
        gone = [table for table in self.store.expired() if self.store.remove(table.id)]
        for table in gone:
            log.info("table %s of %s has expired", table.name, table.owner)
            self.files.retire(table.owner, table.version)
        if gone:
            self._touch()
        self.files.sweep(self.store.versions())
        return len(gone)

    # ---- inside -------------------------------------------------------------------------------

    def _new_name(self, caller: Caller, name: str) -> str:
        if caller.name is None:
            raise UnauthorizedError("Tables are kept for users: send a token.")
        caller.require(WRITE_TABLES)
        schema, short = split(name)
        if schema != OWN and schema.lower() != f"{SHARED}{caller.name}".lower():
            raise UserTableForbiddenError(f"Tables are made in {OWN}, not in {schema}.")
        return table_name(short)

    def _writable(self, caller: Caller, name: str) -> UserTable:
        if caller.name is None:
            raise UnauthorizedError("Tables are changed by users: send a token.")
        caller.require(WRITE_TABLES)
        table = self.find(caller, name)
        if not table.writable(caller):
            raise UserTableForbiddenError(f"You may read {name}, but not change it.")
        return table

    def _add(
        self,
        caller: Caller,
        model: TableModel,
        sources: Sequence[TableSource],
        sharing: Sharing | None,
    ) -> UserTable:
        assert caller.name is not None
        self._check_sharing(caller, sharing or Sharing())
        if self.store.find(caller.name, model.name) is not None:
            raise UserTableExistsError(
                f"You have a table {model.name} already. Drop it first, or choose another name."
            )
        with _told(model.name):
            stored = self.files.write(caller.name, model, sources)
        now = time.time()
        table = UserTable(
            secrets.token_hex(12),
            stored.version,
            caller.name,
            model,
            sharing or Sharing(),
            stored.nrows,
            stored.nbytes,
            now,
            now,
            self._expiry(),
        )
        most = int(self._quotas.of(caller).table_bytes)
        self._remembered(table, lambda: self.store.add(table, most))
        return table

    def _rewrite(
        self,
        caller: Caller,
        table: UserTable,
        model: TableModel,
        sources: Sequence[TableSource],
    ) -> UserTable:
        with _told(table.name):
            stored = self.files.write(table.owner, model, sources)
        new = replace(
            table,
            version=stored.version,
            model=model,
            nrows=stored.nrows,
            nbytes=stored.nbytes,
            changed=time.time(),
        )
        # Whoever adds rows uses up what the owner may keep, whose groups only they bring along.
        owner = caller if caller.name == table.owner else Caller(table.owner, _NONE, _NONE)
        most = max(int(self._quotas.of(owner).table_bytes), table.nbytes)
        self._remembered(new, lambda: self.store.replace(table, new, most))
        self.files.retire(table.owner, table.version)
        return new

    def _change(self, table: UserTable, new: UserTable) -> UserTable:
        new = replace(new, changed=time.time(), expires=max(new.expires, time.time()))
        self.store.replace(table, new)
        self._touch()
        return new

    def _remembered(self, table: UserTable, remember: Callable[[], None]) -> None:
        try:
            remember()
        except BaseException:
            self.files.discard(table.owner, table.version)
            raise
        self._touch()

    def _check_sharing(
        self, caller: Caller, sharing: Sharing, before: Sharing | None = None
    ) -> None:
        known = {before.read, before.write} if before is not None else set()
        for group in {sharing.read, sharing.write} - known - {None}:
            if group not in caller.groups:
                raise UserTableError(
                    f"You are no member of a group {group!r}, so you cannot share with it."
                )
        if sharing.public and not self._settings.public_tables:
            raise UserTableForbiddenError(
                "Tables are not shared with everybody here, only with groups. The operator allows "
                "it by the setting public_tables."
            )

    def _expiry(self) -> float:
        return time.time() + _DAY * self._settings.table_days

    def _changed(self) -> object:
        """Tell the last change of any table by any process; None before the first."""
        try:
            # Opened rather than looked up: a network filesystem then asks its server.
            with self._stamp.open("rb") as stream:
                return stream.read(64)
        except FileNotFoundError:
            return None

    def _touch(self) -> None:
        self._stamp.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._stamp.with_name(f".changed.{secrets.token_hex(8)}")
        new.write_bytes(secrets.token_hex(16).encode())
        new.replace(self._stamp)


def _schema(content: Content) -> pa.Schema:
    if content.table is not None:
        return content.table.schema
    assert content.path is not None
    return pq.read_schema(content.path)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Tell what a writer finds wrong with rows to who sent them."""
    try:
        yield
    except DataError as error:
        raise UserTableError(
            described(name, error).message.replace("Upload", "Table", 1)
        ) from error


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

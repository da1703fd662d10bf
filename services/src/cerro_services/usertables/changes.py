"""One change of a user's table: who may make it, its files, its entry, and what it leaves."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from cerro_services.access import Caller, UnauthorizedError
from cerro_services.config import Settings
from cerro_services.quotas import Quotas
from cerro_services.release import DataError
from cerro_services.release.model import TableModel
from cerro_services.release.readers import TableSource
from cerro_services.uploads.sources import described
from cerro_services.usertables.files import TableFiles
from cerro_services.usertables.listing import Listing
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

WRITE_TABLES = "custom:write:tables"
_DAY = 86_400.0
_NONE: frozenset[str] = frozenset()


class Changes:
    """Makes changes whole or not at all: files first, then the entry that names them.

    Parameters
    ----------
    settings
        How long tables stay, and whether everybody may read some.
    quotas
        How much users may keep.
    store, files, listing
        Where tables are remembered, lie, and are listed.
    """

    def __init__(
        self,
        settings: Settings,
        quotas: Quotas,
        store: UserTableStore,
        files: TableFiles,
        listing: Listing,
    ) -> None:
        self._settings, self._quotas = settings, quotas
        self._store, self._files, self._listing = store, files, listing

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
        found = self._store.find(owner, short) if owner is not None else None
        if found is None or not found.readable(caller):
            raise UserTableNotFoundError(
                f"There is no table {name}. Your tables are {OWN}.NAME; "
                "/api/tap/tables lists those that you can read."
            )
        return found

    def new_name(self, caller: Caller, name: str) -> str:
        """Give the name of a table that a caller may make, without its schema."""
        if caller.name is None:
            raise UnauthorizedError("Tables are kept for users: send a token.")
        caller.require(WRITE_TABLES)
        schema, short = split(name)
        if schema != OWN and schema.lower() != f"{SHARED}{caller.name}".lower():
            raise UserTableForbiddenError(f"Tables are made in {OWN}, not in {schema}.")
        return table_name(short)

    def writable(self, caller: Caller, name: str) -> UserTable:
        """Give a table that a caller may change."""
        if caller.name is None:
            raise UnauthorizedError("Tables are changed by users: send a token.")
        caller.require(WRITE_TABLES)
        table = self.find(caller, name)
        if not table.writable(caller):
            raise UserTableForbiddenError(f"You may read {name}, but not change it.")
        return table

    def add(
        self,
        caller: Caller,
        model: TableModel,
        sources: Sequence[TableSource],
        sharing: Sharing | None,
    ) -> UserTable:
        """Write a new table and remember it."""
        assert caller.name is not None
        self.check_sharing(caller, sharing or Sharing())
        if self._store.find(caller.name, model.name) is not None:
            raise UserTableExistsError(
                f"You have a table {model.name} already. Drop it first, or choose another name."
            )
        with _told(model.name):
            stored = self._files.write(caller.name, model, sources)
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
            self.expiry(),
        )
        most = int(self._quotas.of(caller).table_bytes)
        self._remembered(table, lambda: self._store.add(table, most))
        return table

    def rewrite(
        self,
        caller: Caller,
        table: UserTable,
        model: TableModel,
        sources: Sequence[TableSource],
    ) -> UserTable:
        """Write the rows of a table anew, and let the old ones go."""
        with _told(table.name):
            stored = self._files.write(table.owner, model, sources)
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
        self._remembered(new, lambda: self._store.replace(table, new, most))
        self._files.retire(table.owner, table.version)
        return new

    def change(self, table: UserTable, new: UserTable) -> UserTable:
        """Remember what changed besides rows."""
        new = replace(new, changed=time.time(), expires=max(new.expires, time.time()))
        self._store.replace(table, new)
        self._listing.changed()
        return new

    def _remembered(self, table: UserTable, remember: Callable[[], None]) -> None:
        try:
            remember()
        except BaseException:
            self._files.discard(table.owner, table.version)
            raise
        self._listing.changed()

    def check_sharing(
        self, caller: Caller, sharing: Sharing, before: Sharing | None = None
    ) -> None:
        """Refuse groups that a caller does not belong to, and everybody unless that is allowed."""
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

    def expiry(self) -> float:
        """Give when a table that is made now expires [s since 1970]."""
        return time.time() + _DAY * self._settings.table_days


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Tell what a writer finds wrong with rows to who sent them."""
    try:
        yield
    except DataError as error:
        raise UserTableError(
            described(name, error).message.replace("Upload", "Table", 1)
        ) from error

"""Rows to show things by: where on the sky a table has any, and what values it holds."""

from __future__ import annotations

import logging
from threading import Lock
from weakref import WeakKeyDictionary

from cerro_services.adql import Catalogue
from cerro_services.context import Context
from cerro_services.errors import CerroError
from cerro_services.release.model import TableModel
from cerro_services.tap.tapschema import Schema, View, identifier, qualified
from cerro_services.tap.views import Views

log = logging.getLogger(__name__)

_DECIMALS = 3


class Places:
    """Looks up rows of tables, once for each version of a release.

    Parameters
    ----------
    context
        What the services share.
    views
        What callers see.
    """

    def __init__(self, context: Context, views: Views) -> None:
        self._context = context
        self._views = views
        self._lock = Lock()
        self._rows: WeakKeyDictionary[Catalogue, dict[str, tuple[object, ...] | None]] = (
            WeakKeyDictionary()
        )

    def of(self, seen: View, schema: Schema, table: TableModel) -> tuple[float, float] | None:
        """Give a place where a table has a row; blocks while it is looked up.

        Parameters
        ----------
        seen
            What the caller may read.
        schema, table
            The table; it has a position.

        Returns
        -------
        tuple of float or None
            Right ascension and declination (ICRS, degrees), rounded; None of an empty table.
        """
        row = self.row(seen, schema, table, table.ra or "", table.dec or "")
        if row is None or None in row:
            return None
        ra, dec = (round(float(str(value)), _DECIMALS) for value in row)
        return ra, dec

    def row(
        self, seen: View, schema: Schema, table: TableModel, *columns: str
    ) -> tuple[object, ...] | None:
        """Give some columns of a row of a table in which the first one has a value.

        Parameters
        ----------
        seen
            What the caller may read.
        schema, table
            The table.
        columns
            Names of its columns.
        """
        names = [identifier(name) for name in columns]
        # The names are those of the model, written as ADQL needs them.
        adql = (
            f"SELECT TOP 1 {', '.join(names)} "  # noqa: S608
            f"FROM {qualified(schema.name, table.name)} WHERE {names[0]} IS NOT NULL"
        )
        with self._lock:
            known = self._rows.setdefault(seen.catalogue, {})
        if adql not in known:
            known[adql] = self._asked(seen, adql)
        return known[adql]

    def _asked(self, seen: View, adql: str) -> tuple[object, ...] | None:
        try:
            stream = self._context.engine.stream(self._views.query(seen, adql), limit=1)
            try:
                for batch in stream:
                    if batch.num_rows:
                        return tuple(column[0].as_py() for column in batch.columns)
            finally:
                stream.close()
        except (CerroError, OSError) as error:
            log.warning("a table has no row to show: %s: %s", adql, error)
        return None

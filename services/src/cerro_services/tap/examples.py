"""Queries to begin with, made from the tables that the caller may read (DALI 1.1 §2.4)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from threading import Lock
from weakref import WeakKeyDictionary

from cerro_services.adql import Catalogue
from cerro_services.context import Context
from cerro_services.errors import CerroError
from cerro_services.release import Column, Example
from cerro_services.release.model import TableModel
from cerro_services.tap.places import Places
from cerro_services.tap.tapschema import SCHEMA, Schema, View, identifier, qualified
from cerro_services.tap.views import Views

log = logging.getLogger(__name__)

_NUMBERS = frozenset({"float", "double"})
_KINDS = frozenset({"char", "string", "unicode", "boolean", "byte", "short"})
_TABLES = Example(
    "What there is to ask",
    "SELECT table_name, description FROM tap_schema.tables ORDER BY schema_name, table_index",
    "All tables that you may read. tap_schema.columns lists their columns.",
)


class Examples:
    """Makes and keeps the examples of what callers see.

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
        self._places = Places(context, views)
        self._made: WeakKeyDictionary[Catalogue, tuple[Example, ...]] = WeakKeyDictionary()

    def of(self, seen: View) -> tuple[Example, ...]:
        """Give the examples for one view; blocks while positions to ask for are looked up.

        Parameters
        ----------
        seen
            What the caller may read.

        Returns
        -------
        tuple of Example
            Each of them compiles.
        """
        with self._lock:
            found = self._made.get(seen.catalogue)
        if found is not None:
            return found
        made = [_TABLES]
        for schema in seen.schemas:
            made += self._declared(seen, schema)
            if schema.name != SCHEMA:
                made += self._derived(seen, schema)
        found = tuple(example for example in made if self._compiles(seen, example))
        with self._lock:
            self._made[seen.catalogue] = found
        return found

    def _declared(self, seen: View, schema: Schema) -> Iterator[Example]:
        for release in self._context.store.published():
            if release.name == schema.name:
                for example in release.examples:
                    if not self._compiles(seen, example):
                        log.info("example %r of %s does not fit", example.name, release.name)
                        continue
                    yield example

    def _derived(self, seen: View, schema: Schema) -> Iterator[Example]:
        placed = [table for table in schema.tables if table.ra and table.dec and table.key]
        if placed:
            first, place = placed[0], self._places.of(seen, schema, placed[0])
            if place is not None:
                yield _cone(schema, first, *place)
            if len(placed) > 1 and (place := self._places.of(seen, schema, placed[1])) is not None:
                yield _crossmatch(schema, first, placed[1], *place)
        curve = self._curve(seen, schema)
        if curve is not None:
            yield curve
        kinds = [(table, kind) for table in schema.tables if (kind := _kind(table)) is not None]
        # Bands say more than any other column that has few values.
        for table, kind in sorted(kinds, key=lambda found: found[1].name != "band")[:1]:
            yield _groups(schema, table, kind)

    def _curve(self, seen: View, schema: Schema) -> Example | None:
        """Make the light curve of one object, if a table has times and fluxes of another's rows."""
        models = {table.name: table for table in schema.tables}
        for key in schema.foreign_keys:
            table, target = models[key.from_table], models[key.target_table]
            when = _first(table, "time.epoch", "mjd")
            flux = _first(table, "phot.", "flux")
            if not (when and flux and target.ra and len(key.from_columns) == 1):
                continue
            if not _first(target, "phot.flux", "flux"):
                continue  # The rows of that target are exposures, not objects.
            name = qualified(schema.name, table.name)
            column = identifier(key.from_columns[0])
            row = self._places.row(seen, schema, table, key.from_columns[0])
            if row is None or not isinstance(row[0], int):
                continue
            band = next((c for c in table.columns if c.name == "band"), None)
            wanted = [c.name for c in (when, band, flux) if c is not None]
            columns = ", ".join(map(identifier, wanted))
            return Example(
                f"Light curve of one {target.name} of {schema.title or schema.name}",
                f"SELECT {columns}\nFROM {name}\nWHERE {column} = {row[0]}\n"
                f"ORDER BY {identifier(when.name)}",
                f"All measurements in {name} of the row of {target.name} that {column} names, "
                "in the order of time.",
            )
        return None

    def _compiles(self, seen: View, example: Example) -> bool:
        try:
            self._views.query(seen, example.query)
        except CerroError:
            return False
        return True


def _cone(schema: Schema, table: TableModel, ra: float, dec: float) -> Example:
    name = qualified(schema.name, table.name)
    columns = ", ".join(identifier(c.name) for c in _shown(table))
    return Example(
        f"Cone in {name}",
        f"SELECT TOP 100 {columns}\nFROM {name}\n"
        f"WHERE 1 = CONTAINS({_point(table)}, CIRCLE('ICRS', {ra}, {dec}, 0.1))",
        f"Rows of {name} within 0.1 degrees of a place (ICRS, degrees).",
    )


def _crossmatch(schema: Schema, a: TableModel, b: TableModel, ra: float, dec: float) -> Example:
    one, two = qualified(schema.name, a.name), qualified(schema.name, b.name)
    apart = f"DISTANCE({_point(a, 'a')}, {_point(b, 'b')})"
    return Example(
        f"Crossmatch of {one} and {two}",
        f"SELECT TOP 100 a.{identifier(a.key[0])}, b.{identifier(b.key[0])} AS matched, "
        f"{apart} AS separation\nFROM {one} AS a\nJOIN {two} AS b ON {apart} < 1 / 3600.0\n"
        f"WHERE 1 = CONTAINS({_point(a, 'a')}, CIRCLE('ICRS', {ra}, {dec}, 0.05))",
        f"Pairs of {one} and {two} within 1 arcsecond; the separation is in degrees.",
    )


def _groups(schema: Schema, table: TableModel, kind: Column) -> Example:
    name, column = qualified(schema.name, table.name), identifier(kind.name)
    return Example(
        f"How many of each {kind.name}",
        f"SELECT {column}, COUNT(*) AS n\nFROM {name}\nGROUP BY {column}\nORDER BY {column}",
        f"Rows of {name} for each value of {column}.",
    )


def _shown(table: TableModel) -> list[Column]:
    """Give the columns of an example: the key, the position and a few of the principal ones."""
    first = [*table.key, table.ra, table.dec]
    others = [c.name for c in table.columns if c.principal and c.name not in first]
    names = [n for n in dict.fromkeys([*first, *others[:4]]) if n is not None]
    return [table.column(name) for name in names]


def _point(table: TableModel, alias: str | None = None) -> str:
    """Write a table's position as ADQL 2.0 has it, so that every client takes it."""
    before = f"{alias}." if alias else ""
    ra, dec = (before + identifier(name or "") for name in (table.ra, table.dec))
    return f"POINT('ICRS', {ra}, {dec})"


def _first(table: TableModel, ucd: str, word: str) -> Column | None:
    """Give the first number that a UCD, or else a word in its name, says to be what is wanted."""
    numbers = [c for c in table.columns if c.datatype in _NUMBERS and c.arraysize is None]
    by_ucd = [c for c in numbers if (c.ucd or "").startswith(ucd)]
    by_name = [c for c in numbers if word in c.name.lower()]
    return next(iter([*by_ucd, *by_name]), None)


def _kind(table: TableModel) -> Column | None:
    """Give a column that is likely to have few different values."""
    fits = [
        c
        for c in table.columns
        if c.datatype in _KINDS
        and c.name not in table.key
        and (c.length is None or c.length <= 16)
        and "meta.id" not in (c.ucd or "")
    ]
    return next((c for c in fits if c.name == "band"), next(iter(fits), None))

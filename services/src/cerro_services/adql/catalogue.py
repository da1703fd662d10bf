"""What a query may name: the tables that one caller may read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cerro_services.adql.columns import from_model
from cerro_services.adql.errors import AdqlError, nearest

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlglot import exp

    from cerro_services.adql.columns import ResultColumn
    from cerro_services.release import Catalog
    from cerro_services.release.model import TableModel


@dataclass(frozen=True, eq=False)
class QueryTable:
    """A table that can be queried.

    Parameters
    ----------
    schema
        Name of its schema: the release's, or ``tap_schema``.
    model
        Its columns, key and position.
    stored
        Where its rows are: the files of a release, or a table in memory.
    """

    schema: str
    model: TableModel
    stored: Catalog | pa.Table

    @property
    def name(self) -> str:
        """Name with its schema, as people write it."""
        return f"{self.schema}.{self.model.name}"

    @cached_property
    def columns(self) -> tuple[ResultColumn, ...]:
        """Its columns as those of a result."""
        return tuple(from_model(column, self.name) for column in self.model.columns)


@dataclass(frozen=True, eq=False)
class Catalogue:
    """All tables that one caller may read.

    Parameters
    ----------
    tables
        The tables; names are unique within a schema.
    """

    tables: tuple[QueryTable, ...]

    @cached_property
    def _by_name(self) -> dict[str, list[QueryTable]]:
        found: dict[str, list[QueryTable]] = {}
        for table in self.tables:
            found.setdefault(table.model.name.lower(), []).append(table)
        return found

    def find(self, parts: Sequence[exp.Identifier], span: tuple[int, int] | None) -> QueryTable:
        """Give the table that a query names.

        Parameters
        ----------
        parts
            Schema (may be left out where the name alone is clear) and table.
        span
            Where the name stands in the query.

        Raises
        ------
        AdqlError
            There is no such table, or more than one.
        """
        written = ".".join(part.name for part in parts)
        found = [
            table
            for table in self._by_name.get(parts[-1].name.lower(), [])
            if same(parts[-1], table.model.name)
            and (len(parts) < 2 or same(parts[-2], table.schema))
            and len(parts) <= 2
        ]
        if not found:
            candidates = [table.name for table in self.tables]
            hint = nearest(written, candidates) or nearest(
                parts[-1].name, [table.model.name for table in self.tables]
            )
            hint += self._elsewhere(parts)
            if parts[-1].args.get("quoted") and "." in parts[-1].name:
                each = ".".join(f'"{part}"' for part in parts[-1].name.split("."))
                hint = f" Quotes go around each part of a name: {each}."
            raise AdqlError(f"There is no table {written}.{hint}", span)
        if len(found) > 1:
            names = " or ".join(table.name for table in found)
            raise AdqlError(f"{written} is not clear. Write {names}.", span)
        return found[0]

    def _elsewhere(self, parts: Sequence[exp.Identifier]) -> str:
        """Say where a table may be whose schema is not here; of all such tables the same."""
        schema = parts[-2].name if len(parts) > 1 else ""
        if not schema or schema.lower() in {table.schema.lower() for table in self.tables}:
            return ""
        kind = schema.lower()
        if kind == "tap_upload":
            name = parts[-1].name
            return f" No table came with the query: send it with UPLOAD={name},param:… ."
        if kind == "mydb":
            return " mydb holds the tables that you keep; it needs your token."
        return " Tables of a group are there for its members only, who send a token."


def same(identifier: exp.Identifier, name: str) -> bool:
    """Whether an identifier of a query names something (ADQL 2.1 §2.1.3).

    Regular identifiers ignore case, delimited ones do not.
    """
    if identifier.args.get("quoted"):
        return bool(identifier.name == name)
    return bool(identifier.name.lower() == name.lower())

"""A query that is ready to run: SQL without storage, its scans, its columns."""

# ruff: noqa: S608 - SQL is what this module writes; every name in it is the model's or its own.

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cerro_services.adql.columns import ResultColumn
from cerro_services.adql.values import written_lists
from cerro_services.adql.zones import resolve

if TYPE_CHECKING:
    from cerro_services.adql.catalogue import QueryTable
    from cerro_services.adql.shapes import Region

MARK = "\0"
"""Encloses the number of a scan in a query's SQL; no query may contain it."""
_SCAN = re.compile(f"{MARK}(\\d+){MARK}")


@dataclass(eq=False)
class Scan:
    """One reading of a stored table.

    Parameters
    ----------
    number
        Place among the query's scans.
    table
        The table.
    columns
        The columns that the query uses.
    regions
        Parts of the sky outside of which no row is asked for; all apply.
    equals
        Columns with the values outside of which no row is asked for; all apply.
    near
        Scans whose rows it is joined to by position, with the distance in degrees.
    joined
        Columns whose values are those of another scan's column: own column, scan, its column; all
        apply.
    any_rows
        Whether any rows will do, as many as TOP asks for.
    """

    number: int
    table: QueryTable
    columns: dict[str, None] = field(default_factory=dict)
    regions: list[Region] = field(default_factory=list)
    equals: list[tuple[str, tuple[int | str, ...]]] = field(default_factory=list)
    near: list[tuple[Scan, float]] = field(default_factory=list)
    joined: list[tuple[str, Scan, str]] = field(default_factory=list)
    any_rows: bool = False

    @property
    def sql(self) -> str:
        """The place of the scan in the query's SQL."""
        return f"{MARK}{self.number}{MARK}"


@dataclass(frozen=True, eq=False)
class Query:
    """A query that an engine can run.

    Parameters
    ----------
    adql
        As it was asked.
    template
        SQL in DuckDB's dialect with a mark for each scan.
    scans
        What it reads.
    columns
        What it gives, in order.
    top
        The rows that TOP asks for; None if the query does not limit them.
    offset
        The rows that OFFSET passes over.
    copied
        The stored columns that it gives, where its rows are those of its one scan that have the
        values of a key, or any; None if something is computed.
    """

    adql: str
    template: str
    scans: tuple[Scan, ...]
    columns: tuple[ResultColumn, ...]
    top: int | None = None
    offset: int = 0
    copied: tuple[str, ...] | None = None

    def needed(self, limit: int | None) -> int | None:
        """Give how many rows must be found to answer; None if all.

        Parameters
        ----------
        limit
            Number of rows to stop after, besides TOP.
        """
        counts = [count for count in (self.top, limit) if count is not None]
        return min(counts) + self.offset if counts else None

    def sql(
        self,
        source: Callable[[Scan], str],
        *,
        limit: int | None = None,
        zones: bool = False,
        lists: bool = True,
    ) -> str:
        """Write the SQL with every scan replaced by what holds its rows.

        Parameters
        ----------
        source
            From a scan to a table expression.
        limit
            Number of rows to stop after, besides TOP.
        zones
            Whether joins by position may use cells of the sky (`cerro_services.adql.zones`), in
            DuckDB's SQL.
        lists
            Whether long lists are written as one value, in DuckDB's SQL.
        """
        sources = [source(scan) for scan in self.scans]
        template = written_lists(resolve(self.template, zones=zones), whole=lists)
        text = _SCAN.sub(lambda match: sources[int(match[1])], template)
        counts = [count for count in (self.top, limit) if count is not None]
        if counts:
            text += f" LIMIT {min(counts):d}"
        return f"{text} OFFSET {self.offset:d}" if self.offset else text

    def counted(self, limit: int) -> Query:
        """Give the query that counts the rows of this one.

        Parameters
        ----------
        limit
            Number of rows to stop counting after.
        """
        counts = [count for count in (self.top, limit) if count is not None]
        inner = f"{self.template} LIMIT {min(counts):d} OFFSET {self.offset:d}"
        template = f"SELECT count(*) AS c0 FROM ({inner})"
        columns = (ResultColumn("count", "long"),)
        return replace(self, template=template, columns=columns, top=None, offset=0, copied=None)

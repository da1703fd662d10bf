"""Rows made to fit the data model, or refused with the file, the column and the row.

What may change on the way in:

- integers of one width become another if every value fits, and numbers if none loses a digit;
- ``double`` becomes ``float`` where the model says float, unless a value is too large for it;
- whole numbers kept as floating point (what pandas makes of integers with gaps) become integers;
- NaN becomes null in every column: VOTable knows no difference, and SQL compares only null rightly;
- text becomes a number, a truth value or a time only from formats that know text alone (CSV, ECSV),
  and a time also from ISO 8601 text of any format;
- times with a zone become UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.release import healpix
from cerro_services.release.arrowtypes import arrow_schema
from cerro_services.release.conversions import Fault, first_row, plain, to_list, to_scalar
from cerro_services.release.errors import DataError
from cerro_services.release.model import SPATIAL_INDEX, Column, TableModel
from cerro_services.release.readers import TableSource


@dataclass(frozen=True)
class Matched:
    """One file, matched with the data model.

    Parameters
    ----------
    source
        The file.
    columns
        For each column of the model, its name in the file.
    ignored
        Columns of the file that the model does not have.
    """

    source: TableSource
    columns: tuple[str, ...]
    ignored: tuple[str, ...]


def match(source: TableSource, table: TableModel) -> Matched:
    """Find the columns of the data model in a file.

    Parameters
    ----------
    source
        The file.
    table
        The data model.

    Returns
    -------
    Matched
        The file with its columns found.

    Raises
    ------
    DataError
        A column is missing.
    """
    names = [field.name for field in source.fields]
    wanted = [column.name for column in table.columns if column.name != SPATIAL_INDEX]
    missing = [name for name in wanted if name not in names]
    if missing:
        folded = {name.casefold(): name for name in names}
        near = folded.get(missing[0].casefold()) or next(
            iter(get_close_matches(missing[0], names, 1)), None
        )
        others = f" (and {len(missing) - 1} more: {', '.join(missing[1:6])})" if missing[1:] else ""
        raise DataError(
            f"the schema has column {missing[0]}{others}, but the file has no such column"
            + (f"; it has {near!r}" if near else "")
            + ". Rename it in the file or in the schema, or take it out of the schema.",
            file=source.path,
            column=missing[0],
        )
    known = {*wanted, SPATIAL_INDEX}
    return Matched(source, tuple(wanted), tuple(n for n in names if n not in known))


class Conformer:
    """Makes the rows of a file fit a table of the data model.

    Parameters
    ----------
    table
        The data model.
    """

    def __init__(self, table: TableModel) -> None:
        self.table = table
        self.schema = arrow_schema(table)
        self._columns = {column.name: column for column in table.columns}

    def batches(self, matched: Matched) -> Iterator[pa.RecordBatch]:
        """Read a file and give its rows as they will be stored, ``_healpix_29`` included.

        Parameters
        ----------
        matched
            The file.

        Yields
        ------
        pyarrow.RecordBatch
            With the schema of `arrow_schema`, in the order of the file.

        Raises
        ------
        DataError
            A value does not fit, with file, column, row and value.
        """
        done = 0
        for raw in matched.source.batches(matched.columns):
            cells = {
                name: self._fit(raw.column(i), self._columns[name], matched.source, done)
                for i, name in enumerate(matched.columns)
            }
            if self.table.ra is not None and self.table.dec is not None:
                cells[SPATIAL_INDEX] = self._positions(cells, matched.source.path, done)
            yield pa.RecordBatch.from_arrays(
                [cells[field.name] for field in self.schema], schema=self.schema
            )
            done += raw.num_rows

    def _positions(self, cells: dict[str, pa.Array], path: Path, done: int) -> pa.Array:
        assert self.table.ra is not None
        assert self.table.dec is not None
        for name, low, high in ((self.table.ra, 0.0, 360.0), (self.table.dec, -90.0, 90.0)):
            values = cells[name]
            bad = pc.invert(pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high)))
            if pc.any(bad).as_py():
                row = first_row(bad) or 0
                raise DataError(
                    f"a position must be in degrees from {low:g} to {high:g}",
                    file=path,
                    column=name,
                    row=done + row + 1,
                    value=values[row].as_py(),
                )
        ra, dec = (
            cells[n].cast(pa.float64()).to_numpy(zero_copy_only=False)
            for n in (self.table.ra, self.table.dec)
        )
        return pa.array(healpix.cells(ra, dec))

    def _fit(self, values: pa.Array, column: Column, source: TableSource, done: int) -> pa.Array:
        want = self.schema.field(column.name).type
        fault = Fault(column, source, done, values)
        values = plain(values)
        if pa.types.is_nested(want):
            fitted = to_list(values, want, fault)
        else:
            fitted = to_scalar(values, want, fault)
        if pa.types.is_floating(want) and (nan := pc.is_nan(fitted)).true_count:
            fitted = pc.if_else(nan, pa.scalar(None, want), fitted)
        if fitted.null_count and not self.schema.field(column.name).nullable:
            if source.is_text and pa.types.is_string(want) and column.name not in self.table.key:
                # CSV cannot tell no value from an empty text.
                return pc.fill_null(fitted, "")
            fault.refuse(
                "has no value (null or NaN), which the schema does not allow here",
                pc.is_null(fitted),
            )
        if column.length and pa.types.is_string(want) and column.datatype != "text":
            longer = pc.greater(pc.utf8_length(fitted), column.length)
            if pc.any(longer).as_py():
                fault.refuse(f"is longer than the {column.length} characters of the schema", longer)
        return fitted

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

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.release import healpix
from cerro_services.release.arrowtypes import arrow_schema, arrow_type
from cerro_services.release.errors import DataError
from cerro_services.release.model import SPATIAL_INDEX, Column, TableModel
from cerro_services.release.readers import TableSource

_TRUTHS = pa.array(["true", "t", "1", "yes", "y"])
_LIES = pa.array(["false", "f", "0", "no", "n"])
_NOTHING = pa.array(["", "null", "none", "nan", "na", "n/a"])
_TIMES = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?(Z|[+-]\d{2}:?\d{2})?$"


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
                row = _first(bad)
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
        fault = _Fault(column, source, done, values)
        values = _plain(values)
        if pa.types.is_nested(want):
            fitted = _to_list(values, want, fault)
        else:
            fitted = _to_scalar(values, want, fault)
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


@dataclass(frozen=True)
class _Fault:
    column: Column
    source: TableSource
    done: int
    values: pa.Array

    def refuse(self, problem: str, where: pa.Array) -> None:
        """Raise the error of the first row that `where` marks."""
        row = _first(where)
        raise DataError(
            problem,
            file=self.source.path,
            column=self.column.name,
            row=self.done + row + 1,
            value=self.values[row].as_py(),
        )

    def wrong_type(self, have: pa.DataType) -> DataError:
        """Give the error of a column whose type does not fit at all."""
        return DataError(
            f"the file has type {have}, the schema {self.column.datatype}. Change one of the two.",
            file=self.source.path,
            column=self.column.name,
        )


def _first(mask: pa.Array) -> int:
    return int(np.flatnonzero(pc.fill_null(mask, True).to_numpy(zero_copy_only=False))[0])


def _plain(values: pa.Array) -> pa.Array:
    """Undo encodings that the stored column does not have."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    if pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return values.cast(pa.binary())
    return values.cast(pa.float32()) if pa.types.is_float16(kind) else values


def _to_scalar(values: pa.Array, want: pa.DataType, fault: _Fault) -> pa.Array:
    have = values.type
    if pa.types.is_null(have):
        return values.cast(want)
    if pa.types.is_string(have):
        if pa.types.is_string(want):
            return pc.if_else(pc.equal(values, ""), None, values) if _blank(fault) else values
        if pa.types.is_binary(want):
            return values.cast(want)
        if fault.source.is_text or pa.types.is_timestamp(want):
            return _parse(values, want, fault)
        raise fault.wrong_type(have)
    if have == want:
        return values
    for accepts, convert in _CONVERSIONS:
        if accepts(have, want):
            return convert(values, want, fault)
    raise fault.wrong_type(have)


def _blank(fault: _Fault) -> bool:
    return fault.source.empty_is_null and fault.column.nullable


def _parse(texts: pa.Array, want: pa.DataType, fault: _Fault) -> pa.Array:
    texts = pc.utf8_trim_whitespace(texts)
    lower = pc.utf8_lower(texts)
    texts = pc.if_else(pc.is_in(lower, _NOTHING), pa.scalar(None, pa.string()), texts)
    if pa.types.is_boolean(want):
        truth, lie = pc.is_in(lower, _TRUTHS), pc.is_in(lower, _LIES)
        known = pc.or_(pc.or_(truth, lie), pc.is_null(texts))
        if not pc.all(known).as_py():
            fault.refuse("is neither true nor false", pc.invert(known))
        return pc.if_else(pc.is_null(texts), pa.scalar(None, pa.bool_()), truth)
    if pa.types.is_timestamp(want):
        return _parse_times(texts, want, fault)
    try:
        return texts.cast(want)
    except pa.ArrowInvalid:
        if pa.types.is_integer(want):
            # "12.0" is a whole number that some tool kept as floating point.
            numbers = _cast_each(texts, pa.float64())
            if pc.all(pc.equal(pc.is_null(numbers), pc.is_null(texts))).as_py():
                return _float_to_integer(numbers, want, fault)
        bad = pc.xor(pc.is_null(_cast_each(texts, want)), pc.is_null(texts))
        sexagesimal = pc.match_substring_regex(texts, r"^[+-]?\d+[: hd]\s*\d+[: m]")
        first = _first(bad)
        hint = "; it looks sexagesimal: give decimal degrees" if sexagesimal[first].as_py() else ""
        fault.refuse(f"is no {fault.column.datatype}{hint}", bad)
        raise


def parses(texts: pa.Array, datatype: str) -> bool:
    """Tell whether all texts can be read as a Felis type; used to draft schemas."""
    lower = pc.utf8_lower(pc.utf8_trim_whitespace(texts))
    known = pc.or_(pc.is_in(lower, _NOTHING), pc.is_null(texts))
    rest = lower.filter(pc.invert(known))
    if datatype == "boolean":
        return bool(pc.all(pc.or_(pc.is_in(rest, _TRUTHS), pc.is_in(rest, _LIES))).as_py())
    if datatype == "timestamp":
        return bool(pc.all(pc.match_substring_regex(pc.utf8_upper(rest), _TIMES)).as_py())
    try:
        rest.cast(arrow_type(Column("", datatype)))
    except pa.ArrowInvalid:
        return False
    return True


def _cast_each(texts: pa.Array, want: pa.DataType) -> pa.Array:
    """Cast text by text, with null for what is none; slow, for finding a fault."""
    out = []
    for text in texts:
        try:
            out.append(text.cast(want).as_py())
        except pa.ArrowInvalid:
            out.append(None)
    return pa.array(out, want)


def _parse_times(texts: pa.Array, want: pa.DataType, fault: _Fault) -> pa.Array:
    valid = pc.or_(pc.is_null(texts), pc.fill_null(pc.match_substring_regex(texts, _TIMES), True))
    if not pc.all(valid).as_py():
        fault.refuse("is no time in ISO 8601", pc.invert(valid))
    zoned = pc.match_substring_regex(texts, r"(Z|\d[+-]\d{2}:?\d{2})$")
    try:
        if not pc.any(zoned).as_py():
            return texts.cast(pa.timestamp("ns")).cast(want, safe=False)
        utc = pc.if_else(zoned, texts, pc.binary_join_element_wise(texts, "Z", ""))
        return utc.cast(pa.timestamp("ns", "UTC")).cast(want, safe=False)
    except pa.ArrowInvalid:
        bad = pc.xor(pc.is_null(_cast_each(texts, want)), pc.is_null(texts))
        fault.refuse("is no time in ISO 8601", bad)
        raise


def _to_list(values: pa.Array, want: pa.DataType, fault: _Fault) -> pa.Array:
    have = values.type
    if not (
        pa.types.is_list(have) or pa.types.is_fixed_size_list(have) or pa.types.is_large_list(have)
    ):
        raise fault.wrong_type(have)
    if not (pa.types.is_floating(want.value_type) or pa.types.is_integer(want.value_type)):
        raise fault.wrong_type(have)
    try:
        return values.cast(want, safe=not pa.types.is_floating(want.value_type))
    except pa.ArrowInvalid:
        for row in range(len(values)):
            try:
                values.slice(row, 1).cast(want)
            except pa.ArrowInvalid:
                marks = np.zeros(len(values), bool)
                marks[row] = True
                fault.refuse(
                    f"does not fit {fault.column.datatype}[{fault.column.arraysize}]",
                    pa.array(marks),
                )
        raise


def _checked(values: pa.Array, want: pa.DataType, fault: _Fault) -> pa.Array:
    """Cast integers where every value must survive."""
    try:
        return values.cast(want)
    except pa.ArrowInvalid:
        back = values.cast(want, safe=False).cast(values.type, safe=False)
        wrong = pc.fill_null(pc.not_equal(back, values), False)
        if not pc.any(wrong).as_py():
            # Turning a sign survives the way back: 2^64 - 1 and -1 share their bits.
            wrong = pc.fill_null(pc.less(values.cast(pa.float64(), safe=False), 0), False)
            if not pc.any(wrong).as_py():
                wrong = pc.greater(values.cast(pa.float64(), safe=False), 2.0**62)
        fault.refuse(f"does not fit {fault.column.datatype}", wrong)
        raise


def _narrowed(values: pa.Array, want: pa.DataType, fault: _Fault) -> pa.Array:
    fitted = values.cast(want, safe=False)
    lost = pc.and_(pc.is_inf(fitted), pc.is_finite(values))
    if pc.any(lost).as_py():
        fault.refuse("is too large for float; make the column double", lost)
    return fitted


def _float_to_integer(values: pa.Array, want: pa.DataType, fault: _Fault) -> pa.Array:
    values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    broken = pc.fill_null(pc.not_equal(pc.floor(values), values), False)
    if pc.any(broken).as_py():
        fault.refuse(f"is no whole number, and the schema says {fault.column.datatype}", broken)
    try:
        return values.cast(want)
    except pa.ArrowInvalid:
        bits = want.bit_width
        low, high = (
            (0, 2.0**bits)
            if str(want).startswith("u")
            else (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1))
        )
        outside = pc.or_(pc.less(values, low), pc.greater_equal(values, high))
        fault.refuse(f"does not fit {fault.column.datatype}", pc.fill_null(outside, False))
        raise


def _flags(values: pa.Array, want: pa.DataType, fault: _Fault) -> pa.Array:
    wrong = pc.fill_null(pc.greater(values.cast(pa.uint64(), safe=False), 1), False)
    if pc.any(wrong).as_py():
        fault.refuse("is neither 0 nor 1, and the schema says boolean", wrong)
    return values.cast(want)


def _to_utc(values: pa.Array, want: pa.DataType, _fault: _Fault) -> pa.Array:
    return values.cast(want, safe=False)


_Accepts = Callable[[pa.DataType, pa.DataType], bool]
_Convert = Callable[[pa.Array, pa.DataType, _Fault], pa.Array]


def _pair(have: Callable[[Any], bool], want: Callable[[Any], bool]) -> _Accepts:
    return lambda h, w: bool(have(h) and want(w))


_t = pa.types
_CONVERSIONS: Sequence[tuple[_Accepts, _Convert]] = (
    (_pair(_t.is_integer, _t.is_integer), _checked),
    (_pair(_t.is_integer, _t.is_floating), _checked),
    (_pair(_t.is_integer, _t.is_boolean), _flags),
    (_pair(_t.is_floating, _t.is_floating), _narrowed),
    (_pair(_t.is_floating, _t.is_integer), _float_to_integer),
    (_pair(_t.is_decimal, _t.is_floating), _to_utc),
    (_pair(lambda h: _t.is_timestamp(h) or _t.is_date(h), _t.is_timestamp), _to_utc),
    (_pair(_t.is_binary, _t.is_string), _checked),
)

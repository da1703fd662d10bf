"""One column of values made to have the type of the data model, or refused by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.release.arrowtypes import arrow_type
from cerro_services.release.errors import DataError
from cerro_services.release.model import Column
from cerro_services.release.readers import TableSource

_TRUTHS = pa.array(["true", "t", "1", "yes", "y"])
_LIES = pa.array(["false", "f", "0", "no", "n"])
_NOTHING = pa.array(["", "null", "none", "nan", "na", "n/a"])
_TIMES = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?(Z|[+-]\d{2}:?\d{2})?$"


@dataclass(frozen=True)
class Fault:
    """Where values come from, to name the one that is refused.

    Parameters
    ----------
    column
        The column of the data model.
    source
        The file.
    done
        Rows of the file that came before these values.
    values
        The values as they are in the file.
    """

    column: Column
    source: TableSource
    done: int
    values: pa.Array

    def refuse(self, problem: str, where: pa.Array) -> NoReturn:
        """Raise the error of the first row that `where` marks."""
        row = first_row(where)
        raise DataError(
            problem,
            file=self.source.path,
            column=self.column.name,
            row=None if row is None else self.done + row + 1,
            value=None if row is None else self.values[row].as_py(),
        )

    def wrong_type(self, have: pa.DataType) -> DataError:
        """Give the error of a column whose type does not fit at all."""
        return DataError(
            f"the file has type {have}, the schema {self.column.datatype}. Change one of the two.",
            file=self.source.path,
            column=self.column.name,
        )


def first_row(mask: pa.Array) -> int | None:
    """Give the first row that a mask marks; None if there is none."""
    row = pc.index(mask, True).as_py()
    return None if row < 0 else int(row)


def plain(values: pa.Array) -> pa.Array:
    """Undo encodings that the stored column does not have."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    if pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return values.cast(pa.binary())
    return values.cast(pa.float32()) if pa.types.is_float16(kind) else values


def to_scalar(values: pa.Array, want: pa.DataType, fault: Fault) -> pa.Array:
    """Make values a column of single values.

    Parameters
    ----------
    values
        As `plain` gives them.
    want
        The type of the data model.
    fault
        Names what is refused.

    Returns
    -------
    pyarrow.Array
        The values, of type `want`.

    Raises
    ------
    DataError
        The type does not fit at all, or a value does not.
    """
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


def _blank(fault: Fault) -> bool:
    return fault.source.empty_is_null and fault.column.nullable


def _parse(texts: pa.Array, want: pa.DataType, fault: Fault) -> pa.Array:
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
        # The hint is for the row that is named.
        first = first_row(bad)
        looks_so = first is not None and sexagesimal[first].as_py()
        hint = "; it looks sexagesimal: give decimal degrees" if looks_so else ""
        fault.refuse(f"is no {fault.column.datatype}{hint}", bad)


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


def _parse_times(texts: pa.Array, want: pa.DataType, fault: Fault) -> pa.Array:
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


def to_list(values: pa.Array, want: pa.DataType, fault: Fault) -> pa.Array:
    """Make values a column of arrays of numbers; parameters and errors as for `to_scalar`."""
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


def _checked(values: pa.Array, want: pa.DataType, fault: Fault) -> pa.Array:
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


def _narrowed(values: pa.Array, want: pa.DataType, fault: Fault) -> pa.Array:
    fitted = values.cast(want, safe=False)
    lost = pc.and_(pc.is_inf(fitted), pc.is_finite(values))
    if pc.any(lost).as_py():
        fault.refuse("is too large for float; make the column double", lost)
    return fitted


def _float_to_integer(values: pa.Array, want: pa.DataType, fault: Fault) -> pa.Array:
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


def _flags(values: pa.Array, want: pa.DataType, fault: Fault) -> pa.Array:
    wrong = pc.fill_null(pc.greater(values.cast(pa.uint64(), safe=False), 1), False)
    if pc.any(wrong).as_py():
        fault.refuse("is neither 0 nor 1, and the schema says boolean", wrong)
    return values.cast(want)


def _to_utc(values: pa.Array, want: pa.DataType, _fault: Fault) -> pa.Array:
    return values.cast(want, safe=False)


def _decoded(values: pa.Array, want: pa.DataType, fault: Fault) -> pa.Array:
    try:
        return values.cast(want)
    except pa.ArrowInvalid:
        bad = [v is not None and not _is_utf8(v) for v in values.to_pylist()]
        fault.refuse("is text that is not UTF-8", pa.array(bad))


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


_Accepts = Callable[[pa.DataType, pa.DataType], bool]
_Convert = Callable[[pa.Array, pa.DataType, Fault], pa.Array]


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
    (_pair(_t.is_binary, _t.is_string), _decoded),
)

"""Columns of a result as every format needs them: a complete description and plain Arrow types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.adql import ResultColumn

ARROW: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "unsignedByte": pa.uint8(),
    "short": pa.int16(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "char": pa.string(),
    "unicodeChar": pa.string(),
}


@dataclass(frozen=True)
class Field:
    """One column of a result.

    Parameters
    ----------
    column
        Its description; the datatype is known.
    type
        The Arrow type that `conform` gives it.
    """

    column: ResultColumn
    type: pa.DataType

    @property
    def is_list(self) -> bool:
        """Whether each row has a number of values."""
        return bool(pa.types.is_list(self.type))


def describe(columns: Sequence[ResultColumn], schema: pa.Schema) -> tuple[Field, ...]:
    """Complete the description of columns by what the engine gives.

    Parameters
    ----------
    columns
        What the query says of them.
    schema
        What the engine gives, in the same order.
    """
    return tuple(_field(c, t.type) for c, t in zip(columns, schema, strict=True))


def conform(batch: pa.RecordBatch, fields: Sequence[Field]) -> list[pa.Array]:
    """Bring a batch to the types of its fields.

    Parameters
    ----------
    batch
        Rows as the engine gives them.
    fields
        What they are to be.

    Returns
    -------
    list of pyarrow.Array
        One array a field; strings as `string`, times as ISO 8601.
    """
    return [_conformed(batch.column(i), field) for i, field in enumerate(fields)]


@lru_cache(8192)
def _field(column: ResultColumn, given: pa.DataType) -> Field:
    if (
        pa.types.is_list(given)
        or pa.types.is_fixed_size_list(given)
        or pa.types.is_large_list(given)
    ):
        inner = _field(replace(column, arraysize=None, datatype=None), given.value_type)
        arraysize = column.arraysize or "*"
        return Field(
            replace(inner.column, arraysize=arraysize, xtype=column.xtype), pa.list_(inner.type)
        )
    datatype = column.datatype if column.datatype in ARROW else None
    if pa.types.is_temporal(given):
        column = replace(
            column, datatype="char", arraysize=column.arraysize or "*", xtype="timestamp"
        )
        return Field(column, pa.string())
    if datatype is None or not _fits(given, ARROW[datatype]):
        datatype = _datatype(given)
        strings = datatype in {"char", "unicodeChar"}
        column = replace(column, datatype=datatype, arraysize="*" if strings else None)
    if pa.types.is_binary(given) or pa.types.is_large_binary(given):
        column = replace(column, datatype="unsignedByte", arraysize="*")
        return Field(column, pa.list_(pa.uint8()))
    return Field(column, ARROW[column.datatype or "char"])


def _fits(given: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values of one type go into another without loss (numbers), or at all (the rest)."""
    if given == wanted:
        return True
    if pa.types.is_boolean(wanted) or pa.types.is_boolean(given):
        return False
    if pa.types.is_integer(given) and pa.types.is_integer(wanted):
        return True
    if pa.types.is_floating(wanted):
        return bool(
            pa.types.is_floating(given) or pa.types.is_decimal(given) or pa.types.is_integer(given)
        )
    if pa.types.is_string(wanted):
        return not (
            pa.types.is_integer(given) or pa.types.is_floating(given) or pa.types.is_decimal(given)
        )
    return False


def _datatype(given: pa.DataType) -> str:
    if pa.types.is_boolean(given):
        return "boolean"
    if pa.types.is_uint8(given):
        return "unsignedByte"
    if pa.types.is_int8(given) or pa.types.is_int16(given):
        return "short"
    if pa.types.is_int32(given) or pa.types.is_uint16(given) or pa.types.is_null(given):
        return "int"
    if pa.types.is_integer(given):
        return "long"
    if pa.types.is_float32(given) or pa.types.is_float16(given):
        return "float"
    if pa.types.is_floating(given) or pa.types.is_decimal(given):
        return "double"
    return "char"


def _conformed(array: pa.Array, field: Field) -> pa.Array:
    given = array.type
    if given == field.type:
        return array
    if pa.types.is_temporal(given):
        return _iso(array)
    if field.is_list:
        if pa.types.is_binary(given) or pa.types.is_large_binary(given):
            return pa.array(
                [None if value is None else list(value) for value in array.to_pylist()], field.type
            )
        return array.cast(field.type)
    if pa.types.is_string(field.type) and not pa.types.is_large_string(given):
        return array.cast(pa.string())
    # An expression may leave the declared integer type (a sum of shorts); NULL is no answer then.
    return array.cast(field.type, safe=True)


def _iso(array: pa.Array) -> pa.Array:
    """Write times as DALI has them: YYYY-MM-DDThh:mm:ss[.ffffff] in UTC (§3.3.3)."""
    if pa.types.is_date(array.type):
        return pc.strftime(array, "%Y-%m-%d")
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("us"))
        text = pc.strftime(array, "%Y-%m-%dT%H:%M:%S")
        # Whole seconds are written without a fraction.
        return pc.replace_substring_regex(text, r"\.0+$", "")
    return array.cast(pa.string())

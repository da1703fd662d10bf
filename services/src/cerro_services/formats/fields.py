"""Columns of a result as every format needs them: a complete description and plain Arrow types."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import pyarrow as pa

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
STRINGS = ("char", "unicodeChar")


@dataclass(frozen=True)
class Field:
    """One column of a result.

    Parameters
    ----------
    column
        Its description; the datatype is known.
    type
        The Arrow type that `conform` gives it.
    null
        The value that stands for none where a format has no other way to say so.
    """

    column: ResultColumn
    type: pa.DataType
    null: int | None = None

    @property
    def is_list(self) -> bool:
        """Whether each row has a number of values."""
        return bool(pa.types.is_list(self.type))

    @property
    def is_text(self) -> bool:
        """Whether each row has a text."""
        return bool(pa.types.is_string(self.type))

    @property
    def length(self) -> int | None:
        """Number of values or characters of every row; None if rows differ."""
        size = self.column.arraysize
        if size is None:
            return 1
        return None if size.endswith("*") else math.prod(int(part) for part in size.split("x"))

    @property
    def inner(self) -> Field:
        """One value of an array."""
        return Field(replace(self.column, arraysize=None), self.type.value_type, self.null)


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


@lru_cache(8192)
def _field(column: ResultColumn, given: pa.DataType) -> Field:
    if is_list(given) and is_list(given.value_type) and "x" in (column.arraysize or ""):
        # An array of more dimensions is one of all its values, in their order (VOTable 1.4 §2.2).
        given = pa.list_(given.value_type.value_type)
    if is_list(given) and _is_plain(given.value_type):
        inner = _field(replace(column, arraysize=None, datatype=None), given.value_type)
        size = column.arraysize or (
            str(given.list_size) if pa.types.is_fixed_size_list(given) else "*"
        )
        if "x" in size and size.endswith("*"):
            # Readers do not agree on what the length before such an array counts.
            size = "*"
        described = replace(inner.column, arraysize=size, xtype=column.xtype)
        return Field(described, pa.list_(inner.type))
    if pa.types.is_temporal(given):
        size = column.arraysize or "*"
        dated = pa.types.is_timestamp(given) or pa.types.is_date(given)
        xtype = "timestamp" if dated else None
        return Field(replace(column, datatype="char", arraysize=size, xtype=xtype), pa.string())
    if is_bytes(given):
        # A mere sequence of bytes is no text.
        described = replace(column, datatype="unsignedByte", arraysize=column.arraysize or "*")
        return Field(described, pa.list_(pa.uint8()))
    datatype = column.datatype if column.datatype in ARROW else None
    if datatype is None or not _fits(given, ARROW[datatype]):
        datatype = _datatype(given)
        column = replace(column, datatype=datatype, arraysize="*" if datatype in STRINGS else None)
    return Field(column, ARROW[datatype])


def is_list(given: pa.DataType) -> bool:
    """Whether a type of the engine has a number of values in each row."""
    return bool(
        pa.types.is_list(given)
        or pa.types.is_fixed_size_list(given)
        or pa.types.is_large_list(given)
    )


def is_bytes(given: pa.DataType) -> bool:
    """Whether a type of the engine is a sequence of bytes."""
    return bool(
        pa.types.is_binary(given)
        or pa.types.is_large_binary(given)
        or pa.types.is_fixed_size_binary(given)
    )


def _is_plain(given: pa.DataType) -> bool:
    """Whether arrays of a type are arrays of VOTable: of numbers or booleans."""
    return bool(
        pa.types.is_integer(given)
        or pa.types.is_floating(given)
        or pa.types.is_decimal(given)
        or pa.types.is_boolean(given)
        or pa.types.is_null(given)
    )


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

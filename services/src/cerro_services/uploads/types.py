"""Types of columns: as Arrow gives them, as they are held, as Felis and VOTable name them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from cerro_services.release import Column

ARROW: Sequence[tuple[pa.DataType, str, pa.DataType]] = (
    (pa.bool_(), "boolean", pa.bool_()),
    (pa.int8(), "short", pa.int16()),
    (pa.uint8(), "byte", pa.uint8()),
    (pa.int16(), "short", pa.int16()),
    (pa.uint16(), "int", pa.int32()),
    (pa.int32(), "int", pa.int32()),
    (pa.uint32(), "long", pa.int64()),
    (pa.int64(), "long", pa.int64()),
    (pa.uint64(), "long", pa.int64()),
    (pa.float16(), "float", pa.float32()),
    (pa.float32(), "float", pa.float32()),
    (pa.float64(), "double", pa.float64()),
)


def arrow_of(column: Column) -> pa.DataType:
    """Give the type in which the values of a column are held.

    Parameters
    ----------
    column
        As `Columns.settled` gives it.
    """
    if column.datatype in {"char", "unicode"}:
        return pa.string()
    if column.datatype == "binary":
        return pa.binary()
    if column.datatype == "timestamp":
        return pa.timestamp("us")
    scalar = next(stored for _, name, stored in ARROW if name == column.datatype)
    if column.arraysize is None:
        return scalar
    return (
        pa.list_(scalar, int(column.arraysize)) if column.arraysize.isdigit() else pa.list_(scalar)
    )


def width_of(column: Column) -> int | None:
    """Give the bytes that a text may have by its description, if it says."""
    if column.datatype not in {"char", "unicode"} or column.arraysize is None:
        return None
    digits = column.arraysize.removesuffix("*")
    return int(digits) if digits else None


def stored(kind: pa.DataType) -> pa.DataType:
    """Give the type in which values are held."""
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(stored(kind.value_type), kind.list_size)
    if is_list(kind):
        return pa.list_(stored(kind.value_type))
    if pa.types.is_decimal(kind):
        return pa.float64()
    return next((stored for given, _, stored in ARROW if given == kind), kind)


def is_list(kind: pa.DataType) -> bool:
    """Whether a type holds several values in a row."""
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )

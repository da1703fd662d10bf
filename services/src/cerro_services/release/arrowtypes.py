"""Felis types as Arrow types: how each column of the data model is stored."""

from __future__ import annotations

import re

import pyarrow as pa

from cerro_services.release.errors import SchemaError
from cerro_services.release.model import SPATIAL_INDEX, Column, TableModel

_SCALARS: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "byte": pa.uint8(),
    "short": pa.int16(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "char": pa.string(),
    "string": pa.string(),
    "unicode": pa.string(),
    "text": pa.string(),
    "timestamp": pa.timestamp("us"),
    "binary": pa.binary(),
}
_BLOBS = frozenset({"char", "string", "unicode", "text", "timestamp", "binary"})


def arrow_type(column: Column) -> pa.DataType:
    """Give the Arrow type that a column is stored as.

    Numbers with a VOTable arraysize become lists: of fixed length for ``n``, else of any.

    Raises
    ------
    SchemaError
        The arraysize has more than one dimension.
    """
    scalar = _SCALARS[column.datatype]
    if column.datatype in _BLOBS or column.arraysize in {None, "1"}:
        return scalar
    if match := re.fullmatch(r"(\d+)(\*?)|\*", str(column.arraysize)):
        fixed = match[1] and not match[2]
        return pa.list_(scalar, int(match[1])) if fixed else pa.list_(scalar)
    raise SchemaError(
        f"Column {column.name}: arraysize {column.arraysize!r} is not supported; "
        "arrays have one dimension."
    )


def arrow_schema(table: TableModel) -> pa.Schema:
    """Give the Arrow schema that a table is stored as.

    The unit, UCD and description of a column travel as metadata of its field. A table with
    positions begins with ``_healpix_29``, unless the data model lists that column itself.
    """
    fields = [
        pa.field(
            column.name,
            arrow_type(column),
            nullable=column.nullable and column.name not in {table.ra, table.dec, *table.key},
            metadata={
                key: value
                for key, value in (
                    ("unit", column.unit),
                    ("ucd", column.ucd),
                    ("description", column.description),
                )
                if value
            },
        )
        for column in table.columns
        if column.name != SPATIAL_INDEX
    ]
    if table.ra is not None:
        fields.insert(0, pa.field(SPATIAL_INDEX, pa.int64(), nullable=False))
    return pa.schema(fields)

"""Result documents into astropy tables.

Parquet is read by pyarrow, about a hundred times faster than astropy reads a VOTable; what Parquet
lacks (units, UCDs, descriptions, overflow) comes from the VOTable that travels in the file's
metadata (VOParquet 1.0).
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy import units as u
from astropy.table import Column, MaskedColumn, Table

from cerro.errors import UnexpectedAnswerError
from cerro.votable import FieldInfo, Header, read_header

type _Array = np.ndarray[Any, Any]

_CONTENT = b"IVOA.VOTable-Parquet.content"
_BROKEN_OFF = (
    "The answer broke off: the query failed on the server while it ran. Try again, or ask for less."
)


def from_parquet(content: bytes) -> Table:
    """Make a table of Parquet with VOTable metadata.

    Parameters
    ----------
    content
        The file.

    Returns
    -------
    astropy.table.Table
        Nulls are masked; ``meta["overflow"]`` tells whether the server cut the rows.

    Raises
    ------
    UnexpectedAnswerError
        If the file is not whole.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        arrow = file.read()
    except pa.ArrowInvalid as error:
        raise UnexpectedAnswerError(_BROKEN_OFF) from error
    header = (file.metadata.metadata or {}).get(_CONTENT)
    described = read_header(header) if header else Header((), overflow=False)
    table = Table(masked=False)
    for position, (name, data) in enumerate(zip(arrow.column_names, arrow.columns, strict=True)):
        column = _column(data, name)
        if len(described.fields) == arrow.num_columns:
            _describe(column, described.fields[position])
        table.add_column(column)
    table.meta["overflow"] = described.overflow
    return table


def from_votable(content: bytes) -> Table:
    """Make a table of a VOTable, for servers that offer no Parquet.

    Parameters
    ----------
    content
        The document.

    Returns
    -------
    astropy.table.Table
        Nulls are masked; ``meta["overflow"]`` tells whether the server cut the rows.
    """
    from astropy.io.votable import parse

    document = parse(io.BytesIO(content), verify="ignore")
    table: Table = document.get_first_table().to_table(use_names_over_ids=True)
    notes = [note for resource in document.resources for note in resource.infos]
    table.meta.clear()
    table.meta["overflow"] = any(
        note.name == "QUERY_STATUS" and note.value == "OVERFLOW" for note in notes
    )
    return table


def _describe(column: Column, field: FieldInfo) -> None:
    if field.unit:
        column.unit = u.Unit(field.unit, format="vounit", parse_strict="silent")
    column.description = field.description
    for key in ("ucd", "utype", "xtype"):
        value = getattr(field, key)
        if value:
            column.meta[key] = value


def _column(data: pa.ChunkedArray, name: str) -> Column:
    kind = data.type
    if pa.types.is_dictionary(kind):
        data = data.cast(kind.value_type)
        kind = data.type
    if pa.types.is_decimal(kind):
        data = data.cast(pa.float64())
        kind = data.type
    null = data.is_null().to_numpy() if data.null_count else None
    values = _values(data, kind)
    if null is None:
        return Column(values, name=name)
    return MaskedColumn(values, name=name, mask=null)


def _values(data: pa.ChunkedArray, kind: pa.DataType) -> _Array:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        text = data.fill_null("") if data.null_count else data
        words: _Array = text.to_numpy()
        return words.astype(np.str_) if len(words) else np.zeros(0, dtype="U1")
    if pa.types.is_null(kind):
        return np.zeros(len(data))
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        boxed = np.empty(len(data), dtype=object)
        boxed[:] = [
            np.asarray(item) if isinstance(item, list) else item for item in data.to_pylist()
        ]
        return boxed
    if pa.types.is_temporal(kind):
        moments: _Array = data.to_numpy()
        return moments
    if data.null_count:
        # Filled first: pyarrow would turn integers with nulls into floats and lose digits.
        data = data.fill_null(pa.scalar(0, pa.int8()).cast(kind))
    values: _Array = data.to_numpy()
    return values if values.flags.writeable else values.copy()

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
import pyarrow.compute as pc
import pyarrow.parquet as pq
from astropy import units as u
from astropy.table import Column, MaskedColumn, Table

from cerro.errors import UnexpectedAnswerError
from cerro.votable import FieldInfo, Header, read_header

type _Array = np.ndarray[Any, Any]

_CONTENT = b"IVOA.VOTable-Parquet.content"
_PADDED_WIDTH = 256
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
    elif pa.types.is_decimal(kind):
        data = data.cast(pa.float64())
    array = data.combine_chunks()
    values = _values(array)
    if not array.null_count:
        return Column(values, name=name)
    null = np.from_dlpack(array.is_null().cast(pa.uint8())).view(np.bool_)
    if values.dtype.kind in "biuf":
        values[null] = 0
    return MaskedColumn(values, name=name, mask=null)


def _values(array: pa.Array) -> _Array:
    """Give the values of an array; under a null lies anything.

    Buffers are taken as they are. pyarrow's own conversions import pandas, which takes longer than
    everything else here, and turn integers with nulls into floats, which lose digits.
    """
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _words(array)
    if pa.types.is_null(kind):
        return np.zeros(len(array))
    if pa.types.is_timestamp(kind):
        return _numbers(array, pa.int64()).view(f"M8[{kind.unit}]")
    if pa.types.is_date32(kind):
        return _numbers(array, pa.int32()).astype("M8[D]")
    if pa.types.is_boolean(kind):
        return _numbers(array, pa.uint8()).view(np.bool_)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _numbers(array, kind)
    boxed = np.empty(len(array), dtype=object)
    items = array.to_pylist()
    boxed[:] = [np.asarray(item) if isinstance(item, list) else item for item in items]
    return boxed


def _numbers(array: pa.Array, kind: pa.DataType) -> _Array:
    return np.from_dlpack(_without_nulls(array).cast(kind)).copy()


def _without_nulls(array: pa.Array) -> pa.Array:
    """Drop the marks of nulls; the values under them stay."""
    buffers = array.buffers()
    return pa.Array.from_buffers(array.type, len(array), [None, *buffers[1:]], offset=array.offset)


def _words(array: pa.Array) -> _Array:
    array = _without_nulls(array)
    width = pc.max(pc.binary_length(array)).as_py() or 0
    if not width:
        return np.zeros(len(array), dtype="U1")
    if width > _PADDED_WIDTH or not pc.all(pc.string_is_ascii(array)).as_py():
        return np.array(array.to_pylist(), dtype=np.str_)
    padded = pc.ascii_rpad(array, width=width, padding="\0")
    start = padded.offset * width
    letters = np.frombuffer(padded.buffers()[2], f"S{width}", count=len(array), offset=start)
    return letters.astype(np.str_)

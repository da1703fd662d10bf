"""Rows as the engine gives them, brought to the types of a result's columns."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.errors import CerroError
from cerro_services.formats.fields import Field, is_bytes, is_list


class ValueRefusedError(CerroError, code="query_error", status=400):
    """A value that a result cannot hold."""


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

    Raises
    ------
    ValueRefusedError
        A value does not go into its column's type.
    """
    return [_told(batch.column(i), field) for i, field in enumerate(fields)]


def _told(array: pa.Array, field: Field) -> pa.Array:
    if array.type == field.type and not field.is_list:
        return array
    try:
        return _conformed(array, field)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        name, kind = field.column.name or "A column", field.column.datatype
        raise ValueRefusedError(
            f"{name} has a value that {kind} cannot hold: {error}. "
            "Convert it in the query, for instance by CAST(… AS DOUBLE PRECISION)."
        ) from error


def _conformed(array: pa.Array, field: Field) -> pa.Array:
    given = array.type
    if pa.types.is_temporal(given):
        return iso(array)
    if field.is_list:
        if is_bytes(given):
            array = _bytes(array)
        elif is_list(given.value_type):
            array = _flat(array, field)
        return _sized(array.cast(field.type), field)
    if field.is_text and (is_list(given) or pa.types.is_nested(given)):
        # What VOTable has no type for is JSON.
        texts = [None if v is None else json.dumps(v, default=str) for v in array.to_pylist()]
        return pa.array(texts, pa.string())
    # An expression may leave the declared integer type (a sum of shorts); NULL is no answer then.
    return array.cast(field.type, safe=True)


def iso(array: pa.Array) -> pa.Array:
    """Write times as DALI has them: YYYY-MM-DDThh:mm:ss[.ffffff] in UTC (§3.3.3)."""
    if pa.types.is_date(array.type):
        return array.cast(pa.date32()).cast(pa.string())
    if not pa.types.is_timestamp(array.type):
        return array.cast(pa.string())
    if array.type.tz is not None:
        array = array.cast(pa.timestamp(array.type.unit, "UTC")).cast(pa.timestamp(array.type.unit))
    unit = array.type.unit
    if unit != "s" and not _has_fraction(array):
        array, unit = array.cast(pa.timestamp("s"), safe=False), "s"
    text = pc.strftime(array, "%Y-%m-%dT%H:%M:%S")
    # Whole seconds are written without a fraction.
    return text if unit == "s" else pc.replace_substring_regex(text, r"\.0+$", "")


def _has_fraction(array: pa.Array) -> bool:
    unit = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[array.type.unit]
    ticks = array.view(pa.int64()).fill_null(0).to_numpy()
    return bool((ticks % unit).any())


def _bytes(array: pa.Array) -> pa.Array:
    """Give sequences of bytes as lists of small numbers, without a copy."""
    array = array.cast(pa.binary())
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    values = pa.Array.from_buffers(pa.uint8(), int(bounds[-1]), [None, data or pa.py_buffer(b"")])
    mask = array.is_null() if array.null_count else None
    return pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), values, mask=mask)


def _flat(array: pa.Array, field: Field) -> pa.Array:
    """Give arrays of arrays as arrays of all their values."""
    outer = array.cast(pa.list_(field.type))
    inner = outer.flatten()
    lengths = pc.list_value_length(outer).fill_null(0).to_numpy(zero_copy_only=False)
    sizes = pc.list_value_length(inner).fill_null(0).to_numpy(zero_copy_only=False)
    ends = np.concatenate(([0], np.cumsum(sizes)))[np.concatenate(([0], np.cumsum(lengths)))]
    absent = outer.is_null() if outer.null_count else None
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), inner.flatten(), mask=absent)


def _sized(array: pa.Array, field: Field) -> pa.Array:
    """Let every row have as many values as the column says: more are cut, fewer filled up."""
    length = field.length
    if length is None or not len(array):
        return array
    counts = pc.list_value_length(array)
    if pc.all(pc.equal(counts, length), min_count=0).as_py() is not False:
        return array
    rows = [None if row is None else (row + [None] * length)[:length] for row in array.to_pylist()]
    return pa.array(rows, array.type)

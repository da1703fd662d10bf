"""Rows as bytes, big-endian, by whole columns: VOTable's BINARY and BINARY2, and FITS.

Columns of fixed width are fields of one structured array, whose columns numpy fills. Where a
column varies in width, what lies before it in the row (its length last) is such an array, and Arrow
joins the pieces of every row in one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.formats.fields import Field

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.generic]

BIG_ENDIAN = {
    "boolean": "u1",
    "unsignedByte": "u1",
    "short": ">i2",
    "int": ">i4",
    "long": ">i8",
    "float": ">f4",
    "double": ">f8",
}


@dataclass(frozen=True, eq=False)
class Fixed:
    """Cells of one width.

    Parameters
    ----------
    values
        Shape (rows,) or (rows, n).
    dtype
        As they are written.
    """

    values: Numbers
    dtype: str


@dataclass(frozen=True, eq=False)
class Varying:
    """Cells of any width.

    Parameters
    ----------
    counts
        Number of values or characters of each row.
    data
        Their bytes: an array of type binary, without NULL.
    """

    counts: Numbers
    data: pa.Array


Part = Fixed | Varying


def pack(parts: Sequence[Part], rows: int) -> Bytes:
    """Give rows as bytes.

    Parameters
    ----------
    parts
        The cells, column by column. A varying one gets its count before it, as four bytes.
    rows
        Number of rows.
    """
    if not rows:
        return np.empty(0, np.uint8)
    joined: list[pa.Array] = []
    run: list[Fixed] = []
    for part in parts:
        if isinstance(part, Fixed):
            run.append(part)
            continue
        run.append(Fixed(part.counts, ">i4"))
        joined += [_as_binary(_block(run, rows), rows), part.data]
        run = []
    if not joined:
        return _block(run, rows)
    if run:
        joined.append(_as_binary(_block(run, rows), rows))
    return text_bytes(pc.binary_join_element_wise(*joined, b""))


def mask(arrays: Sequence[pa.Array]) -> Fixed:
    """Give the mask of NULLs that begins a row of BINARY2 (VOTable 1.4 §5.4.2)."""
    bits = np.zeros((len(arrays[0]), (len(arrays) + 7) // 8), np.uint8)
    for i, array in enumerate(arrays):
        if array.null_count:
            bits[:, i // 8] |= nulls(array).astype(np.uint8) << np.uint8(7 - i % 8)
    return Fixed(bits, "u1")


def part(array: pa.Array, field: Field, *, unknown: bytes = b"?") -> Part:
    """Give the cells of a column.

    Parameters
    ----------
    array
        Its values, of the field's type.
    field
        The column; its `null` stands for NULL among whole numbers.
    unknown
        Stands for NULL among booleans.
    """
    if field.is_text:
        data, counts = _text(array, wide=field.column.datatype == "unicodeChar")
        if field.length is None:
            return Varying(counts, data)
        unit = 2 if field.column.datatype == "unicodeChar" else 1
        return Fixed(padded(data, unit * field.length), "u1")
    if field.is_list:
        return _list(array, field, unknown)
    return _numbers(array, field, unknown)


def padded(data: pa.Array, width: int) -> Bytes:
    """Give texts of one width; what is shorter ends with NULs, what is longer is cut.

    Parameters
    ----------
    data
        Array of type binary without NULL.
    width
        Bytes.

    Returns
    -------
    ndarray of uint8, shape (rows, width)
    """
    lengths = pc.binary_length(data).to_numpy(zero_copy_only=False)
    if len(lengths) and lengths.max() > width:
        data = pc.binary_slice(data, 0, width)
        lengths = np.minimum(lengths, width)
    cells = np.zeros((len(data), width), np.uint8)
    cells[np.arange(width) < lengths[:, None]] = text_bytes(data)
    return cells


def nulls(array: pa.Array) -> npt.NDArray[np.bool_]:
    """Tell which values are NULL."""
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False))


def text_bytes(array: pa.Array) -> Bytes:
    """Give the bytes of all strings, one after the other, without a copy."""
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return np.empty(0, np.uint8)
    large = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    bounds = np.frombuffer(offsets, np.int64 if large else np.int32)
    first, last = bounds[array.offset], bounds[array.offset + len(array)]
    return np.frombuffer(data, np.uint8)[first:last]


def is_ascii(raw: Bytes) -> bool:
    """Whether bytes are ASCII."""
    return not len(raw) or int(raw.max()) < 128


def binary(raw: Bytes, ends: Numbers) -> pa.Array:
    """Give an array of type binary.

    Parameters
    ----------
    raw
        The bytes of all values, one after the other.
    ends
        Where each value ends, and a zero before them.
    """
    offsets = pa.py_buffer(np.ascontiguousarray(ends, np.int32))
    return pa.Array.from_buffers(pa.binary(), len(ends) - 1, [None, offsets, pa.py_buffer(raw)])


def _block(run: Sequence[Fixed], rows: int) -> Bytes:
    formats = [(p.dtype, p.values.shape[1:]) if p.values.ndim > 1 else p.dtype for p in run]
    block = np.empty(rows, np.dtype([(f"f{i}", *_pair(f)) for i, f in enumerate(formats)]))
    for i, p in enumerate(run):
        block[f"f{i}"] = p.values
    return block.view(np.uint8)


def _pair(given: str | tuple[str, tuple[int, ...]]) -> tuple[object, ...]:
    return (given,) if isinstance(given, str) else given


def _as_binary(raw: Bytes, rows: int) -> pa.Array:
    return binary(raw, np.arange(rows + 1, dtype=np.int32) * (len(raw) // rows))


def _numbers(array: pa.Array, field: Field, unknown: bytes) -> Fixed:
    datatype = field.column.datatype or "int"
    if datatype == "boolean":
        truth = array.fill_null(False).to_numpy(zero_copy_only=False)
        cells = np.where(truth, np.uint8(ord("T")), np.uint8(ord("F")))
        if array.null_count:
            cells[nulls(array)] = unknown[0]
        return Fixed(cells, "u1")
    if array.null_count:
        floating = pa.types.is_floating(array.type)
        array = array.fill_null(float("nan") if floating else field.null or 0)
    return Fixed(array.to_numpy(zero_copy_only=False), BIG_ENDIAN[datatype])


def _list(array: pa.Array, field: Field, unknown: bytes) -> Part:
    values = _numbers(array.flatten(), field.inner, unknown)
    length = field.length
    if length is not None:
        shape = (len(array), length)
        if not array.null_count:
            return Fixed(values.values.reshape(shape), values.dtype)
        # A NULL array is NaN, or what stands for NULL, all through.
        empty = _numbers(pa.nulls(1, field.type.value_type), field.inner, unknown)
        cells = np.full(shape, empty.values[0], empty.values.dtype)
        cells[~nulls(array)] = values.values.reshape(-1, length)
        return Fixed(cells, values.dtype)
    counts = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    raw = values.values.astype(values.dtype, copy=False).view(np.uint8)
    return Varying(counts, binary(raw, _ends(counts) * np.dtype(values.dtype).itemsize))


def _text(array: pa.Array, *, wide: bool) -> tuple[pa.Array, Numbers]:
    """Give texts in ASCII, or in UTF-16 if `wide`, and the number of their units."""
    if array.null_count:
        array = array.fill_null("")
    raw = text_bytes(array)
    lengths = pc.binary_length(array).to_numpy(zero_copy_only=False)
    if is_ascii(raw):
        if wide:
            units = np.zeros(2 * len(raw), np.uint8)
            units[1::2] = raw
            return binary(units, 2 * _ends(lengths)), lengths
        return array.view(pa.binary()), lengths
    # One conversion for all: a character is as many units as its first byte tells.
    text = raw.tobytes().decode()
    counted = ((raw & 0xC0) != 0x80).astype(np.int8)
    if wide:
        counted += raw >= 0xF0
        encoded = text.encode("utf-16-be")
    else:
        encoded = text.encode("ascii", "replace")
    before = np.zeros(len(raw) + 1, np.int64)
    np.cumsum(counted, out=before[1:])
    ends = before[_ends(lengths)]
    unit = 2 if wide else 1
    return binary(np.frombuffer(encoded, np.uint8), ends * unit), np.diff(ends)


def _ends(counts: Numbers) -> npt.NDArray[np.int64]:
    ends = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=ends[1:])
    return ends

"""VOTable BINARY2 (VOTable 1.4 §5.4) from Arrow, by whole columns.

A row is a mask of NULLs and the values in order, big-endian; strings and variable arrays have
their length before them. Rows of fixed width are filled as one structured array. Where a column
varies in width, the place of every value is computed for all rows at once and its bytes are
scattered there.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.formats import votable
from cerro_services.formats.fields import Field, conform

Bytes = npt.NDArray[np.uint8]

_DTYPES = {
    "boolean": "u1",
    "unsignedByte": "u1",
    "short": ">i2",
    "int": ">i4",
    "long": ">i8",
    "float": ">f4",
    "double": ">f8",
}


class Binary2Writer:
    """Writes a VOTable whose rows are BINARY2 in base64.

    Parameters
    ----------
    fields
        The columns.
    info
        Names and values of INFO elements.
    """

    def __init__(self, fields: Sequence[Field], info: Sequence[tuple[str, str]] = ()) -> None:
        self._fields = fields
        self._info = info
        self._carry = b""

    def begin(self) -> bytes:
        """Write everything before the first row."""
        head = votable.start(self._info) + votable.table(self._fields)
        return (head + '<DATA><BINARY2>\n<STREAM encoding="base64">\n').encode()

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write a batch of rows."""
        raw = self._carry + encode(conform(batch, self._fields), self._fields).tobytes()
        # Base64 takes three bytes at a time; what is left over waits for the next batch.
        whole = len(raw) // 3 * 3
        self._carry = raw[whole:]
        return binascii.b2a_base64(raw[:whole]) if whole else b""

    def end(self, *, overflow: bool = False, error: str | None = None) -> bytes:
        """Write everything after the last row."""
        rest = binascii.b2a_base64(self._carry) if self._carry else b""
        tail = "</STREAM>\n</BINARY2></DATA>\n" + votable.end(overflow=overflow, error=error)
        return rest + tail.encode()


def encode(arrays: Sequence[pa.Array], fields: Sequence[Field]) -> Bytes:
    """Give the rows of BINARY2.

    Parameters
    ----------
    arrays
        One array a field, of the field's type.
    fields
        The columns.

    Returns
    -------
    ndarray of uint8
        The rows, one after the other.
    """
    rows = len(arrays[0]) if arrays else 0
    if not rows:
        return np.empty(0, np.uint8)
    parts: list[_Fixed | _Varying] = [_Fixed(_mask(arrays))]
    for array, field in zip(arrays, fields, strict=True):
        varies = (field.column.arraysize or "").endswith("*")
        parts.append(_varying(array, field) if varies else _Fixed(_fixed(array, field)))
    if all(isinstance(part, _Fixed) for part in parts):
        # Placing whole columns side by side is one copy each.
        out = np.empty(
            (rows, sum(part.width for part in parts if isinstance(part, _Fixed))), np.uint8
        )
        at = 0
        for part in parts:
            assert isinstance(part, _Fixed)
            out[:, at : at + part.width] = part.cells
            at += part.width
        return out.reshape(-1)
    widths = np.zeros(rows, np.int64)
    for part in parts:
        widths += part.widths
    place = np.zeros(rows, np.int64)
    np.cumsum(widths[:-1], out=place[1:])
    flat = np.empty(int(widths.sum()), np.uint8)
    for part in parts:
        part.scatter(flat, place)
        place = place + part.widths
    return flat


class _Fixed:
    """Cells of one width: shape (rows, width)."""

    def __init__(self, cells: Bytes) -> None:
        self.cells = cells
        self.width = cells.shape[1]
        self.widths = self.width

    def scatter(self, out: Bytes, place: npt.NDArray[np.int64]) -> None:
        for i in range(self.width):
            out[place + i] = self.cells[:, i]


class _Varying:
    """Cells of any width: a length of four bytes and as many bytes as `sizes` says."""

    def __init__(
        self, lengths: npt.NDArray[np.int64], data: Bytes, sizes: npt.NDArray[np.int64]
    ) -> None:
        self._heads = _Fixed(_bytes_of(lengths.astype(">i4")))
        self._data = data
        self._sizes = sizes
        self.widths = sizes + 4

    def scatter(self, out: Bytes, place: npt.NDArray[np.int64]) -> None:
        self._heads.scatter(out, place)
        begins = np.zeros(len(self._sizes), np.int64)
        np.cumsum(self._sizes[:-1], out=begins[1:])
        target = np.repeat(place + 4 - begins, self._sizes)
        target += np.arange(len(target))
        out[target] = self._data


def _mask(arrays: Sequence[pa.Array]) -> Bytes:
    rows = len(arrays[0])
    mask = np.zeros((rows, (len(arrays) + 7) // 8), np.uint8)
    for i, array in enumerate(arrays):
        if array.null_count:
            mask[:, i // 8] |= np.asarray(array.is_null()).astype(np.uint8) << np.uint8(7 - i % 8)
    return mask


def _fixed(array: pa.Array, field: Field) -> Bytes:
    datatype = field.column.datatype or "int"
    if pa.types.is_string(field.type):
        return _fixed_text(array, field)
    if field.is_list:
        return _fixed_list(array, field)
    if datatype == "boolean":
        values = np.asarray(array.fill_null(False)).astype(bool)
        cells = np.where(values, np.uint8(ord("T")), np.uint8(ord("F")))
        if array.null_count:
            cells[np.asarray(array.is_null())] = ord("?")
        return cells.reshape(-1, 1)
    if array.null_count:
        floating = pa.types.is_floating(array.type)
        array = array.fill_null(float("nan") if floating else 0)
    return _bytes_of(array.to_numpy(zero_copy_only=False).astype(_DTYPES[datatype]))


def _varying(array: pa.Array, field: Field) -> _Varying:
    if field.is_list:
        return _lists(array, field)
    if array.null_count:
        array = array.fill_null("")
    if field.column.datatype == "unicodeChar":
        # UTF-16 has as many bytes per character as it needs; lengths count its units.
        encoded = [text.encode("utf-16-be") for text in array.to_pylist()]
        sizes = np.fromiter(map(len, encoded), np.int64, len(encoded))
        return _Varying(sizes // 2, np.frombuffer(b"".join(encoded), np.uint8), sizes)
    data = _string_bytes(array)
    if len(data) and data.max() > 127:
        # char is ASCII (VOTable §2.1), and one other byte makes astropy give up the whole table:
        # a column with such text is declared unicode.
        plain = [text.encode("ascii", "replace") for text in array.to_pylist()]
        array, data = pa.array(plain, pa.binary()), np.frombuffer(b"".join(plain), np.uint8)
    sizes = np.asarray(pc.binary_length(array)).astype(np.int64)
    return _Varying(sizes, data, sizes)


def _fixed_text(array: pa.Array, field: Field) -> Bytes:
    """Give strings of one length; what is shorter ends with NULs (VOTable §6)."""
    unit = 2 if field.column.datatype == "unicodeChar" else 1
    width = unit * int(field.column.arraysize or 1)
    cells = np.zeros((len(array), width), np.uint8)
    encoding = "utf-16-be" if unit == 2 else "ascii"
    for i, text in enumerate(array.to_pylist()):
        if text:
            raw = text.encode(encoding, "replace")[:width]
            cells[i, : len(raw)] = np.frombuffer(raw, np.uint8)
    return cells


def _fixed_list(array: pa.Array, field: Field) -> Bytes:
    """Give arrays of one length; a NULL array is NaN or 0 all through."""
    length = math.prod(int(part) for part in (field.column.arraysize or "1").split("x"))
    values = field.type.value_type
    filler = float("nan") if pa.types.is_floating(values) else 0
    if array.null_count:
        rows = [[filler] * length if row is None else row for row in array.to_pylist()]
        array = pa.array(rows, type=field.type)
    cells = _fixed(array.flatten(), Field(replace(field.column, arraysize=None), values))
    return cells.reshape(len(array), -1)


def _lists(array: pa.Array, field: Field) -> _Varying:
    if array.null_count:
        array = pa.array(array.to_pylist(), type=array.type).fill_null([])
    lengths = np.asarray(pc.list_value_length(array)).astype(np.int64)
    values = array.flatten()
    inner = Field(replace(field.column, arraysize=None), field.type.value_type)
    cells = _fixed(values, inner)
    return _Varying(lengths, cells.reshape(-1), lengths * cells.shape[1])


def _string_bytes(array: pa.Array) -> Bytes:
    _, offsets, data = array.buffers()
    if data is None:
        return np.empty(0, np.uint8)
    bounds = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]


def _bytes_of(values: npt.NDArray[np.generic]) -> Bytes:
    contiguous = np.ascontiguousarray(values)
    return contiguous.view(np.uint8).reshape(len(contiguous), contiguous.dtype.itemsize)

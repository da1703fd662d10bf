"""VOTable TABLEDATA and CSV cells: Arrow columns as text, by whole columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.formats import votable
from cerro_services.formats.fields import Field, conform

_ILLEGAL = r"[\x00-\x08\x0B\x0C\x0E-\x1F]"


class TabledataWriter:
    """Writes a VOTable whose rows are TABLEDATA.

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

    def begin(self) -> bytes:
        """Write everything before the first row."""
        head = votable.start(self._info) + votable.table(self._fields)
        return (head + "<DATA><TABLEDATA>\n").encode()

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write a batch of rows."""
        if not batch.num_rows:
            return b""
        arrays = conform(batch, self._fields)
        cells = [_escaped(text_of(a, f), f) for a, f in zip(arrays, self._fields, strict=True)]
        cells[0] = pc.binary_join_element_wise("<TR><TD>", cells[0], "")
        cells[-1] = pc.binary_join_element_wise(cells[-1], "</TD></TR>\n", "")
        joined = pc.binary_join_element_wise(*cells, "</TD><TD>")
        return string_bytes(joined)

    def end(self, *, overflow: bool = False, error: str | None = None) -> bytes:
        """Write everything after the last row."""
        return ("</TABLEDATA></DATA>\n" + votable.end(overflow=overflow, error=error)).encode()


def text_of(array: pa.Array, field: Field) -> pa.Array:
    """Give the values of a column as text; NULL is empty.

    Parameters
    ----------
    array
        The values, of the field's type.
    field
        The column.
    """
    if field.is_list:
        empty = _empty_list(field)
        return pa.array(
            [_numbers(v) if v is not None else empty for v in array.to_pylist()], pa.string()
        )
    if pa.types.is_boolean(array.type):
        text = pc.if_else(array, "true", "false")
    elif pa.types.is_floating(array.type):
        text = array.cast(pa.string())
        finite = pc.is_finite(array)
        if not pc.all(finite, min_count=0).as_py():
            odd = pc.case_when(
                pc.make_struct(pc.is_nan(array), pc.greater(array, 0)), "NaN", "+Inf", "-Inf"
            )
            text = pc.if_else(finite, text, odd)
    else:
        text = array.cast(pa.string())
    return text.fill_null("") if text.null_count else text


def string_bytes(array: pa.Array) -> bytes:
    """Give the bytes of all strings, one after the other."""
    _, offsets, data = array.buffers()
    if data is None:
        return b""
    wide = np.int64 if pa.types.is_large_string(array.type) else np.int32
    bounds = np.frombuffer(offsets, wide)[array.offset : array.offset + len(array) + 1]
    return memoryview(data)[int(bounds[0]) : int(bounds[-1])].tobytes()


def _escaped(array: pa.Array, field: Field) -> pa.Array:
    if not pa.types.is_string(field.type):
        return array
    raw = string_bytes(array)
    if b"&" in raw:
        array = pc.replace_substring(array, "&", "&amp;")
    if b"<" in raw:
        array = pc.replace_substring(array, "<", "&lt;")
    if b">" in raw:
        array = pc.replace_substring(array, ">", "&gt;")
    if min(raw, default=32) < 32:
        array = pc.replace_substring_regex(array, _ILLEGAL, "")
    return array


def _numbers(values: list[object]) -> str:
    words = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf", "True": "true", "False": "false"}
    return " ".join(words.get(str(value), str(value)) for value in values)


def _empty_list(field: Field) -> str:
    """Give the NULL of an array: of a fixed number of values, as many NaN (VOTable §6)."""
    arraysize = field.column.arraysize or "*"
    if not arraysize.isdigit() or not pa.types.is_floating(field.type.value_type):
        return ""
    return " ".join(["NaN"] * int(arraysize))

"""JSON: the columns' descriptions, then the rows as arrays.

``{"metadata": [{"name": …, "datatype": …}, …], "data": [[…], …], "status": "OK"}``. Integers are
whole, up to the ends of 64 bits; what JSON has no word for (NaN, infinities) is null.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.formats.conform import conform
from cerro_services.formats.fields import Field
from cerro_services.formats.frame import BARE, Frame
from cerro_services.formats.packing import text_bytes
from cerro_services.formats.text import Words, joined, replaced, text_of

MIME = "application/json"
_WORDS = Words(None, None, None)
_ESCAPES = (
    ("\\", "\\\\"),
    ('"', '\\"'),
    ("\n", "\\n"),
    ("\r", "\\r"),
    ("\t", "\\t"),
    *((chr(i), f"\\u{i:04x}") for i in range(32) if i not in {9, 10, 13}),
)
_ATTRIBUTES = ("datatype", "arraysize", "xtype", "unit", "ucd", "utype", "description")
_ALWAYS = ("unit", "description")
"""Attributes that are null where there is none: astroquery's TapPlus asks every column for them."""


class JsonWriter:
    """Writes JSON.

    Parameters
    ----------
    fields
        The columns.
    frame
        What the document says besides the rows.
    """

    def __init__(self, fields: Sequence[Field], frame: Frame = BARE) -> None:
        self._fields = fields
        self._info = frame.info
        self._begun = False

    def begin(self) -> bytes:
        """Write everything before the first row."""
        metadata = [
            {"name": f.column.name or f"col{i + 1}"}
            | {a: v for a in _ATTRIBUTES if (v := getattr(f.column, a) or None) or a in _ALWAYS}
            for i, f in enumerate(self._fields)
        ]
        head = json.dumps({"info": dict(self._info), "metadata": metadata}, ensure_ascii=False)
        return (head[:-1] + ', "data": [\n').encode()

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write a batch of rows."""
        if not batch.num_rows:
            return b""
        arrays = conform(batch, self._fields)
        cells = [_cell(a, f) for a, f in zip(arrays, self._fields, strict=True)]
        cells[0] = pc.binary_join_element_wise(",\n[", cells[0], "")
        cells[-1] = pc.binary_join_element_wise(cells[-1], "]", "")
        lines = text_bytes(pc.binary_join_element_wise(*cells, ","))
        if not self._begun:
            lines = lines[2:]
        self._begun = True
        return lines.tobytes()

    def end(self, *, overflow: bool = False, error: str | None = None) -> Sequence[bytes]:
        """Write everything after the last row; an error is told there."""
        tail = {"status": "ERROR" if error else "OVERFLOW" if overflow else "OK"}
        if error is not None:
            tail["message"] = error
        return [("\n], " + json.dumps(tail, ensure_ascii=False)[1:] + "\n").encode()]

    def close(self) -> None:
        """Give nothing back: nothing is held."""


def _cell(array: pa.Array, field: Field) -> pa.Array:
    if field.is_list:
        text = pc.binary_join_element_wise("[", joined(array, field, _WORDS, ",", "null"), "]", "")
    elif field.is_text:
        filled = array.fill_null("") if array.null_count else array
        text = pc.binary_join_element_wise('"', replaced(filled, _ESCAPES), '"', "")
        if array.null_count:
            text = pc.if_else(array.is_valid(), text, "null")
        return text
    else:
        text = text_of(array, _WORDS)
    return text.fill_null("null") if text.null_count else text

"""VOTable TABLEDATA (VOTable 1.4 §5.1): rows as text, by whole columns."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.formats import votable
from cerro_services.formats.conform import conform
from cerro_services.formats.fields import Field
from cerro_services.formats.frame import BARE, Frame
from cerro_services.formats.packing import text_bytes
from cerro_services.formats.text import Words, joined, replaced, text_of

_ILLEGAL = "[\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\ufffe\uffff]"
_WORDS = Words()
# A carriage return that is written as itself is read as a line feed (XML 1.0 §2.11).
_ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;"))


class TabledataWriter:
    """Writes a VOTable whose rows are TABLEDATA.

    Parameters
    ----------
    fields
        The columns.
    frame
        What the document says besides the rows.
    """

    def __init__(self, fields: Sequence[Field], frame: Frame = BARE) -> None:
        self._fields = fields
        self._frame = frame

    def begin(self) -> bytes:
        """Write everything before the first row."""
        head = votable.start(self._frame.info) + votable.table(self._fields, self._frame.services)
        return (head + "<DATA><TABLEDATA>\n").encode()

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write a batch of rows."""
        if not batch.num_rows:
            return b""
        arrays = conform(batch, self._fields)
        cells = [_cell(a, f) for a, f in zip(arrays, self._fields, strict=True)]
        cells[0] = pc.binary_join_element_wise("<TR><TD>", cells[0], "")
        cells[-1] = pc.binary_join_element_wise(cells[-1], "</TD></TR>\n", "")
        return text_bytes(pc.binary_join_element_wise(*cells, "</TD><TD>")).tobytes()

    def end(self, *, overflow: bool = False, error: str | None = None) -> Sequence[bytes]:
        """Write everything after the last row."""
        tail = votable.end(self._fields, self._frame.services, overflow=overflow, error=error)
        return [("</TABLEDATA></DATA>\n" + tail).encode()]

    def close(self) -> None:
        """Give nothing back: nothing is held."""


def _cell(array: pa.Array, field: Field) -> pa.Array:
    if field.is_list:
        text = joined(array, field, _WORDS, " ", _none(field))
        return text.fill_null(_empty(field)) if text.null_count else text
    text = text_of(array, _WORDS)
    if text.null_count:
        text = text.fill_null("")
    if not field.is_text:
        return text
    raw = text_bytes(text)
    # No XML document may hold these (XML 1.0 §2.2), not even escaped.
    if len(raw) and (raw.min() < 32 or raw.max() >= 0xEF):
        substitute = "\ufffd" if field.column.datatype == "unicodeChar" else "?"
        text = pc.replace_substring_regex(text, _ILLEGAL, substitute)
    return replaced(text, _ESCAPES)


def _none(field: Field) -> str:
    """Give what stands for NULL within an array."""
    if pa.types.is_floating(field.type.value_type):
        return "NaN"
    return "?" if pa.types.is_boolean(field.type.value_type) else str(field.null or 0)


def _empty(field: Field) -> str:
    """Give the NULL of an array: of a fixed number of floats, as many NaN (VOTable §6)."""
    if field.length is None or not pa.types.is_floating(field.type.value_type):
        return ""
    return " ".join(["NaN"] * field.length)

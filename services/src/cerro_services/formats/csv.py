"""CSV (RFC 4180) from Arrow: one header line with the columns' names."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.formats.fields import Field, conform
from cerro_services.formats.tabledata import string_bytes, text_of

MIME = "text/csv"


class CsvWriter:
    """Writes CSV.

    A CSV has no place to say that rows are missing: the response's header ``X-Cerro-Overflow``
    does.

    Parameters
    ----------
    fields
        The columns.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        self._fields = fields

    def begin(self) -> bytes:
        """Write the header line."""
        names = [field.column.name or f"col{i + 1}" for i, field in enumerate(self._fields)]
        quoted = [
            f'"{n.replace(chr(34), chr(34) * 2)}"' if set(n) & set('",\r\n') else n for n in names
        ]
        return (",".join(quoted) + "\r\n").encode()

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write a batch of rows."""
        if not batch.num_rows:
            return b""
        arrays = conform(batch, self._fields)
        cells = [_cell(a, f) for a, f in zip(arrays, self._fields, strict=True)]
        lines = pc.binary_join_element_wise(*cells, ",") if len(cells) > 1 else cells[0]
        return string_bytes(pc.binary_join_element_wise(lines, "\r\n", ""))

    def end(self, *, overflow: bool = False, error: str | None = None) -> bytes:
        """Write nothing; a CSV that ended too early must not look whole.

        Raises
        ------
        ConnectionAbortedError
            There was an error: the connection breaks off, so that the client sees it.
        """
        del overflow
        if error is not None:
            raise ConnectionAbortedError(error)
        return b""


def _cell(array: pa.Array, field: Field) -> pa.Array:
    text = text_of(array, field)
    if not pa.types.is_string(field.type):
        return text
    raw = string_bytes(text)
    if not any(sign in raw for sign in (b",", b'"', b"\n", b"\r")):
        return text
    doubled = pc.replace_substring(text, '"', '""')
    wrapped = pc.binary_join_element_wise('"', doubled, '"', "")
    return pc.if_else(pc.match_substring_regex(text, '[,"\\r\\n]'), wrapped, text)

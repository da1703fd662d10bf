"""CSV (RFC 4180) and TSV from Arrow: one header line with the columns' names.

Nothing between two delimiters is NULL; an empty text is ``""``.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.formats.conform import conform
from cerro_services.formats.fields import Field
from cerro_services.formats.frame import BARE, Frame
from cerro_services.formats.packing import text_bytes
from cerro_services.formats.text import Words, has, joined, text_of

CSV_MIME = "text/csv"
TSV_MIME = "text/tab-separated-values"
_WORDS = Words("NaN", "inf", "-inf")


class DelimitedWriter:
    """Writes CSV or TSV.

    Such a file has no place to say that rows are missing: the response's header
    ``X-Cerro-Overflow`` does.

    Parameters
    ----------
    fields
        The columns.
    frame
        What the document says besides the rows: here nothing.
    delimiter
        Stands between cells.
    header
        Whether the first line has the columns' names.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        frame: Frame = BARE,
        *,
        delimiter: str = ",",
        header: bool = True,
    ) -> None:
        del frame
        self._fields = fields
        self._delimiter = delimiter
        self._header = header
        self._end = "\r\n" if delimiter == "," else "\n"
        self._special = f'{delimiter}"\r\n'

    def begin(self) -> bytes:
        """Write the header line."""
        if not self._header:
            return b""
        names = [field.column.name or f"col{i + 1}" for i, field in enumerate(self._fields)]
        quoted = [
            f'"{n.replace(chr(34), chr(34) * 2)}"' if set(n) & set(self._special) else n
            for n in names
        ]
        return (self._delimiter.join(quoted) + self._end).encode()

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write a batch of rows."""
        if not batch.num_rows:
            return b""
        arrays = conform(batch, self._fields)
        cells = [self._cell(a, f) for a, f in zip(arrays, self._fields, strict=True)]
        if len(cells) == 1:
            # An empty line is no row for many a reader.
            cells[0] = pc.if_else(pc.equal(cells[0], ""), '""', cells[0])
        cells[-1] = pc.binary_join_element_wise(cells[-1], self._end, "")
        lines = cells[0]
        if len(cells) > 1:
            lines = pc.binary_join_element_wise(*cells, self._delimiter)
        return text_bytes(lines).tobytes()

    def end(self, *, overflow: bool = False, error: str | None = None) -> Sequence[bytes]:
        """Write nothing; a file that ended too early must not look whole.

        Raises
        ------
        ConnectionAbortedError
            There was an error: the connection breaks off, so that the client sees it.
        """
        del overflow
        if error is not None:
            raise ConnectionAbortedError(error)
        return ()

    def close(self) -> None:
        """Give nothing back: nothing is held."""

    def _cell(self, array: pa.Array, field: Field) -> pa.Array:
        if field.is_list:
            return joined(array, field, _WORDS, " ", "").fill_null("")
        text = text_of(array, _WORDS)
        if field.is_text:
            empty = pc.equal(text, "")
            if has(text, self._special.encode()):
                doubled = pc.replace_substring(text, '"', '""')
                wrapped = pc.binary_join_element_wise('"', doubled, '"', "")
                special = pc.match_substring_regex(text, f"[{self._special}]")
                text = pc.if_else(special, wrapped, text)
            if pc.any(empty, min_count=0).as_py():
                text = pc.if_else(empty, '""', text)
        return text.fill_null("") if text.null_count else text

"""Rows of a VOTable as text: TABLEDATA (VOTable §5.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from cerro_services.release.errors import DataError
from cerro_services.release.readers.vodata import TRUTHS, TYPES, Decoder, VOField

_BATCH = 20_000


class TextRows(Decoder):
    """Rows of TABLEDATA."""

    def __init__(self, path: Path, fields: Sequence[VOField], *, with_nulls: bool) -> None:
        super().__init__(path, fields, with_nulls=with_nulls)
        self._rows: list[list[str]] = []
        self._finished = False

    def append(self, row: list[str]) -> None:
        """Add one row of cells."""
        if len(row) != len(self.fields):
            raise DataError(
                f"has {len(row)} cells in a row of {len(self.fields)} columns.",
                file=self.path,
                row=self.done + len(self._rows) + 1,
            )
        self._rows.append(row)

    def finish(self) -> None:
        """Note that no more rows come."""
        self._finished = True

    def take(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Give the rows that are complete."""
        while len(self._rows) >= _BATCH or (self._finished and self._rows):
            rows, self._rows = self._rows[:_BATCH], self._rows[_BATCH:]
            cells = dict(zip((f.name for f in self.fields), zip(*rows, strict=True), strict=True))
            by_name = {f.name: f for f in self.fields}
            arrays = [self._column(by_name[name], cells[name]) for name in columns]
            yield pa.RecordBatch.from_arrays(arrays, names=list(columns))
            self.done += len(rows)

    def _column(self, field: VOField, cells: Sequence[str]) -> pa.Array:
        if field.is_text:
            return pa.array(cells, pa.string())
        if field.size != 1:
            values = [[self._value(field, w, i) for w in c.split()] for i, c in enumerate(cells)]
            return pa.array([v or None for v in values], field.arrow)
        null = field.null
        if field.datatype not in TRUTHS:
            texts = pa.array([None if (c := t.strip()) in {"", null} else c for t in cells])
            try:
                # Arrow reads nan and inf of any case, as VOTable writes them (§6).
                return texts.cast(pa.string()).cast(field.arrow)
            except pa.ArrowInvalid:
                pass
        return pa.array([self._value(field, t, i) for i, t in enumerate(cells)], field.arrow)

    def _value(self, field: VOField, text: str, row: int) -> Any:
        text = text.strip()
        if text in {"", field.null, "?"}:
            return None
        try:
            if field.datatype in TRUTHS:
                return {"t": True, "f": False, "1": True, "0": False}[text[0].lower()]
            if field.datatype in {"float", "double"}:
                return float(text)
            value = int(text, 0)
            pa.scalar(value, TYPES[field.datatype][1])
        except (ValueError, KeyError, OverflowError, pa.ArrowInvalid) as error:
            raise self.fault(f"is no {field.datatype}", field.name, row, text) from error
        return value

"""Rows of a VOTable as text: TABLEDATA (VOTable §5.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.release.errors import DataError
from cerro_services.release.readers.vodata import TRUTHS, TYPES, Decoder, VOField

_BATCH, _CELLS = 20_000, 400_000
"""Rows and cells of a batch at most."""


class TextRows(Decoder):
    """Rows of TABLEDATA."""

    def __init__(self, path: Path, fields: Sequence[VOField], *, with_nulls: bool) -> None:
        super().__init__(path, fields, with_nulls=with_nulls)
        self._rows: list[Sequence[str]] = []
        self._finished = False
        self._batch = max(1, min(_BATCH, _CELLS // max(1, len(self.fields))))

    def append(self, row: list[str]) -> None:
        """Add one row of cells."""
        if len(row) != len(self.fields):
            raise DataError(
                f"has {len(row)} cells in a row of {len(self.fields)} columns.",
                file=self.path,
                row=self.done + len(self._rows) + 1,
            )
        self._rows.append(row)

    def extend(self, rows: Sequence[Sequence[str]]) -> None:
        """Add rows that are known to have the right number of cells."""
        self._rows.extend(rows)

    def finish(self) -> None:
        """Note that no more rows come."""
        self._finished = True

    def take(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Give the rows that are complete."""
        while len(self._rows) >= self._batch or (self._finished and self._rows):
            rows, self._rows = self._rows[: self._batch], self._rows[self._batch :]
            cells = dict(zip((f.name for f in self.fields), zip(*rows, strict=True), strict=True))
            by_name = {f.name: f for f in self.fields}
            arrays = [self._column(by_name[name], cells[name]) for name in columns]
            yield pa.RecordBatch.from_arrays(arrays, names=list(columns))
            self.done += len(rows)

    def _column(self, field: VOField, cells: Sequence[str]) -> pa.Array:
        if field.is_text:
            return pa.array(cells, pa.string())
        if not field.is_scalar:
            return self._lists(field, [cell.split() for cell in cells])
        return self._scalars(field, cells, None)

    def _lists(self, field: VOField, cells: Sequence[list[str]]) -> pa.Array:
        """Give cells of several values; a cell without any is no value (VOTable §6)."""
        if field.size is not None:
            for row, words in enumerate(cells):
                if len(words) not in {0, field.size}:
                    raise self.fault(
                        f"has {len(words)} values where {field.size} belong", field.name, row, words
                    )
        values = self._scalars(
            field,
            [w for words in cells for w in words],
            [i for i, w in enumerate(cells) for _ in w],
        )
        ends = accumulate(map(len, cells))
        offsets = [None if not words else end - len(words) for words, end in zip(cells, ends)]  # noqa: B905
        return pa.ListArray.from_arrays(pa.array([*offsets, len(values)], pa.int32()), values).cast(
            field.arrow
        )

    def _scalars(
        self, field: VOField, cells: Sequence[str], rows: Sequence[int] | None
    ) -> pa.Array:
        null = field.null
        scalar = TYPES[field.datatype][1]
        if field.datatype not in TRUTHS:
            texts = pa.array(cells, pa.string())
            try:
                # Arrow reads nan and inf of any case, as VOTable writes them (§6).
                return texts.cast(scalar) if null is None else self._unmarked(texts, null, scalar)
            except pa.ArrowInvalid:
                pass
            texts = pa.array([None if (c := t.strip()) in {"", null} else c for t in cells])
            try:
                return texts.cast(pa.string()).cast(scalar)
            except pa.ArrowInvalid:
                pass
        where = range(len(cells)) if rows is None else rows
        return pa.array(
            [self._value(field, text, i) for i, text in zip(where, cells, strict=True)], scalar
        )

    def _unmarked(self, texts: pa.Array, null: str, scalar: pa.DataType) -> pa.Array:
        return pc.if_else(pc.equal(texts, null), None, texts).cast(scalar)

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

"""Rows of a VOTable as a binary stream: BINARY and BINARY2 (VOTable §5.3, §5.4)."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cerro_services.release.errors import DataError
from cerro_services.release.readers.vodata import MAX_CELL, TYPES, Decoder, VOField

_TRUE, _FALSE = frozenset("tT1"), frozenset("fF0")


class BinaryRows(Decoder):
    """Rows of a base64 stream."""

    def __init__(self, path: Path, fields: Sequence[VOField], *, with_nulls: bool) -> None:
        super().__init__(path, fields, with_nulls=with_nulls)
        self._text = ""
        self._data = b""
        self._mask = (len(self.fields) + 7) // 8 if with_nulls else 0
        self._record = self._fixed_record()
        self._finished = False

    def feed(self, text: str) -> None:
        """Take some more of the stream."""
        text = self._text + "".join(text.split())
        whole = len(text) // 4 * 4
        self._text = text[whole:]
        try:
            self._data += base64.b64decode(text[:whole], validate=True)
        except binascii.Error as error:
            raise DataError(f"has a damaged base64 stream: {error}.", file=self.path) from error

    def finish(self) -> None:
        """Note that no more rows come."""
        self._finished = True
        if self._text:
            raise DataError("has a base64 stream that is cut short.", file=self.path)

    def take(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Give the rows that are complete."""
        chosen = [f for name in columns for f in self.fields if f.name == name]
        if self._record is not None:
            count = len(self._data) // self._record.itemsize
            if count:
                size = count * self._record.itemsize
                rows = np.frombuffer(self._data[:size], self._record)
                self._data = self._data[size:]
                arrays = [self._fixed(f, rows) for f in chosen]
                yield pa.RecordBatch.from_arrays(arrays, names=list(columns))
                self.done += count
        else:
            yield from self._varying(columns, chosen)
        if len(self._data) > 2 * MAX_CELL:
            raise DataError(
                f"has a row of more than {MAX_CELL:,} bytes.", file=self.path, row=self.done + 1
            )
        if self._finished and self._data:
            raise DataError(f"is cut short within row {self.done + 1:,}.", file=self.path)

    def _fixed_record(self) -> np.dtype[Any] | None:
        if any(f.size is None for f in self.fields):
            return None
        parts: list[tuple[str, Any]] = [("mask", f"V{self._mask}")] if self._mask else []
        for number, f in enumerate(self.fields):
            size = f.size or 1
            if f.is_text:
                parts.append((f"f{number}", f"V{size * (2 if f.datatype == 'unicodeChar' else 1)}"))
            else:
                kind = TYPES[f.datatype][0]
                parts.append((f"f{number}", kind if size == 1 else (kind, (size,))))
        return np.dtype(parts)

    def _nulls(self, masks: npt.NDArray[np.uint8], number: int) -> npt.NDArray[np.bool_]:
        # The first column is the most significant bit of the first byte (VOTable §5.4).
        return np.asarray((masks[:, number // 8] >> (7 - number % 8)) & 1, dtype=np.bool_)

    def _fixed(self, field: VOField, rows: npt.NDArray[Any]) -> pa.Array:
        number = self.fields.index(field)
        raw = np.ascontiguousarray(rows[f"f{number}"])
        null = None
        if self._mask:
            masks = np.ascontiguousarray(rows["mask"]).view(np.uint8).reshape(len(rows), -1)
            null = self._nulls(masks, number)
        if field.is_text:
            cells = [bytes(cell) for cell in raw.tolist()] if len(raw) else []
            texts = [self._decode(field, cell, i) for i, cell in enumerate(cells)]
            return pa.array(texts, pa.string(), mask=null)
        return self._numbers(field, raw, null)

    def _numbers(
        self, field: VOField, raw: npt.NDArray[Any], null: npt.NDArray[np.bool_] | None
    ) -> pa.Array:
        if field.is_scalar:
            return self._flat(field, raw, null)
        size = field.size or 1
        values = self._flat(field, raw.reshape(-1), None)
        if null is None:
            return pa.FixedSizeListArray.from_arrays(values, size)
        return pa.FixedSizeListArray.from_arrays(values, size, mask=pa.array(null))

    def _flat(
        self, field: VOField, flat: npt.NDArray[Any], null: npt.NDArray[np.bool_] | None
    ) -> pa.Array:
        if field.datatype == "bit":
            # Writers disagree on which bit of the byte counts; the others are padding.
            values = flat != 0
        elif field.datatype == "boolean":
            values = np.isin(flat, [ord(c) for c in _TRUE])
            unknown = ~values & ~np.isin(flat, [ord(c) for c in _FALSE])
            null = unknown if null is None else null | unknown
        else:
            values = flat.astype(flat.dtype.newbyteorder("="))
            if field.null is not None and field.datatype not in {"float", "double"}:
                marked = values == self._marker(field)
                null = marked if null is None else null | marked
        return pa.array(values, mask=null)

    def _marker(self, field: VOField) -> int:
        try:
            return int(field.null or "", 0)
        except ValueError:
            raise DataError(
                "has VALUES null that is no whole number.",
                file=self.path,
                column=field.name,
                value=field.null,
            ) from None

    def _decode(self, field: VOField, cell: bytes, row: int) -> str:
        try:
            if field.datatype == "unicodeChar":
                return cell.decode("utf-16-be").split("\0", 1)[0]
            return cell.split(b"\0", 1)[0].decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.fault("is text that is not UTF-8", field.name, row, cell) from error

    def _varying(
        self, columns: Sequence[str], chosen: Sequence[VOField]
    ) -> Iterator[pa.RecordBatch]:
        """Walk rows whose texts vary in length; numbers are converted column by column."""
        data, position = self._data, 0
        cells: list[list[bytes]] = [[] for _ in self.fields]
        masks: list[bytes] = []
        sizes = [self._size_of(f) for f in self.fields]
        end = len(data)
        while True:
            at = position + self._mask
            row = []
            for size, unit in sizes:
                if size is None:
                    if at + 4 > end:
                        break
                    (count,) = struct.unpack_from(">I", data, at)
                    at += 4
                    if count * unit > MAX_CELL:
                        raise DataError(
                            f"says that a cell has {count:,} values.",
                            file=self.path,
                            row=self.done + len(masks) + 1,
                        )
                    stop = at + count * unit
                else:
                    stop = at + size
                if stop > end:
                    break
                row.append(data[at:stop])
                at = stop
            if len(row) < len(sizes):
                break
            for column, cell in zip(cells, row, strict=True):
                column.append(cell)
            masks.append(data[position : position + self._mask])
            position = at
        self._data = data[position:]
        if not masks:
            return
        bits = np.frombuffer(b"".join(masks) or bytes(len(masks)), np.uint8).reshape(len(masks), -1)
        arrays = []
        for f in chosen:
            number = self.fields.index(f)
            null = self._nulls(bits, number) if self._mask else None
            if f.is_text:
                texts = [self._decode(f, cell, i) for i, cell in enumerate(cells[number])]
                arrays.append(pa.array(texts, pa.string(), mask=null))
            else:
                raw = np.frombuffer(b"".join(cells[number]), TYPES[f.datatype][0])
                if f.size is None:
                    arrays.append(self._lists(f, cells[number], raw, null))
                elif f.is_scalar:
                    arrays.append(self._flat(f, raw, null))
                else:
                    arrays.append(self._numbers(f, raw, null))
        yield pa.RecordBatch.from_arrays(arrays, names=list(columns))
        self.done += len(masks)

    def _lists(
        self,
        field: VOField,
        cells: Sequence[bytes],
        raw: npt.NDArray[Any],
        null: npt.NDArray[np.bool_] | None,
    ) -> pa.Array:
        lengths = np.array([len(cell) for cell in cells]) // raw.dtype.itemsize
        offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
        values = self._flat(field, raw, None)
        mask = None if null is None else pa.array(null)
        return pa.ListArray.from_arrays(pa.array(offsets), values, mask=mask)

    def _size_of(self, field: VOField) -> tuple[int | None, int]:
        if field.is_text:
            unit = 2 if field.datatype == "unicodeChar" else 1
        else:
            unit = np.dtype(TYPES[field.datatype][0]).itemsize
        return (None if field.size is None else field.size * unit), unit

"""The rows of a VOTable: text (TABLEDATA) and binary (BINARY, BINARY2) as Arrow (VOTable §5)."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cerro_services.release.errors import DataError
from cerro_services.release.readers.base import Field

_TYPES: dict[str, tuple[str, pa.DataType]] = {
    "boolean": ("u1", pa.bool_()),
    "bit": ("u1", pa.bool_()),
    "unsignedByte": ("u1", pa.uint8()),
    "short": (">i2", pa.int16()),
    "int": (">i4", pa.int32()),
    "long": (">i8", pa.int64()),
    "float": (">f4", pa.float32()),
    "double": (">f8", pa.float64()),
    "char": ("", pa.string()),
    "unicodeChar": ("", pa.string()),
}
_TEXT = frozenset({"char", "unicodeChar"})
_TRUTHS = frozenset({"boolean", "bit"})
_TRUE, _FALSE = frozenset("tT1"), frozenset("fF0")
_BATCH = 20_000


@dataclass
class VOField:
    """One FIELD of a VOTable.

    Parameters
    ----------
    name, datatype, unit, ucd, utype, description
        As the document has them.
    size
        Number of values (or characters) in a cell; None if it varies.
    null
        Text of the value that stands for none (VALUES null).
    """

    name: str
    datatype: str
    size: int | None = 1
    unit: str | None = None
    ucd: str | None = None
    utype: str | None = None
    description: str | None = None
    null: str | None = None
    width: int | None = None

    @classmethod
    def from_attributes(cls, attributes: dict[str, str], path: Path) -> VOField:
        """Read a FIELD element.

        Raises
        ------
        DataError
            The type is one that a release cannot hold.
        """
        name = attributes.get("name") or attributes.get("ID") or "?"
        datatype = attributes.get("datatype", "")
        arraysize = attributes.get("arraysize", "1").strip()
        match = re.fullmatch(r"(\d+)?(\*)?", arraysize)
        ok = datatype in _TYPES and match is not None
        varies = match is not None and match[2] is not None and datatype not in _TEXT
        if not ok or varies or (datatype == "bit" and arraysize != "1"):
            raise DataError(
                f"is of type {datatype or '?'}[{arraysize}], which a release cannot hold: "
                "give scalars, text, or arrays of fixed length.",
                file=path,
                column=name,
            )
        assert match is not None
        return cls(
            name=name,
            datatype=datatype,
            size=None if match[2] else int(match[1] or 1),
            unit=attributes.get("unit"),
            ucd=attributes.get("ucd"),
            utype=attributes.get("utype"),
            width=int(match[1]) if match[1] else None,
        )

    @property
    def is_text(self) -> bool:
        """Whether cells are text."""
        return self.datatype in _TEXT

    @property
    def arrow(self) -> pa.DataType:
        """Arrow type of the column."""
        scalar = _TYPES[self.datatype][1]
        return scalar if self.is_text or self.size == 1 else pa.list_(scalar, self.size)

    def to_field(self) -> Field:
        """Give the column as every reader does."""
        return Field(
            self.name,
            self.arrow,
            unit=self.unit or None,
            ucd=self.ucd or None,
            utype=self.utype or None,
            description=self.description or None,
            length=self.width if self.is_text else None,
        )


class Decoder(ABC):
    """Collects rows and gives them as record batches.

    Parameters
    ----------
    path
        The file, for errors.
    fields
        The columns.
    with_nulls
        Whether each binary row begins with a mask of nulls (BINARY2).
    """

    def __init__(self, path: Path, fields: Sequence[VOField], *, with_nulls: bool) -> None:
        self.path, self.fields, self.with_nulls = path, list(fields), with_nulls
        self.done = 0

    @abstractmethod
    def take(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Give the rows that are complete."""

    @abstractmethod
    def finish(self) -> None:
        """Note that no more rows come."""

    def fault(self, problem: str, column: str, row: int, value: object) -> DataError:
        """Make the error of one cell; `row` counts from the rows given so far."""
        return DataError(
            problem, file=self.path, column=column, row=self.done + row + 1, value=value
        )


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
        if field.datatype not in _TRUTHS:
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
            if field.datatype in _TRUTHS:
                return {"t": True, "f": False, "1": True, "0": False}[text[0].lower()]
            if field.datatype in {"float", "double"}:
                return float(text)
            value = int(text, 0)
            pa.scalar(value, _TYPES[field.datatype][1])
        except (ValueError, KeyError, OverflowError, pa.ArrowInvalid) as error:
            raise self.fault(f"is no {field.datatype}", field.name, row, text) from error
        return value


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
                kind = _TYPES[f.datatype][0]
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
        size = field.size or 1
        flat = raw.reshape(-1)
        if null is not None:
            null = np.repeat(null, size)
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
                marked = values == int(field.null, 0)
                null = marked if null is None else null | marked
        array = pa.array(values, mask=null)
        return array if size == 1 else pa.FixedSizeListArray.from_arrays(array, size)

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
                raw = np.frombuffer(b"".join(cells[number]), _TYPES[f.datatype][0])
                arrays.append(self._numbers(f, raw, null))
        yield pa.RecordBatch.from_arrays(arrays, names=list(columns))
        self.done += len(masks)

    def _size_of(self, field: VOField) -> tuple[int | None, int]:
        unit = 2 if field.datatype == "unicodeChar" else 1
        if field.size is None:
            return None, unit
        width = unit if field.is_text else np.dtype(_TYPES[field.datatype][0]).itemsize
        return field.size * width, unit

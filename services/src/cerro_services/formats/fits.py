"""FITS binary table (FITS 4.0 §7.3).

A FITS header says how many rows there are and how long the longest text is, so the rows wait in a
temporary file until the last is known; only then the document begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.formats.fields import ARROW, Field
from cerro_services.formats.frame import BARE, Frame
from cerro_services.formats.packing import (
    Fixed,
    Numbers,
    Part,
    Varying,
    pack,
    padded,
    part,
    text_bytes,
)
from cerro_services.formats.sink import distinct
from cerro_services.formats.spool import Known, Spool, SpoolError

MIME = "application/fits"
_BLOCK = 2880
_COLUMNS = 999
_PADDED = 256 << 20
"""Bytes of a column of texts that may have one width."""
_LETTERS = {
    "boolean": "L",
    "unsignedByte": "B",
    "short": "I",
    "int": "J",
    "long": "K",
    "float": "E",
    "double": "D",
}
_BYTES = {"L": 1, "B": 1, "A": 1, "I": 2, "J": 4, "K": 8, "E": 4, "D": 8}
_WIDER = {"unsignedByte": "short", "short": "int", "int": "long"}
_ENDS = {
    "unsignedByte": (0, 255),
    "short": (-(2**15), 2**15 - 1),
    "int": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
}


@dataclass(frozen=True)
class _Column:
    """A column as FITS has it: `heap` if its values lie behind the table."""

    field: Field
    letter: str
    count: int
    heap: bool
    longest: int

    def form(self, wide: str) -> str:
        if self.heap:
            return f"1{wide}{self.letter}({self.longest})"
        return f"{self.count}{self.letter}" if self.count != 1 else self.letter


class FitsWriter:
    """Writes FITS: an empty primary HDU and a binary table.

    Parameters
    ----------
    fields
        The columns.
    frame
        What the document says besides the rows.

    Raises
    ------
    SpoolError
        There are more columns than FITS can number.
    """

    def __init__(self, fields: Sequence[Field], frame: Frame = BARE) -> None:
        if len(fields) > _COLUMNS:
            raise SpoolError(
                f"A FITS table holds {_COLUMNS} columns, the result has {len(fields)}. "
                "Select fewer, or ask for RESPONSEFORMAT=votable or parquet."
            )
        self._fields = fields
        self._info = frame.info
        self._spool = Spool(fields, frame.folder)

    def begin(self) -> bytes:
        """Write nothing: the header needs the number of rows."""
        return b""

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Lay a batch of rows aside.

        Raises
        ------
        SpoolError
            There is no room.
        """
        self._spool.add(batch)
        return b""

    def end(self, *, overflow: bool = False, error: str | None = None) -> Iterator[bytes]:
        """Write the document.

        Raises
        ------
        ConnectionAbortedError
            There was an error: nothing is written.
        """
        if error is not None:
            raise ConnectionAbortedError(error)
        self._spool.finish()
        return self._document(overflow=overflow)

    def close(self) -> None:
        """Remove the temporary file."""
        self._spool.close()

    # ---- inside -------------------------------------------------------------------------------

    def _document(self, *, overflow: bool) -> Iterator[bytes]:
        columns = [
            self._column(i, f, k)
            for i, (f, k) in enumerate(zip(self._fields, self._spool.known, strict=True))
        ]
        heap = sum(
            k.total * _BYTES[c.letter]
            for c, k in zip(columns, self._spool.known, strict=True)
            if c.heap
        )
        wide = "Q" if heap >= 2**31 else "P"
        width = sum(
            (16 if wide == "Q" else 8) if c.heap else c.count * _BYTES[c.letter] for c in columns
        )
        yield self._header(columns, width, heap, wide, overflow=overflow)
        place = 0
        for batch in self._spool.batches():
            parts, place = _row_parts(batch, columns, place, ">i8" if wide == "Q" else ">i4")
            yield pack(parts, batch.num_rows).tobytes()
        if heap:
            for batch in self._spool.batches():
                for array, column in zip(batch.columns, columns, strict=True):
                    if column.heap:
                        yield pack_heap(array, column.field)
        yield b"\0" * (-(width * self._spool.rows + heap) % _BLOCK)

    def _column(self, number: int, field: Field, known: Known) -> _Column:
        if field.is_text:
            width = max(1, known.longest)
            # One long text must not make every row as long. A little is no harm: astropy needs
            # much memory for long texts in the heap.
            size = width * self._spool.rows
            heap = size > _PADDED and size > 4 * (known.total + 16 * self._spool.rows)
            return _Column(field, "A", width, heap, known.longest)
        datatype = field.column.datatype or "int"
        if known.has_null and datatype in _ENDS:
            field, datatype = self._with_null(number, field, known)
        letter = _LETTERS[datatype]
        if field.length is None:
            return _Column(field, letter, 1, heap=True, longest=known.longest)
        return _Column(field, letter, field.length, heap=False, longest=0)

    def _with_null(self, number: int, field: Field, known: Known) -> tuple[Field, str]:
        """Find a value that no row has, to stand for NULL; a wider type if there is none."""
        datatype = field.column.datatype or "int"
        least, greatest = _ENDS[datatype]
        if known.least is None or known.least > least:
            return replace(field, null=least), datatype
        if known.greatest is None or known.greatest < greatest:
            return replace(field, null=greatest), datatype
        if datatype in _WIDER:
            datatype = _WIDER[datatype]
            kind = ARROW[datatype]
            column = replace(field.column, datatype=datatype)
            kind = pa.list_(kind) if field.is_list else kind
            return Field(column, kind, _ENDS[datatype][0]), datatype
        free = pa.array(range(least + 1, least + 1 + 64), pa.int64())
        for batch in self._spool.batches():
            array = batch.column(number)
            values = array.flatten() if field.is_list else array
            if len(free) > 1:
                free = free.filter(pc.invert(pc.is_in(free, value_set=values.drop_null())))
        return replace(field, null=free[0].as_py()), datatype

    def _header(
        self, columns: Sequence[_Column], width: int, heap: int, wide: str, *, overflow: bool
    ) -> bytes:
        from astropy.io import fits

        primary = fits.Header()
        primary["SIMPLE"], primary["BITPIX"], primary["NAXIS"] = True, 8, 0
        primary["EXTEND"] = True
        table = fits.Header()
        table["XTENSION"] = "BINTABLE"
        table["BITPIX"], table["NAXIS"] = 8, 2
        table["NAXIS1"], table["NAXIS2"] = width, self._spool.rows
        table["PCOUNT"], table["GCOUNT"], table["TFIELDS"] = heap, 1, len(columns)
        names = distinct([_plain(c.field.column.name) for c in columns], fold=True)
        for i, (name, column) in enumerate(zip(names, columns, strict=True), 1):
            table[f"TTYPE{i}"] = name
            table[f"TFORM{i}"] = column.form(wide)
            for key, value in _keywords(column):
                table[f"{key}{i}"] = value
        table["EXTNAME"] = "RESULT"
        table["QSTATUS"] = ("OVERFLOW" if overflow else "OK", "OVERFLOW: rows are missing")
        for key, value in self._info:
            table[key[:8]] = _plain(value)[:4000]
        text: str = primary.tostring() + table.tostring()
        return text.encode("ascii")


def _row_parts(
    batch: pa.RecordBatch, columns: Sequence[_Column], place: int, pointer: str
) -> tuple[list[Part], int]:
    """Give the cells of some rows, and where in the heap their values end."""
    parts: list[Part] = []
    for array, column in zip(batch.columns, columns, strict=True):
        if column.heap:
            counts = _counts(array, column.field)
            sizes = counts * _BYTES[column.letter]
            ends = np.cumsum(sizes)
            starts = place + ends - sizes
            parts.append(Fixed(np.stack((counts, starts), axis=1), pointer))
            place += int(ends[-1]) if len(ends) else 0
        elif column.field.is_text:
            # FITS means ASCII; other text is UTF-8, as astropy reads it.
            data = (array.fill_null("") if array.null_count else array).view(pa.binary())
            parts.append(Fixed(padded(data, column.count), "u1"))
        else:
            cast = array.cast(column.field.type)
            parts.append(part(cast, column.field, unknown=b"\0"))
    return parts, place


def _counts(array: pa.Array, field: Field) -> Numbers:
    lengths = pc.binary_length(array) if field.is_text else pc.list_value_length(array)
    counts: Numbers = lengths.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return counts


def pack_heap(array: pa.Array, field: Field) -> bytes:
    """Give the values of a column whose rows differ in length, one after the other."""
    if field.is_text:
        return text_bytes(array.fill_null("") if array.null_count else array).tobytes()
    cells = part(array.cast(field.type), field, unknown=b"\0")
    assert isinstance(cells, Varying)
    _, _, data = cells.data.buffers()
    return data.to_pybytes() if data is not None else b""


def _keywords(column: _Column) -> list[tuple[str, Any]]:
    about = column.field.column
    found: list[tuple[str, Any]] = [
        (key, _plain(value))
        for key, value in (
            ("TUNIT", about.unit),
            ("TUCD", about.ucd),
            ("TUTYP", about.utype),
            ("TXTYP", about.xtype),
            ("TCOMM", about.description),
        )
        if value
    ]
    if column.field.null is not None and column.letter in "BIJK":
        found.append(("TNULL", column.field.null))
    if "x" in (about.arraysize or "") and not column.heap:
        found.append(("TDIM", f"({','.join((about.arraysize or '').split('x'))})"))
    return found


def _plain(text: str | None) -> str:
    """Give text as a FITS header may hold it (§4.2.1)."""
    plain = (text or "").encode("ascii", "replace").decode()
    return "".join(sign if 32 <= ord(sign) < 127 else " " for sign in plain)

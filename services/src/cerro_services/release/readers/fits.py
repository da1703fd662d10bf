"""FITS binary tables, read record by record (FITS standard 4.0, §7.3)."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cerro_services.release.errors import DataError
from cerro_services.release.readers.base import BATCH_BYTES, Field, TableSource

_BLOCK = 2880
_CODES = {
    "L": ("u1", pa.bool_()),
    "B": ("u1", pa.uint8()),
    "I": (">i2", pa.int16()),
    "J": (">i4", pa.int32()),
    "K": (">i8", pa.int64()),
    "E": (">f4", pa.float32()),
    "D": (">f8", pa.float64()),
}
# Integers with an offset that only turns their sign bit (FITS §5.2.5).
_OFFSETS = {
    ("B", -128.0): ("i1", pa.int8()),
    ("I", 32768.0): ("u2", pa.uint16()),
    ("J", 2147483648.0): ("u4", pa.uint32()),
    ("K", 9223372036854775808.0): ("u8", pa.uint64()),
}
_REFUSED = {
    "P": "an array of variable length",
    "Q": "an array of variable length",
    "X": "a bit array",
    "C": "complex numbers",
    "M": "complex numbers",
}


@dataclass(frozen=True)
class _Column:
    field: Field
    code: str
    repeat: int
    dtype: npt.DTypeLike
    scale: float
    zero: float
    null: int | None

    def decode(self, raw: npt.NDArray[Any]) -> pa.Array:
        """Turn the bytes of a column into an Arrow array."""
        if self.code == "A":
            # A NUL ends a text; blanks at its end have no meaning (§7.3.3.1).
            texts = np.char.rstrip(raw.astype(f"S{max(1, self.repeat)}"))
            return pa.array(texts.astype(object), pa.binary()).cast(pa.string())
        flat = raw.reshape(-1)
        mask = None
        if self.code == "L":
            mask = flat == 0
            values = pa.array(flat == ord("T"), mask=mask)
        else:
            flat = flat.astype(flat.dtype.newbyteorder("="))
            if self.null is not None and self.code in "BIJK":
                mask = flat == self.null
            values = pa.array(self._scaled(flat), mask=mask)
        if self.repeat == 1:
            return values
        return pa.FixedSizeListArray.from_arrays(values, self.repeat)

    def _scaled(self, flat: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if (self.code, self.zero) in _OFFSETS and self.scale == 1:
            kind = np.dtype(_OFFSETS[self.code, self.zero][0])
            turned = np.bitwise_xor(flat, flat.dtype.type(self._sign_bit(flat.dtype)))
            return np.asarray(turned.view(kind))
        if self.scale != 1 or self.zero != 0:
            return flat.astype(np.float64) * self.scale + self.zero
        return flat

    @staticmethod
    def _sign_bit(dtype: np.dtype[Any]) -> int:
        return 128 if dtype.kind == "u" else int(np.iinfo(dtype).min)


class FitsSource(TableSource):
    """The first binary table of one FITS file, which may be compressed by gzip."""

    def _open(self) -> IO[bytes]:
        with self.path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        return cast("IO[bytes]", gzip.open(self.path)) if packed else self.path.open("rb")

    @cached_property
    def _table(self) -> tuple[Any, int]:
        """The header of the first binary table, and the offset of its rows."""
        from astropy.io import fits
        from astropy.io.fits.verify import VerifyError

        seen = []
        try:
            with self._open() as stream:
                while True:
                    try:
                        header = fits.Header.fromfile(stream, endcard=True)
                    except EOFError:
                        break
                    kind = header.get("XTENSION", "primary").strip()
                    # BINTABLE is also the wrapper of a compressed image.
                    if kind == "BINTABLE" and not header.get("ZIMAGE", False):
                        return header, stream.tell()
                    seen.append(kind)
                    stream.seek(_padded(_data_size(header)), 1)
        except (OSError, EOFError, VerifyError, KeyError, ValueError) as error:
            raise DataError(f"is a damaged FITS file: {error}.", file=self.path) from error
        found = f" (it has: {', '.join(seen)})" if seen else ""
        hint = " A TABLE extension is an ASCII table." if "TABLE" in seen else ""
        raise DataError(f"has no FITS binary table{found}.{hint}", file=self.path)

    @cached_property
    def _columns(self) -> dict[str, _Column]:
        header, _ = self._table
        columns = [self._column(header, n) for n in range(1, header["TFIELDS"] + 1)]
        return {column.field.name: column for column in columns}

    def _column(self, header: Any, n: int) -> _Column:
        name = str(header.get(f"TTYPE{n}", f"col{n}")).strip()
        form = str(header[f"TFORM{n}"]).strip()
        match = re.match(r"(\d*)([A-Z])", form)
        if match is None or match[2] in _REFUSED or match[2] not in (*_CODES, "A"):
            what = _REFUSED.get(match[2], "of an unknown type") if match else "of an unknown type"
            raise DataError(
                f"is {what} (TFORM {form}), which a release cannot hold. "
                "Leave it out of the file, or give scalars or arrays of fixed length.",
                file=self.path,
                column=name,
            )
        repeat, code = int(match[1] or 1), match[2]
        scale, zero = float(header.get(f"TSCAL{n}", 1)), float(header.get(f"TZERO{n}", 0))
        if code == "A":
            dtype, arrow = np.dtype(f"S{repeat}"), pa.string()
        else:
            raw, arrow = _CODES[code]
            if (code, zero) in _OFFSETS and scale == 1:
                arrow = _OFFSETS[code, zero][1]
            elif scale != 1 or zero != 0:
                arrow = pa.float64()
            dtype = np.dtype(raw) if repeat == 1 else np.dtype((raw, (repeat,)))
            arrow = arrow if repeat == 1 else pa.list_(arrow, repeat)
        text = {
            key: str(header[card + str(n)]).strip() or None
            for key, card in (("unit", "TUNIT"), ("ucd", "TUCD"), ("description", "TCOMM"))
            if header.get(card + str(n)) is not None
        }
        field = Field(name, arrow, length=repeat if code == "A" else None, **text)
        return _Column(field, code, repeat, dtype, scale, zero, header.get(f"TNULL{n}"))

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The columns of the file."""
        return tuple(column.field for column in self._columns.values())

    @property
    def nrows(self) -> int:
        """Number of rows."""
        return int(self._table[0]["NAXIS2"])

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read the rows, some megabytes at a time."""
        header, offset = self._table
        # A column of no bytes (TFORM 0A) has no place in a numpy record.
        present = {n: c for n, c in self._columns.items() if c.repeat}
        names = list(present)
        record = np.dtype([(f"f{i}", present[name].dtype) for i, name in enumerate(names)])
        width, nrows = int(header["NAXIS1"]), int(header["NAXIS2"])
        if record.itemsize != width:
            raise DataError(
                f"is a damaged FITS file: its columns take {record.itemsize} bytes a row, "
                f"NAXIS1 says {width}.",
                file=self.path,
            )
        chunk = max(1, BATCH_BYTES // max(1, width))
        with self._open() as stream:
            stream.seek(offset)
            for start in range(0, nrows, chunk):
                count = min(chunk, nrows - start)
                data = self._read(stream, count * width)
                if len(data) < count * width:
                    raise DataError(
                        f"is cut short: it ends after row {start + len(data) // width:,} of "
                        f"{nrows:,}. Fetch or write it again.",
                        file=self.path,
                        row=start + len(data) // width + 1,
                    )
                rows = np.frombuffer(data, record)
                yield pa.RecordBatch.from_arrays(
                    [
                        self._decode(present[name], rows[f"f{names.index(name)}"], start)
                        if name in present
                        else pa.array([""] * count)
                        for name in columns
                    ],
                    names=list(columns),
                )

    def _read(self, stream: IO[bytes], size: int) -> bytes:
        try:
            return stream.read(size)
        except EOFError:
            return b""

    def _decode(self, column: _Column, raw: npt.NDArray[Any], start: int) -> pa.Array:
        try:
            return column.decode(raw)
        except pa.ArrowInvalid as error:
            bad = next(i for i, text in enumerate(raw) if not _is_utf8(bytes(text)))
            raise DataError(
                "is text that is neither ASCII nor UTF-8.",
                file=self.path,
                column=column.field.name,
                row=start + bad + 1,
                value=bytes(raw[bad]),
            ) from error


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _data_size(header: Any) -> int:
    """Bytes of data after a header (FITS §4.4.1, eq. 1 and 2)."""
    axes = [int(header[f"NAXIS{i}"]) for i in range(1, int(header["NAXIS"]) + 1)]
    if not axes:
        return 0
    groups = axes[0] == 0 and header.get("GROUPS", False)
    product = int(np.prod(list(axes[1:]) if groups else axes, dtype=np.int64))
    size = abs(int(header["BITPIX"])) // 8 * int(header.get("GCOUNT", 1))
    return size * (int(header.get("PCOUNT", 0)) + product)

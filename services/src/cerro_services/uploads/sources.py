"""The reader of each format, opened on an upload after what its format allows was checked."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from cerro_services.release.errors import DataError
from cerro_services.release.readers import Field, TableSource
from cerro_services.uploads.errors import UploadError
from cerro_services.uploads.guard import BombError, check_parquet
from cerro_services.uploads.model import UploadLimits
from cerro_services.uploads.unpack import EXPANSION

_HEADER = 4 << 20
_FITS_HEADERS = 8 << 20


def open_source(path: Path, form: str, limits: UploadLimits) -> TableSource:
    """Open a reader.

    Parameters
    ----------
    path
        The file, without compression.
    form
        Its format, as `unpack.form_of` gives it.
    limits
        How large it may be.

    Raises
    ------
    UploadError, DataError, BombError
        It cannot be read, or would unfold into more than may be.
    """
    if form == "votable":
        from cerro_services.release.readers.votable import VOTableSource

        return VOTableSource(path)
    if form == "parquet":
        return _parquet(path, limits)
    if form == "fits":
        _check_fits(path, limits)
        from cerro_services.release.readers.fits import FitsSource

        return FitsSource(path)
    if form in {"arrow", "arrows"}:
        from cerro_services.uploads.arrowsource import ArrowSource

        return ArrowSource(path)
    _check_text(path)
    if form == "ecsv":
        from cerro_services.release.readers.text import EcsvSource

        return EcsvSource(path)
    if form == "tsv":
        return _tsv(path)
    from cerro_services.release.readers.text import CsvSource

    return CsvSource(path)


def _tsv(path: Path) -> TableSource:
    from cerro_services.release.readers.text import CsvSource

    class TsvSource(CsvSource):
        def _find_delimiter(self, _header: str) -> str:
            return "\t"

    return TsvSource(path)


def _parquet(path: Path, limits: UploadLimits) -> TableSource:
    try:
        check_parquet(path, rows=limits.rows, size=limits.total * EXPANSION)
    except (pa.ArrowException, OSError, OverflowError) as error:
        raise DataError(
            "is damaged Parquet, or cut short. Write or send it again.", file=path
        ) from error
    return _ParquetSource(path, limits.held_bytes)


class _ParquetSource(TableSource):
    """One Parquet file, its texts kept as dictionaries until they are measured."""

    def __init__(self, path: Path, size: int) -> None:
        from cerro_services.release.readers.parquet import ParquetSource

        super().__init__(path)
        self._described = ParquetSource(path)
        self._size = size

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The columns of the file."""
        return self._described.fields

    @property
    def nrows(self) -> int | None:
        """Number of rows."""
        return self._described.nrows

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read the rows, fewer at a time the wider they are."""
        import pyarrow.parquet as pq

        texts = [f.name for f in self.fields if _is_text(f.type)]
        nested = any(pa.types.is_nested(f.type) for f in self.fields)
        try:
            with pq.ParquetFile(
                self.path,
                read_dictionary=texts,
                thrift_string_size_limit=64 << 20,
                thrift_container_size_limit=4 << 20,
            ) as file:
                meta = file.metadata
                size = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
                width = max(8.0 * len(self.fields), size / max(1, meta.num_rows))
                rows = max(256, min(65_536, int((16 << 20) / width)))
                for batch in file.iter_batches(1024 if nested else rows, columns=list(columns)):
                    batch.validate(full=True)
                    yield batch.select(list(columns))
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise DataError(
                "is damaged Parquet. Write or send it again.", file=self.path
            ) from error


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


def _check_fits(path: Path, limits: UploadLimits) -> None:
    """Read the sizes that a FITS file gives itself, before a library believes them."""
    length = path.stat().st_size
    with path.open("rb") as stream:
        for _ in range(256):
            cards = _cards(stream, path)
            if not cards:
                return
            axes = [
                cards.get(f"NAXIS{n}", 0) for n in range(1, 1 + min(999, cards.get("NAXIS", 0)))
            ]
            size = abs(cards.get("BITPIX", 8)) // 8 if axes else 0
            for axis in axes:
                size *= axis
            size = (size + cards.get("PCOUNT", 0)) * max(1, cards.get("GCOUNT", 1))
            if min(axes, default=0) < 0 or size < 0 or cards.get("TFIELDS", 0) > 999:
                raise DataError("is FITS with sizes that cannot be.", file=path)
            at = stream.tell()
            if "TFIELDS" in cards:
                if cards.get("NAXIS2", 0) > limits.rows:
                    raise BombError(
                        f"has {cards['NAXIS2']:,} rows; at most {limits.rows:,} are read"
                    )
                if at + size > length:
                    raise DataError(
                        f"is FITS cut short: it has {length:,} of {at + size:,} bytes.", file=path
                    )
                if cards.get("NAXIS1", 0) > limits.held_bytes:
                    raise BombError(f"has rows of {cards['NAXIS1']:,} bytes")
                return
            stream.seek(at + -(-size // 2880) * 2880)


def _cards(stream: io.BufferedReader, path: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    read = 0
    while True:
        block = stream.read(2880)
        read += len(block)
        if not block and not found:
            return {}
        if len(block) < 2880 or read > _FITS_HEADERS:
            raise DataError("is FITS with a header that does not end.", file=path)
        for start in range(0, 2880, 80):
            card = block[start : start + 80]
            key = card[:8].decode("ascii", "replace").strip()
            if key == "END":
                return found or {"NAXIS": 0}
            value = card[10:30].decode("ascii", "replace").strip()
            if card[8:10] == b"= " and value.lstrip("+-").isdigit() and key not in found:
                found[key] = int(value)


def _check_text(path: Path) -> None:
    """Refuse a header that is no header, before it is read into memory."""
    with path.open("rb") as stream:
        read = 0
        while True:
            line = stream.readline(_HEADER)
            read += len(line)
            if read >= _HEADER:
                raise DataError(
                    f"begins with more than {_HEADER:,} bytes of names and comments.", file=path
                )
            if not line.startswith(b"#"):
                if not line.strip():
                    raise DataError("has no line of column names.", file=path)
                return


def described(name: str, error: Exception) -> UploadError:
    """Turn what a reader says of a file into what its sender understands.

    Parameters
    ----------
    name
        The upload.
    error
        Of the reader.
    """
    if not isinstance(error, DataError):
        return UploadError(name, f"{error}.")
    where = [f"column {error.column}"] if error.column is not None else []
    where += [f"row {error.row:,}"] if error.row is not None else []
    shown = "" if error.value is None else f" (value {repr(error.value)[:60]})"
    problem = error.problem.replace(str(error.file), name) + shown
    return UploadError(name, f"{', '.join(where)}: {problem}" if where else problem)

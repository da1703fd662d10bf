"""Which reader reads which file."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path

from cerro_services.release.errors import DataError
from cerro_services.release.readers.base import TableSource

_PARQUET_SUFFIXES = (".parquet", ".parq", ".pq")
FORMATS = "Parquet, CSV, ECSV, FITS (binary table) or VOTable"


def open_sources(paths: Iterable[Path]) -> list[TableSource]:
    """Open the files of one table; a folder stands for the Parquet files below it.

    Parameters
    ----------
    paths
        Files or folders, in the order in which their rows count.

    Returns
    -------
    list of TableSource
        One for each file.

    Raises
    ------
    DataError
        A file is missing, or is of no known format.
    """
    sources: list[TableSource] = []
    for path in paths:
        if path.is_dir():
            files = sorted(
                f
                for f in path.rglob("*")
                # A leading underscore or dot marks what is no data (_metadata, _SUCCESS).
                if f.suffix in _PARQUET_SUFFIXES
                and f.is_file()
                and not any(part.startswith(("_", ".")) for part in f.relative_to(path).parts)
            )
            if not files:
                raise DataError("is a folder without Parquet files.", file=path)
            sources.extend(_open(file) for file in files)
        else:
            sources.append(_open(path))
    return sources


def _open(path: Path) -> TableSource:
    return _reader(path)(path)


def _reader(path: Path) -> Callable[[Path], TableSource]:
    head = _head(path)
    if not head:
        raise DataError("is empty.", file=path)
    if head.startswith(b"PAR1") or path.suffix in _PARQUET_SUFFIXES:
        from cerro_services.release.readers.parquet import ParquetSource

        return ParquetSource
    if head.startswith(b"SIMPLE  ="):
        from cerro_services.release.readers.fits import FitsSource

        return FitsSource
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"<") and b"VOTABLE" in head.upper():
        from cerro_services.release.readers.votable import VOTableSource

        return VOTableSource
    if start.startswith(b"# %ECSV"):
        from cerro_services.release.readers.text import EcsvSource

        return EcsvSource
    name = path.name.lower().removesuffix(".gz").removesuffix(".bz2").removesuffix(".zst")
    if name.endswith((".csv", ".tsv", ".txt", ".dat")) and b"\0" not in head:
        from cerro_services.release.readers.text import CsvSource

        return CsvSource
    raise DataError(f"is of no format that is known here: give {FORMATS}.", file=path)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            head = stream.read(4096)
        if head.startswith(b"\x1f\x8b"):
            with gzip.open(path) as unpacked:
                head = unpacked.read(4096)
    except FileNotFoundError as error:
        raise DataError("does not exist.", file=path) from error
    except (OSError, EOFError) as error:
        raise DataError(f"cannot be read: {error}.", file=path) from error
    return head

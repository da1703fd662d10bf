"""Whether the files of a stored table are what its manifest says."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cerro_services.release.arrowtypes import arrow_schema
from cerro_services.release.files import sha256
from cerro_services.release.hats import Partition
from cerro_services.release.manifest import StoredFile, TableManifest
from cerro_services.release.model import SPATIAL_INDEX, TableModel

_MOST = 5
"""Problems told of one table: a lost disk need not fill the screen."""


def check_table(folder: Path, table: TableModel, stored: TableManifest) -> list[str]:
    """Compare a table's files with its manifest and its data model.

    Parameters
    ----------
    folder
        The table's folder.
    table
        The data model.
    stored
        The manifest.

    Returns
    -------
    list of str
        What is wrong, at most a few lines.
    """
    problems: list[str] = []
    for file in stored.files:
        problem = _check_file(folder, table, file)
        if problem:
            problems.append(f"Table {table.name}: {folder / file.path} {problem}")
            if len(problems) == _MOST:
                problems.append(f"Table {table.name}: … and perhaps more. Ingest it again.")
                return problems
    rows = sum(file.rows for file in stored.files if file.kind == "data")
    if rows != stored.rows:
        problems.append(f"Table {table.name}: files hold {rows:,} rows, not {stored.rows:,}.")
    unique = [f for f in stored.files if f.kind == "index" and (f.column,) == table.key]
    problems += [
        f"Table {table.name}: the index of {file.column} has {file.rows:,} rows, not {rows:,}."
        for file in unique
        if file.rows != rows
    ]
    return problems


def _check_file(folder: Path, table: TableModel, file: StoredFile) -> str | None:
    path = folder / file.path
    try:
        if path.stat().st_size != file.bytes:
            return f"has {path.stat().st_size:,} bytes, not {file.bytes:,}."
        if sha256(path) != file.sha256:
            return "has changed since it was written (its checksum differs)."
        if file.kind != "data":
            return None
        with pq.ParquetFile(path) as parquet:
            return _check_content(parquet, table, file)
    except FileNotFoundError:
        return "is missing."
    except (OSError, pa.ArrowException) as error:
        return f"cannot be read: {error}."


def _check_content(parquet: pq.ParquetFile, table: TableModel, file: StoredFile) -> str | None:
    meta = parquet.metadata
    if meta.num_rows != file.rows:
        return f"holds {meta.num_rows:,} rows, not {file.rows:,}."
    if not parquet.schema_arrow.equals(arrow_schema(table)):
        return "has other columns than the schema."
    if file.norder is None:
        return None
    column = parquet.schema_arrow.get_field_index(SPATIAL_INDEX)
    cell = Partition(Path(), file.norder, file.npix, file.rows)
    last = cell.lo
    for number in range(meta.num_row_groups):
        statistics = meta.row_group(number).column(column).statistics
        if not statistics or not statistics.has_min_max:
            continue
        if statistics.min < last or statistics.max >= cell.hi:
            return f"is not sorted by {SPATIAL_INDEX}, or has rows of other cells."
        last = statistics.max
    return None

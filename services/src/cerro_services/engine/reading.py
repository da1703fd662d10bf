# ruff: noqa: S608 - SQL is what this module writes; every name in it is the model's or its own.
"""What a scan has to read: the files of a release that hold its rows, and a first condition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from cerro_services.adql import Scan
from cerro_services.adql.values import literal, quoted
from cerro_services.engine.base import EngineError
from cerro_services.engine.coverage import Ranges, cover, merge
from cerro_services.objects import CachedPath
from cerro_services.release import SPATIAL_INDEX, Catalog

Fetch = Callable[[str], "np.ndarray[tuple[int], np.dtype[np.int64]]"]
"""Runs a query that gives one column of cells."""

REMOTE = "cerro"
"""Scheme of files that lie in an object store; see `cerro_services.engine.remote`."""
_MAX_KEYS = 64
"""Lookups of more values than this are left to the statistics of the row groups."""
_MAX_CELLS = 10_000
_WIDTHS = {"boolean": 1, "byte": 1, "short": 2, "int": 4, "float": 4, "long": 8, "double": 8}
_ROW_GROUP = 16_384
"""Rows that are read at least wherever a file is touched."""


@dataclass(frozen=True)
class Reading:
    """What a scan has to read.

    Parameters
    ----------
    sql
        A table expression; of a table in memory, the name to register it by.
    rows
        About how many rows are read, whether or not they fit.
    memory
        The table in memory, if it is one.
    bytes
        About how many bytes they take on disk.
    columns
        The columns that are read.
    paths
        The files that are read.
    ranges
        Cells that rows must lie in; None if they may lie anywhere.
    """

    sql: str
    rows: int
    memory: pa.Table | None = None
    bytes: int = 0
    columns: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    ranges: Ranges | None = None


def plan(scan: Scan, needed: int | None, fetch: Fetch) -> Reading:
    """Find out what a scan has to read.

    Parameters
    ----------
    scan
        The scan.
    needed
        How many rows answer the query, if any rows do; None if all that fit are needed.
    fetch
        Looks cells up in an index.

    Raises
    ------
    EngineError
        The table has no files.
    """
    stored = scan.table.stored
    if isinstance(stored, pa.Table):
        return Reading(f"m{scan.number}", stored.num_rows, stored)
    if not stored.files:
        raise EngineError(f"{scan.table.name} has no files. Publish the release again.")
    # A table whose rows are only counted needs some column all the same.
    names = tuple(scan.columns) or (scan.table.model.columns[0].name,)
    select = f"SELECT {', '.join(map(quoted, names))} FROM "
    ranges = _ranges(scan, stored, fetch)
    if ranges is None:
        paths, rows = _enough(stored, needed if scan.any_rows else None)
        size = _bytes(scan, stored, rows, names)
        return Reading(f"({select}{_parquet(paths)})", rows, None, size, names, tuple(paths))
    files = stored.files_for(ranges)
    if not files:
        files = (stored.files[0].path,)
        sql = f"({select}{_parquet(files)} WHERE FALSE)"
        return Reading(sql, 0, None, 0, names, files, ranges)
    sql = f"({select}{_parquet(files)} WHERE {_in_ranges(ranges)})"
    rows = _estimate(stored, ranges)
    return Reading(sql, rows, None, _bytes(scan, stored, rows, names), names, files, ranges)


def _ranges(scan: Scan, stored: Catalog, fetch: Fetch) -> Ranges | None:
    if not stored.is_spatial:
        return None
    ranges = cover(scan.regions)
    if ranges is not None:
        return ranges
    for column, keys in scan.equals:
        index = stored.indexes.get(column)
        if index is not None and len(keys) <= _MAX_KEYS:
            return _looked_up(index, column, keys, fetch)
    return None


def _looked_up(
    index: Path, column: str, keys: tuple[int | str, ...], fetch: Fetch
) -> Ranges | None:
    """Give the cells of rows by the values of a column that has an index."""
    members = ", ".join(literal(key) if isinstance(key, str) else str(key) for key in keys)
    cells = np.sort(
        fetch(
            f"SELECT DISTINCT {SPATIAL_INDEX} FROM {_parquet([index])} "
            f"WHERE {quoted(column)} IN ({members}) LIMIT {_MAX_CELLS}"
        )
    )
    if len(cells) >= _MAX_CELLS:
        return None
    return merge(np.column_stack((cells, cells + 1)), _MAX_KEYS)


def _enough(stored: Catalog, rows: int | None) -> tuple[list[Path], int]:
    """Give the first files that hold a number of rows; all if there is no number."""
    if rows is None:
        return [partition.path for partition in stored.files], stored.nrows
    paths: list[Path] = []
    found = 0
    for partition in stored.files:
        paths.append(partition.path)
        found += partition.nrows
        if found >= rows:
            break
    return paths, min(rows, found)


def _estimate(stored: Catalog, ranges: Ranges) -> int:
    """Estimate the rows within ranges, as if each file's rows were spread evenly over its cell."""
    lo, hi = ranges[:, 0].astype(float), ranges[:, 1].astype(float)
    total = 0.0
    for partition in stored.files:
        overlap = np.minimum(hi, partition.hi) - np.maximum(lo, partition.lo)
        covered = overlap[overlap > 0].sum() / (partition.hi - partition.lo)
        if covered:
            total += min(partition.nrows, covered * partition.nrows + _ROW_GROUP)
    return int(total)


def _bytes(scan: Scan, stored: Catalog, rows: int, columns: Sequence[str]) -> int:
    """Estimate the bytes on disk of some columns of a number of rows, by the columns' widths."""
    widths = {c.name: _WIDTHS.get(c.datatype, 12) for c in scan.table.model.columns}
    total = sum(widths.values()) + (8 if stored.is_spatial else 0)
    share = sum(widths.get(name, 8) for name in columns) / max(1, total)
    return int(stored.size * rows / max(1, stored.nrows) * share)


def _parquet(paths: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(map(_located, paths))}], hive_partitioning = false)"


@lru_cache(1 << 16)
def _located(path: Path) -> str:
    scheme = f"{REMOTE}://" if isinstance(path, CachedPath) else ""
    return literal(scheme + str(path.resolve()))


def _in_ranges(ranges: Ranges) -> str:
    tests = [f"{SPATIAL_INDEX} BETWEEN {lo} AND {hi - 1}" for lo, hi in ranges.tolist()]
    if len(tests) == 1:
        return tests[0]
    whole = f"{SPATIAL_INDEX} BETWEEN {int(ranges[0, 0])} AND {int(ranges[-1, 1]) - 1}"
    return f"{whole} AND ({' OR '.join(tests)})"

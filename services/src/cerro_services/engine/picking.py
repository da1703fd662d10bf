"""Which rows a query needs, found before it runs: by region, by key, and by what is joined.

A scan that asks for few rows of a large table is answered from its mapped files
(`cerro_services.engine.mapped`), and the database sees the rows alone. The rows of one scan then
limit those that are joined to it, by position or by key: an upload of ten thousand positions reads
the rows around them and no others.

More rows than are needed may be picked, never fewer: all conditions are tested again by the
database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.adql import Query, Scan
from cerro_services.engine.coverage import Ranges, cover, cover_circles
from cerro_services.engine.fetched import ahead, ready
from cerro_services.engine.files import Files
from cerro_services.engine.mapped import Integers, Spans
from cerro_services.objects import CachedPath
from cerro_services.release import SPATIAL_INDEX, Catalog

_VALUES = 10_000_000
"""Values that are picked at most for one query; larger answers are read by the database, which
holds only a part of them at a time."""
_DECODED = 80_000_000
"""Values that may be decoded to pick some of them."""
_OTHERS = 1_000_000
"""Rows of a scan at most whose positions or keys limit another."""
_RANGES, _FINER = 128, 2
"""Ranges of cells of a region, and how much smaller these are than those by which files are chosen.
As rows are picked by binary search, more ranges cost little, and spare the database rows."""
_KEYS_BY_TEXT = 64
_COPIED = {pa.bool_(), pa.float32(), pa.float64(), pa.string(), pa.timestamp("us")}
"""Types of columns, besides whole numbers, that the database would give as they are."""


class _Room:
    """What may still be picked for a query: each of its scans takes its part."""

    def __init__(self) -> None:
        self.values, self.decoded = _VALUES, _DECODED


class Picker:
    """Picks the rows of scans.

    Parameters
    ----------
    files
        The mapped files.
    """

    def __init__(self, files: Files) -> None:
        self._files = files

    def warm(self, catalog: Catalog) -> None:
        """Learn where the columns of a table lie in its files and indexes.

        Raises
        ------
        OSError, pyarrow.ArrowException
            A file cannot be read.
        """
        sorted_by = SPATIAL_INDEX if catalog.is_spatial else catalog.sorted_by
        if sorted_by is None or isinstance(catalog.root, CachedPath):
            # Of a bucket, it is learned when it is asked for.
            return
        paths = [part.path for part in catalog.files]
        self._files.check(catalog, paths)
        for path in paths:
            self._files.get(path, sorted_by).locate()
        for column, path in catalog.indexes.items():
            self._files.get(path, column).locate()

    def pick(self, scans: Sequence[Scan], needed: int | None) -> dict[int, pa.Table]:
        """Pick the rows of as many scans as ask for few.

        Parameters
        ----------
        scans
            The scans of a query.
        needed
            How many rows answer the query, where any rows do; None if all that fit are needed.

        Returns
        -------
        dict of int to pyarrow.Table
            By number of the scan: all its rows that can have a part in the answer, with the
            columns that the query uses. Tables in memory are among them.
        """
        found: dict[int, pa.Table] = {}
        waiting: list[Scan] = []
        room = _Room()
        for scan in scans:
            rows = self._alone(scan, needed, room)
            if rows is not None:
                found[scan.number] = rows
            elif isinstance(scan.table.stored, Catalog):
                waiting.append(scan)
        while True:
            more = {
                s.number: rows
                for s in waiting
                if (rows := self._joined(s, found, room)) is not None
            }
            if not more:
                return found
            found |= more
            waiting = [scan for scan in waiting if scan.number not in more]

    def _alone(self, scan: Scan, needed: int | None, room: _Room) -> pa.Table | None:
        """Pick by what the query says of the scan itself."""
        stored = scan.table.stored
        if isinstance(stored, pa.Table):
            return stored
        if not stored.files:
            return None
        for column, keys in scan.equals:
            ranges = self._by_key(stored, column, keys)
            if ranges is not None:
                return self._take(scan, stored, ranges, room)
        ranges = cover(scan.regions, limit=_RANGES, finer=_FINER) if stored.is_spatial else None
        if ranges is not None:
            return self._take(scan, stored, ranges, room)
        if scan.any_rows and needed is not None:
            return self._first(scan, stored, needed)
        return None

    def _joined(self, scan: Scan, found: dict[int, pa.Table], room: _Room) -> pa.Table | None:
        """Pick by the rows of the scans that it is joined to."""
        stored = scan.table.stored
        assert isinstance(stored, Catalog)
        if not stored.files:
            return None
        most = min(_OTHERS, stored.nrows)
        for column, other, theirs in scan.joined:
            rows = found.get(other.number)
            if rows is not None and rows.num_rows <= most:
                keys = rows.column(theirs).unique().drop_null()
                if pa.types.is_integer(keys.type):
                    ranges = self._by_key(stored, column, keys.to_numpy().astype(np.int64))
                    if ranges is not None:
                        return self._take(scan, stored, ranges, room)
        for beside, radius in scan.near if stored.is_spatial else ():
            rows, model = found.get(beside.number), beside.table.model
            if rows is not None and rows.num_rows <= most and model.ra and model.dec:
                lon, lat = (
                    np.asarray(rows.column(name).cast(pa.float64()).fill_null(np.nan))
                    for name in (model.ra, model.dec)
                )
                ranges = cover_circles(lon, lat, radius)
                if ranges is not None:
                    return self._take(scan, stored, ranges, room)
        return None

    def _by_key(
        self, stored: Catalog, column: str, keys: Sequence[int | str] | Integers
    ) -> Ranges | None:
        """Give the ranges of the sorted column that hold all rows with some values of a column.

        None if there is no index, or none that can be searched.
        """
        if len(keys) and isinstance(keys[0], str):
            if column not in stored.indexes or len(keys) > _KEYS_BY_TEXT:
                return None
            return stored.locate(column, list(keys))
        values = np.unique(_integers(keys))
        ranges = np.column_stack((values, values + 1))
        if stored.sorted_by == column and not stored.is_spatial:
            return ranges
        index = stored.indexes.get(column)
        if index is None:
            return None
        file = self._files.get(index, column)
        if not file.is_searchable():
            if len(keys) > _KEYS_BY_TEXT:
                return None
            return stored.locate(column, [int(key) for key in keys])
        spans = file.find(ranges)
        if not spans.rows:
            return np.empty((0, 2), np.int64)
        cells = np.unique(file.take(spans, [SPATIAL_INDEX]).column(0).to_numpy())
        return np.column_stack((cells, cells + 1))

    def _take(self, scan: Scan, stored: Catalog, ranges: Ranges, room: _Room) -> pa.Table | None:
        """Take the rows within ranges of the sorted column; None if they are too many."""
        sorted_by = SPATIAL_INDEX if stored.is_spatial else stored.sorted_by
        assert sorted_by is not None
        columns = _columns(scan)
        spans: list[Spans] = []
        values = decoded = 0
        paths = stored.files_for(ranges) if stored.is_spatial else [f.path for f in stored.files]
        if len(paths) > 1 and len(paths) * 0.5 > room.values / max(1, len(columns)):
            return None
        self._files.check(stored, paths)
        ahead(self._files, paths, sorted_by, ranges, columns)
        for path in paths:
            file = self._files.get(path, sorted_by)
            if not file.is_searchable():
                return None
            found = file.find(ranges)
            if not found.rows:
                continue
            spans.append(found)
            values += found.rows * len(columns)
            rest = file.rest(columns, found.groups)
            decoded += len(rest) * int(file.sizes[list(found.groups)].sum())
            if values > room.values or decoded > room.decoded:
                return None
        room.values -= values
        room.decoded -= decoded
        return self._table(stored, sorted_by, spans, columns)

    def _first(self, scan: Scan, stored: Catalog, needed: int) -> pa.Table | None:
        """Take the first rows there are."""
        sorted_by = SPATIAL_INDEX if stored.is_spatial else stored.sorted_by
        columns = _columns(scan)
        if sorted_by is None or needed > stored.files[0].nrows or needed * len(columns) > _VALUES:
            return None
        file = self._files.get(stored.files[0].path, sorted_by)
        if not len(file.sizes) or needed > file.sizes[0]:
            return None
        stop = np.array([needed], np.int64)
        span = Spans(file, (0,), (stop * 0,), (stop,), needed)
        return file.take(span, columns)

    def _table(
        self, stored: Catalog, sorted_by: str, spans: Sequence[Spans], columns: Sequence[str]
    ) -> pa.Table:
        if not spans:
            schema = self._files.get(stored.files[0].path, sorted_by).schema
            return pa.schema([(n, schema.field(n).type) for n in columns]).empty_table()
        ready(spans, columns)
        tables = [found.file.take(found, columns) for found in spans]
        self._files.note(sum(len(found.groups) for found in spans) * (len(columns) + 1))
        return pa.concat_tables(tables)


def copied(query: Query, picked: Mapping[int, pa.Table], limit: int | None) -> pa.Table | None:
    """Answer a query that computes nothing from the rows that were picked for it.

    Parameters
    ----------
    query
        The query.
    picked
        By number of the scan: its rows.
    limit
        Number of rows to stop after, besides TOP.

    Returns
    -------
    pyarrow.Table or None
        The answer, as the database would give it; None if that has to find it.
    """
    rows = picked.get(0)
    if query.copied is None or rows is None or isinstance(query.scans[0].table.stored, pa.Table):
        return None
    kinds = {rows.schema.field(name).type for name in query.copied}
    if not all(kind in _COPIED or pa.types.is_integer(kind) for kind in kinds):
        return None
    for column, keys in query.scans[0].equals:
        values = rows.column(column)
        if not pa.types.is_integer(values.type):
            return None
        # Other rows may lie in the same cell of the sky.
        known, bounds = _integers(keys), np.iinfo(values.type.to_pandas_dtype())
        wanted = known[(known >= bounds.min) & (known <= min(bounds.max, 2**63 - 1))]
        rows = rows.filter(pc.is_in(values, pa.array(wanted, values.type)))
    needed = query.needed(limit)
    rows = rows.slice(query.offset, None if needed is None else needed - query.offset)
    names = [f"c{i}" for i in range(len(query.copied))]
    return pa.table([rows.column(name) for name in query.copied], names)


def _columns(scan: Scan) -> list[str]:
    # A table whose rows are only counted needs some column all the same.
    return list(scan.columns) or [scan.table.model.columns[0].name]


def _integers(keys: Sequence[int | str] | Integers) -> Integers:
    if isinstance(keys, np.ndarray):
        return keys
    # No stored integer is beyond 64 bits, so no row has such a key.
    return np.array([k for k in keys if isinstance(k, int) and -(2**63) <= k < 2**63 - 1], np.int64)

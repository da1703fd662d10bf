"""Single rows straight from Parquet files, without reading whole row groups.

The writer of releases leaves positions, keys and most other numbers uncompressed, with one page a
column in each row group (`cerro_services.release.layout`). Such a column lies in the file as an
array: here it is mapped into memory, so that ranges of the sorted column are found by binary
search and the values of some rows are taken without decoding the rest. Columns that are stored in
another way are decoded by pyarrow, of the row groups that are touched.

Files of an older layout, or of another writer, are not mapped; DuckDB reads them.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from cerro_services.objects import CachedPath
from cerro_services.release.layout import PAGES

Integers = npt.NDArray[np.int64]

_PHYSICAL = {"INT32": "<i4", "INT64": "<i8", "FLOAT": "<f4", "DOUBLE": "<f8"}
_HEADER = 256
"""Bytes of a page's header and levels at most; more means that a chunk is not as expected."""
Stamp = tuple[int, int, int]


class ChangedError(OSError):
    """A published file is not what it was."""


@dataclass(frozen=True)
class Spans:
    """Rows of one file.

    Parameters
    ----------
    file
        The file.
    groups
        Row groups that hold them, in order.
    starts, stops
        For each of these groups: half-open ranges of rows, counted from the group's first row,
        sorted and apart.
    rows
        Their number.
    """

    file: MappedFile
    groups: tuple[int, ...]
    starts: tuple[Integers, ...]
    stops: tuple[Integers, ...]
    rows: int


@dataclass(frozen=True)
class _Places:
    """Where a column lies in each row group of a file.

    Parameters
    ----------
    begins, ends
        Offset of its chunk in the file.
    values
        Offset of its first value; -1 where they are encoded.
    dtype
        Type of its values, where they are not.
    """

    begins: Integers
    ends: Integers
    values: Integers
    dtype: np.dtype[Any]


class MappedFile:
    """One Parquet file, mapped into memory.

    Parameters
    ----------
    path
        The file.
    sorted_by
        The column that its rows are sorted by.
    """

    def __init__(self, path: Path, sorted_by: str) -> None:
        self.path = path
        self.meta = pq.read_metadata(path)
        schema = self.meta.schema.to_arrow_schema()
        self.schema = schema
        self.sorted_by = sorted_by
        self._columns = {self.meta.schema.column(i).path: i for i in range(self.meta.num_columns)}
        groups = range(self.meta.num_row_groups)
        self.sizes = np.array([self.meta.row_group(g).num_rows for g in groups], np.int64)
        self._paged = (schema.metadata or {}).get(PAGES) == b"one"
        self._places: dict[str, _Places] = {}
        with path.open("rb") as file:
            self.stamp = stamp_of(path)
            self._pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # What is needed is known before it is touched; what lies around it need not be read.
        self._pages.madvise(mmap.MADV_RANDOM)
        self._map = np.frombuffer(self._pages, np.uint8)
        self.lows, self.highs = self._bounds()

    @property
    def chunks(self) -> int:
        """Number of column chunks."""
        return int(self.meta.num_row_groups * self.meta.num_columns)

    def check(self) -> None:
        """Make sure that the file is still as it was: reading past a new end would be fatal.

        Raises
        ------
        ChangedError
            It has changed, though published files never do.
        """
        if stamp_of(self.path) != self.stamp:
            raise ChangedError(f"{self.path} has changed since it was published.")

    def unmap(self) -> None:
        """Give back the pages that were read. The system keeps them; we no longer count them."""
        self._pages.madvise(mmap.MADV_DONTNEED)

    def locate(self) -> None:
        """Find out where every column lies, which the first query would otherwise do."""
        for name in self._columns:
            self._place(name)

    def is_searchable(self) -> bool:
        """Whether rows can be found by the sorted column."""
        return bool(len(self.lows)) and bool((self._place(self.sorted_by).values >= 0).all())

    def find(self, ranges: Integers) -> Spans:
        """Find the rows whose value of the sorted column lies in some ranges.

        Parameters
        ----------
        ranges
            Half-open, sorted and apart, shape (n, 2).
        """
        lo, hi = ranges[:, 0], ranges[:, 1]
        firsts = np.searchsorted(hi, self.lows, side="right")
        lasts = np.searchsorted(lo, self.highs, side="right")
        groups, starts, stops, total = [], [], [], 0
        touched = np.flatnonzero(firsts < lasts).tolist()
        place = self._place(self.sorted_by)
        self._fetch([(int(place.begins[g]), int(place.ends[g])) for g in touched])
        for group in touched:
            first, last = firsts[group], lasts[group]
            values = self.values(self.sorted_by, group)
            if last - first == 1 and lo[first] <= values[0] and hi[first] > values[-1]:
                begin, end = np.zeros(1, np.int64), np.array([len(values)], np.int64)
            else:
                begin = values.searchsorted(lo[first:last])
                end = values.searchsorted(hi[first:last])
                some = begin < end
                begin, end = begin[some], end[some]
            if len(begin):
                groups.append(group)
                starts.append(begin)
                stops.append(end)
                total += int((end - begin).sum())
        return Spans(self, tuple(groups), tuple(starts), tuple(stops), total)

    def values(self, column: str, group: int) -> npt.NDArray[Any]:
        """Give the values of a mapped column in a row group, in place."""
        place = self._place(column)
        offset, dtype = int(place.values[group]), place.dtype
        return self._map[offset : offset + int(self.sizes[group]) * dtype.itemsize].view(dtype)

    def is_mapped(self, column: str, groups: Sequence[int]) -> bool:
        """Whether a column of some row groups can be taken without decoding."""
        values = self._place(column).values
        if len(groups) == 1:
            return bool(values[groups[0]] >= 0)
        return bool((values[list(groups)] >= 0).all())

    def take(self, spans: Spans, columns: Sequence[str]) -> pa.Table:
        """Give some columns of some rows, in their order in the file."""
        plain = [name for name in columns if self.is_mapped(name, spans.groups)]
        rest = [name for name in columns if name not in plain]
        self._fetch(self._parts(spans, plain, rest))
        pieces: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in plain}
        picked: list[Integers] = []
        before = 0
        for group, starts, stops in zip(spans.groups, spans.starts, spans.stops, strict=True):
            few = len(starts) <= _FEW
            rows = None if few and not rest else _rows(starts, stops)
            for name in plain:
                values = self.values(name, group)
                if few:
                    pieces[name] += [
                        values[a:b] for a, b in zip(starts.tolist(), stops.tolist(), strict=True)
                    ]
                else:
                    pieces[name].append(values[rows])
            if rest:
                assert rows is not None
                picked.append(rows + before)
                before += int(self.sizes[group])
        arrays: dict[str, Any] = {
            name: self._array(name, np.concatenate(pieces[name])) for name in plain
        }
        if rest:
            decoded = self._decode(spans.groups, rest).take(pa.array(np.concatenate(picked)))
            arrays |= {name: _flat(decoded[name], self.schema.field(name).type) for name in rest}
        schema = pa.schema([(name, self.schema.field(name).type) for name in columns])
        return pa.table([arrays[name] for name in columns], schema)

    def _parts(
        self, spans: Spans, plain: Sequence[str], rest: Sequence[str]
    ) -> list[tuple[int, int]]:
        """Give the parts of the file that hold some columns of some rows."""
        parts: list[tuple[int, int]] = []
        for place in map(self._place, rest):
            parts += [(int(place.begins[g]), int(place.ends[g])) for g in spans.groups]
        for place in map(self._place, plain):
            size = place.dtype.itemsize
            parts += [
                (int(place.values[g] + size * a[0]), int(place.values[g] + size * b[-1]))
                for g, a, b in zip(spans.groups, spans.starts, spans.stops, strict=True)
            ]
        return parts

    def _fetch(self, parts: list[tuple[int, int]]) -> None:
        """Let the system read all that will be touched at once, not page by page."""
        for begin, end in _merged(parts):
            self._pages.madvise(mmap.MADV_WILLNEED, begin, end - begin)

    def rest(self, columns: Iterable[str], groups: Sequence[int]) -> list[str]:
        """Give the columns that must be decoded."""
        return [name for name in columns if not self.is_mapped(name, groups)]

    def _decode(self, groups: Sequence[int], columns: Sequence[str]) -> pa.Table:
        text = [n for n in columns if pa.types.is_string(self.schema.field(n).type)]
        # From the pages that are mapped: a file that is opened is copied as it is read.
        pages = pa.BufferReader(pa.py_buffer(self._pages))
        file = pq.ParquetFile(pages, metadata=self.meta, read_dictionary=text, pre_buffer=False)
        return file.read_row_groups(
            list(groups), columns=list(columns), use_threads=len(groups) * len(columns) > _MANY
        )

    def _array(self, name: str, values: npt.NDArray[Any]) -> pa.Array:
        kind = self.schema.field(name).type
        array = pa.array(values)
        if array.type == kind:
            return array
        return array.view(kind) if pa.types.is_timestamp(kind) else array.cast(kind)

    def _place(self, column: str) -> _Places:
        """Say where a column lies in each row group."""
        found = self._places.get(column)
        if found is None:
            number = self._columns[column]
            kind = _PHYSICAL.get(self.meta.schema.column(number).physical_type, "<u1")
            dtype = np.dtype(kind)
            chunks = [self._chunk(g, number, dtype) for g in range(len(self.sizes))]
            begins, ends, values = np.array(chunks, np.int64).reshape(-1, 3).T
            found = self._places[column] = _Places(begins, ends, values, dtype)
        return found

    def _chunk(self, group: int, number: int, dtype: np.dtype[Any]) -> tuple[int, int, int]:
        """Give where a column chunk begins, ends, and has its values; -1 if these are encoded."""
        chunk = self.meta.row_group(group).column(number)
        begin = chunk.data_page_offset
        if chunk.has_dictionary_page:
            begin = min(begin, chunk.dictionary_page_offset)
        end = begin + chunk.total_compressed_size
        if not self._paged or dtype.itemsize == 1:
            return begin, end, -1
        known = chunk.statistics
        values = end - int(self.sizes[group]) * dtype.itemsize
        plain = (
            chunk.compression == "UNCOMPRESSED"
            and not chunk.has_dictionary_page
            and set(chunk.encodings) <= {"PLAIN", "RLE"}
            and known is not None
            and known.null_count == 0
            and 0 < values - begin <= _HEADER
        )
        return begin, end, values if plain else -1

    def _bounds(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Give the least and greatest value of the sorted column in each row group."""
        number = self._columns.get(self.sorted_by)
        groups = range(len(self.sizes))
        found = (
            []
            if number is None
            else [self.meta.row_group(g).column(number).statistics for g in groups]
        )
        if not all(s is not None and s.has_min_max for s in found):
            found = []
        return (
            np.array([s.min for s in found]),
            np.array([s.max for s in found]),
        )


_MANY = 16
"""Column chunks that are worth waking other threads for."""
_GAP = 32_768
"""Bytes between two parts of a file that are sooner read than passed over."""
_FEW = 8
"""Up to this many ranges of a row group are cut out; more are gathered row by row."""


def _rows(starts: Integers, stops: Integers) -> Integers:
    """Write ranges out: the numbers of all their rows."""
    lengths = stops - starts
    ends = np.cumsum(lengths)
    found: Integers = np.arange(ends[-1]) + np.repeat(starts - (ends - lengths), lengths)
    return found


def _merged(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join parts of a file that are near each other, in whole pages."""
    page = mmap.PAGESIZE
    found: list[tuple[int, int]] = []
    for begin, end in sorted(parts):
        if found and begin <= found[-1][1] + _GAP:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((begin - begin % page, end))
    return found


def _flat(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return column if column.type == kind else column.cast(kind)


def stamp_of(path: Path) -> Stamp:
    """Give what changes when a file does: its size, when it was written, which it is."""
    if isinstance(path, CachedPath):
        return path.stamp()
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino

"""Mapped files whose pages lie in an object store until they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from cerro_services.engine.files import Files
from cerro_services.engine.mapped import Integers, MappedFile, Spans
from cerro_services.objects import CachedPath

_CHUNKS = 64
"""Column chunks of a file that are fetched before it is known which of their rows are needed."""


class FetchedFile(MappedFile):
    """One Parquet file of an object store, mapped as far as it was needed.

    Parameters
    ----------
    path
        The file.
    sorted_by
        The column that its rows are sorted by.
    """

    def __init__(self, path: CachedPath, sorted_by: str) -> None:
        self.remote = path.file
        with self.remote.lease():
            self.remote.fetch_footer()
            super().__init__(path, sorted_by)

    def find(self, ranges: Integers) -> Spans:
        """Find the rows whose value of the sorted column lies in some ranges."""
        with self.remote.lease():
            return super().find(ranges)

    def take(self, spans: Spans, columns: Sequence[str]) -> pa.Table:
        """Give some columns of some rows, in their order in the file."""
        with self.remote.lease():
            return super().take(spans, columns)

    def ahead(self, ranges: Integers, columns: Sequence[str]) -> None:
        """Begin to fetch what finding and taking rows will need."""
        firsts = np.searchsorted(ranges[:, 1], self.lows, side="right")
        lasts = np.searchsorted(ranges[:, 0], self.highs, side="right")
        groups = np.flatnonzero(firsts < lasts)
        few = len(groups) * len(columns) <= _CHUNKS
        parts: list[tuple[int, int]] = []
        for place in map(self._place, {self.sorted_by, *(columns if few else ())}):
            parts += zip(place.begins[groups].tolist(), place.ends[groups].tolist(), strict=True)
        self.remote.begin(parts)

    def ready(self, spans: Spans, columns: Sequence[str]) -> None:
        """Begin to fetch some columns of some rows."""
        rest = self.rest(columns, spans.groups)
        plain = [name for name in columns if name not in rest]
        self.remote.begin(self._parts(spans, plain, rest))

    def _fetch(self, parts: list[tuple[int, int]]) -> None:
        self.remote.fetch(parts)


def opened(path: Path, sorted_by: str) -> MappedFile:
    """Map a file, wherever it lies."""
    if isinstance(path, CachedPath):
        return FetchedFile(path, sorted_by)
    return MappedFile(path, sorted_by)


def ahead(
    files: Files, paths: Sequence[Path], sorted_by: str, ranges: Integers, columns: Sequence[str]
) -> None:
    """Begin to fetch what rows of several files need, of all files at once.

    Parameters
    ----------
    files
        The mapped files.
    paths
        Those that have the rows.
    sorted_by
        The column that they are sorted by.
    ranges
        Of its values, as of `MappedFile.find`.
    columns
        What is needed of the rows.
    """
    remote = [path.file for path in paths if isinstance(path, CachedPath)]
    for one in remote:
        one.begin_footer()
    for path in paths if remote else ():
        file = files.get(path, sorted_by)
        if isinstance(file, FetchedFile):
            file.ahead(ranges, columns)


def ready(spans: Sequence[Spans], columns: Sequence[str]) -> None:
    """Begin to fetch some columns of rows that were found, of all files at once."""
    for found in spans:
        if isinstance(found.file, FetchedFile):
            found.file.ready(found, columns)

"""From a value to the sky: the reading side of the indexes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerro_services.objects import CachedPath, extent

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

_INDEXES = 256
"""Indexes whose footers are remembered; published files never change."""


class _Index:
    """One index file and the least and greatest value of each of its row groups."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self.path = path
        if isinstance(path, CachedPath):
            with path.file.lease():
                path.file.fetch_footer()
                self.file = pq.ParquetFile(path)
        else:
            self.file = pq.ParquetFile(path)
        self.column = self.file.schema_arrow.field(0)
        meta = self.file.metadata
        groups = [meta.row_group(i).column(0).statistics for i in range(meta.num_row_groups)]
        self.lows = [s.min if s and s.has_min_max else None for s in groups]
        self.highs = [s.max if s and s.has_min_max else None for s in groups]

    def groups(self, values: Sequence[Any]) -> list[int]:
        """Give the row groups that may hold one of the values."""
        found = []
        for number, (low, high) in enumerate(zip(self.lows, self.highs, strict=True)):
            if low is None or any(low <= value <= high for value in values):
                found.append(number)
        return found


@lru_cache(maxsize=_INDEXES)
def _open(path: Path, _stamp: tuple[int, ...]) -> _Index:
    return _Index(path)


def _stamp(path: Path) -> tuple[int, ...]:
    if isinstance(path, CachedPath):
        return path.stamp()
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_ino


def _read(path: Path, index: _Index, groups: list[int]) -> pa.Table:
    import pyarrow.parquet as pq

    meta = index.file.metadata
    with ExitStack() as held:
        if isinstance(path, CachedPath):
            held.enter_context(path.file.lease())
            chunks = [meta.row_group(g).column(c) for g in groups for c in range(meta.num_columns)]
            path.file.fetch([extent(chunk) for chunk in chunks])
        # A reader of its own: one ParquetFile must not be read by two threads at once.
        return held.enter_context(pq.ParquetFile(path, metadata=meta)).read_row_groups(groups)


def locate(path: Path, values: Sequence[Any]) -> npt.NDArray[np.int64]:
    """Find the HEALPix cells of the rows that have one of some values.

    Parameters
    ----------
    path
        An index (see `keys`).
    values
        What is looked for.

    Returns
    -------
    ndarray of int64, shape (n, 2)
        Half-open ranges of cells, order 29, sorted and not overlapping; n is 0 if no row has any
        of the values.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    index = _open(path, _stamp(path))
    try:
        wanted = pa.array(list(values), index.column.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        # A value that the column cannot hold stands in no row.
        return np.empty((0, 2), np.int64)
    groups = index.groups(wanted.to_pylist())
    if not groups:
        return np.empty((0, 2), np.int64)
    rows = _read(path, index, groups)
    hit = pc.is_in(rows.column(0), wanted)
    cells = np.unique(rows.filter(hit).column(rows.num_columns - 1).to_numpy())
    # Neighbouring cells become one range.
    breaks = np.flatnonzero(np.diff(cells) != 1) + 1
    starts = cells[np.r_[0, breaks]] if len(cells) else cells
    ends = cells[np.r_[breaks - 1, len(cells) - 1]] + 1 if len(cells) else cells
    return np.column_stack([starts, ends]).astype(np.int64)

"""Where the columns of a Parquet file in an object store lie, and whether they are here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow.parquet as pq

from cerro_services.engine.coverage import Ranges
from cerro_services.engine.mapped import Integers
from cerro_services.objects import CachedPath, extent
from cerro_services.objects.file import BLOCK
from cerro_services.release import SPATIAL_INDEX


@dataclass(frozen=True)
class Layout:
    """Where the columns of a file lie.

    Parameters
    ----------
    leaves
        Numbers of the stored columns that each column is made of.
    begins, ends
        Of each column chunk, shape (row groups, stored columns).
    lows, highs
        Least and greatest cell of each row group; None where they are not known.
    """

    leaves: dict[str, list[int]]
    begins: Integers
    ends: Integers
    lows: Integers | None
    highs: Integers | None

    def blocks(self, columns: tuple[str, ...], size: int) -> Integers:
        """Give the blocks that hold some columns of all rows, and what lies behind all columns."""
        leaves = [leaf for name in columns for leaf in self.leaves.get(name, ())]
        begins = np.append(self.begins[:, leaves].ravel(), self.ends.max(initial=0))
        ends = np.append(self.ends[:, leaves].ravel(), size)
        parts = [
            np.arange(a // BLOCK, -(-b // BLOCK))
            for a, b in zip(begins.tolist(), ends.tolist(), strict=True)
        ]
        return np.unique(np.concatenate(parts))

    def groups(self, ranges: Ranges | None) -> list[int]:
        """Give the row groups that may hold rows of a region."""
        if ranges is None or self.lows is None or self.highs is None or not len(ranges):
            return list(range(len(self.begins)))
        near = (self.highs >= ranges[0, 0]) & (self.lows < ranges[-1, 1])
        return [int(group) for group in np.flatnonzero(near)]


@lru_cache(1024)
def layout(path: CachedPath) -> Layout:
    """Find out where the columns of a file lie."""
    with path.file.lease():
        path.file.fetch_footer()
        meta = pq.read_metadata(path)
    count = meta.num_columns
    extents = np.array(
        [extent(meta.row_group(g).column(c)) for g in range(meta.num_row_groups)
         for c in range(count)], np.int64
    ).reshape(-1, count, 2)  # fmt: skip
    names = [meta.schema.column(c).path for c in range(count)]
    leaves = {
        name: [c for c, path in enumerate(names) if path == name or path.startswith(f"{name}.")]
        for name in meta.schema.to_arrow_schema().names
    }
    lows = highs = None
    if SPATIAL_INDEX in names:
        number = names.index(SPATIAL_INDEX)
        known = [meta.row_group(g).column(number).statistics for g in range(meta.num_row_groups)]
        if all(one is not None and one.has_min_max for one in known):
            lows = np.array([one.min for one in known], np.int64)
            highs = np.array([one.max for one in known], np.int64)
    return Layout(leaves, extents[..., 0], extents[..., 1], lows, highs)


@lru_cache(4096)
def _blocks(path: CachedPath, columns: tuple[str, ...]) -> Integers:
    return layout(path).blocks(columns, path.file.size)


def is_here(path: CachedPath, columns: tuple[str, ...]) -> bool:
    """Whether all is here that a scan of a file reads. Hold a lease for it to stay so."""
    file = path.file
    file.check()
    return file.has([(file.size - 1, file.size)]) and file.marked(_blocks(path, columns))

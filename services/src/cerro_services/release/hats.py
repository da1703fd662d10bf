"""What lies on disk of one table: HATS partitions and their HEALPix ranges (reading side).

A table's folder holds ``manifest.json``, written last when the table is complete, which lists the
files. The folder is HATS besides (https://www.ivoa.net/documents/Notes/HATS/), so any HATS reader
opens it; the manifest only spares us the listing and the footers of all files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cerro_services.release.errors import DamagedError
from cerro_services.release.files import sha256

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

ORDER = 29
SKY = 12 << (2 * ORDER)
"""Number of HEALPix cells of order 29."""
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Partition:
    """One Parquet file of a table.

    Parameters
    ----------
    path
        The file.
    norder, npix
        Its HEALPix cell (nested), or None for a table without positions.
    nrows
        Its number of rows.
    size, sha256
        Its size in bytes and its checksum; 0 and empty where they are not known.
    """

    path: Path
    norder: int | None
    npix: int | None
    nrows: int
    size: int = 0
    sha256: str = ""

    @property
    def lo(self) -> int:
        """First order-29 cell of the partition."""
        if self.norder is None or self.npix is None:
            return 0
        return self.npix << (2 * (ORDER - self.norder))

    @property
    def hi(self) -> int:
        """The order-29 cell after the last of the partition."""
        if self.norder is None or self.npix is None:
            return SKY
        return (self.npix + 1) << (2 * (ORDER - self.norder))


@dataclass(frozen=True, eq=False)
class Catalog:
    """The stored files of one table.

    Parameters
    ----------
    root
        The table's folder.
    files
        Its partitions, in order of their position on the sky.
    indexes
        By column: the Parquet file with that column and ``_healpix_29``, sorted; see `locate`.
    sorted_by
        The column that the rows of each file, and the files, are sorted by; None if there is none.
    """

    root: Path
    files: tuple[Partition, ...]
    indexes: Mapping[str, Path] = field(default_factory=dict)
    sorted_by: str | None = None

    @property
    def nrows(self) -> int:
        """Number of rows in all partitions."""
        return sum(partition.nrows for partition in self.files)

    @property
    def size(self) -> int:
        """Size of all partitions in bytes."""
        return sum(partition.size for partition in self.files)

    @cached_property
    def sizes(self) -> Mapping[Path, int]:
        """Size of each partition in bytes, by path."""
        return {partition.path: partition.size for partition in self.files if partition.size}

    def holds(self, path: Path) -> bool:
        """Whether a partition is, byte for byte, what was written; reads all of it."""
        known = next((one.sha256 for one in self.files if one.path == path), "")
        return bool(known) and sha256(path) == known

    @property
    def is_spatial(self) -> bool:
        """Whether rows have positions, so that files are pruned by HEALPix."""
        return any(partition.norder is not None for partition in self.files)

    @cached_property
    def _bounds(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        import numpy as np

        return (
            np.array([p.lo for p in self.files], dtype=np.int64),
            np.array([p.hi for p in self.files], dtype=np.int64),
        )

    def files_for(self, ranges: npt.NDArray[np.int64]) -> tuple[Path, ...]:
        """Give the files that hold rows of a region of the sky.

        Parameters
        ----------
        ranges : ndarray, shape (n, 2)
            Half-open ranges of HEALPix cells, order 29, nested; sorted and not overlapping.

        Returns
        -------
        tuple of Path
            The partitions that touch any of the ranges; all files if rows have no position.
        """
        import numpy as np

        ranges = np.asarray(ranges, dtype=np.int64).reshape(-1, 2)
        if not len(ranges):
            return ()
        lo, hi = self._bounds
        # The first range that ends after the partition begins must begin before it ends.
        first = np.searchsorted(ranges[:, 1], lo, side="right")
        touched = first < len(ranges)
        touched[touched] = ranges[first[touched], 0] < hi[touched]
        return tuple(self.files[i].path for i in np.flatnonzero(touched))

    def locate(self, column: str, values: Sequence[object]) -> npt.NDArray[np.int64] | None:
        """Find where on the sky rows with some values lie, by the index of a column.

        Parameters
        ----------
        column
            The column, such as the key.
        values
            What is looked for.

        Returns
        -------
        ndarray of int64, shape (n, 2), or None
            Half-open ranges of order-29 cells that hold every such row, for `files_for` and for a
            condition on ``_healpix_29``; None if the column has no index.
        """
        path = self.indexes.get(column)
        if path is None:
            return None
        from cerro_services.release.lookup import locate

        return locate(path, values)

    @classmethod
    def read(cls, root: Path) -> Catalog | None:
        """Read the catalogue of a table's folder.

        Parameters
        ----------
        root
            The table's folder.

        Returns
        -------
        Catalog or None
            None if the table is not there, or not complete.

        Raises
        ------
        DamagedError
            The manifest cannot be read.
        """
        try:
            text = (root / MANIFEST).read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            document = json.loads(text)
            return cls(
                root,
                tuple(
                    Partition(
                        root / f["path"],
                        f["norder"],
                        f["npix"],
                        f["rows"],
                        f["bytes"],
                        f.get("sha256", ""),
                    )
                    for f in document["files"]
                    if f["kind"] == "data"
                ),
                {f["column"]: root / f["path"] for f in document["files"] if f["kind"] == "index"},
                document.get("sorted_by"),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedError(
                f"{root / MANIFEST} cannot be read ({error}). Ingest the table again."
            ) from error

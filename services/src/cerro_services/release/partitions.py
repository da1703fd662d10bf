"""How a catalogue is divided into HATS partitions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cerro_services.release.hats import ORDER

MAX_ORDER = 18
"""Deepest partition (0.8 arcsec): rows that still crowd one cell stay in one file."""


@dataclass(frozen=True)
class Tile:
    """One partition to be written: a HEALPix cell and its number of rows."""

    norder: int
    npix: int
    nrows: int

    @property
    def lo(self) -> int:
        """First order-29 cell."""
        return self.npix << (2 * (ORDER - self.norder))

    @property
    def hi(self) -> int:
        """The order-29 cell after the last."""
        return (self.npix + 1) << (2 * (ORDER - self.norder))

    @property
    def path(self) -> str:
        """Place of the file in the catalogue's folder (HATS §3)."""
        group = self.npix // 10_000 * 10_000
        return f"dataset/Norder={self.norder}/Dir={group}/Npix={self.npix}.parquet"


def divide(count: Callable[[int, int], int], max_rows: int) -> list[Tile]:
    """Divide the sky into cells of at most `max_rows` rows, as large as may be.

    Parameters
    ----------
    count
        Gives the number of rows in a half-open range of order-29 cells.
    max_rows
        Most rows of a partition.

    Returns
    -------
    list of Tile
        Cells that have rows, in the order of the sky.
    """
    found: list[Tile] = []
    todo = [(0, npix) for npix in range(11, -1, -1)]
    while todo:
        norder, npix = todo.pop()
        shift = 2 * (ORDER - norder)
        nrows = count(npix << shift, (npix + 1) << shift)
        if nrows > max_rows and norder < MAX_ORDER:
            todo.extend((norder + 1, 4 * npix + k) for k in (3, 2, 1, 0))
        elif nrows:
            found.append(Tile(norder, npix, nrows))
    return found

"""Regions of the sky as ranges of HEALPix cells.

A region becomes a bounded list of half-open ranges of cells (order 29, nested) that cover it:
coarse enough to be few, fine enough to read little besides. The exact test follows on the rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import hpgeom  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt

from cerro_services.adql import Circle, Region
from cerro_services.adql.shapes import Polygon
from cerro_services.release.hats import ORDER

Ranges = npt.NDArray[np.int64]

MAX_RANGES = 32
"""More ranges read fewer rows too many, but cost more to test on each row group."""
_DEEPEST = 18
_CELL = 58.6
"""Side of a HEALPix cell of order 0 in degrees; each order halves it."""
_WIDEST = 45.0
"""Degrees; a wider region spares little of the sky, and mocpy's cover of wide circles has gaps."""
_WIDE = 5.0
"""Degrees; wider circles about many positions are not told apart."""
_MARGIN = 1e-7
"""Degrees by which a circle is widened, so that rounding loses no row at its edge."""


def cover(regions: Sequence[Region], *, limit: int = MAX_RANGES, finer: int = 0) -> Ranges | None:
    """Give the cells that may hold rows of all the regions.

    Parameters
    ----------
    regions
        Regions that every row must lie in.
    limit
        Greatest number of ranges.
    finer
        Orders by which the cells are smaller than a quarter of the region's radius.

    Returns
    -------
    ndarray of int64, shape (n, 2), or None
        Half-open ranges of order-29 cells, sorted and apart; None where there is no region, or
        one that holds the whole sky. No range at all means that no row can be in all of them.
    """
    found: Ranges | None = None
    for region in regions:
        cells = _cells(region, finer)
        if cells is not None:
            found = cells if found is None else intersection(found, cells)
    return None if found is None else merge(found, limit)


def intersection(a: Ranges, b: Ranges) -> Ranges:
    """Give what is in both of two lists of ranges.

    Parameters
    ----------
    a, b
        Half-open ranges, each list sorted and apart, shape (n, 2).
    """
    firsts = np.searchsorted(b[:, 1], a[:, 0], side="right")
    lasts = np.searchsorted(b[:, 0], a[:, 1], side="left")
    counts = np.maximum(lasts - firsts, 0)
    mine = np.repeat(np.arange(len(a)), counts)
    theirs = np.arange(len(mine)) + np.repeat(firsts - (np.cumsum(counts) - counts), counts)
    return np.column_stack(
        (np.maximum(a[mine, 0], b[theirs, 0]), np.minimum(a[mine, 1], b[theirs, 1]))
    )


def cover_circles(
    lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64], radius: float
) -> Ranges | None:
    """Give the cells that may hold rows within a distance of any of some positions.

    Parameters
    ----------
    lon, lat : ndarray, shape (n,)
        Positions in degrees; those that are no places on the sky are passed over.
    radius
        Distance in degrees.

    Returns
    -------
    ndarray of int64, shape (m, 2), or None
        Half-open ranges of order-29 cells, sorted and apart; None where the circles are so large
        that they spare little of the sky.
    """
    places = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90.0)
    lon, lat = lon[places] % 360.0, lat[places]
    if radius < 0 or not len(lon):
        return np.empty((0, 2), np.int64)
    if radius > _WIDE:
        return None
    # No side of a cell is shorter than half of the mean: with its neighbours, a cell of three radii
    # holds every circle about a position in it. Most of these nine have the same parent.
    fine = max(0, min(_DEEPEST + 2, int(math.log2(_CELL / max(3 * (radius + _MARGIN), 1e-5)))))
    depth = max(0, fine - 2)
    cells = np.unique(hpgeom.angle_to_pixel(1 << fine, lon, lat, nest=True, lonlat=True))
    around = hpgeom.neighbors(1 << fine, cells).ravel()
    cells = np.unique(np.concatenate((cells, around[around >= 0])) >> (2 * (fine - depth)))
    breaks = np.flatnonzero(np.diff(cells) != 1)
    starts = cells[np.concatenate(([0], breaks + 1))]
    ends = cells[np.concatenate((breaks, [len(cells) - 1]))] + 1
    return np.column_stack((starts, ends)) << (2 * (ORDER - depth))


def merge(ranges: Ranges, limit: int) -> Ranges:
    """Close the smallest gaps until no more than `limit` ranges are left.

    Parameters
    ----------
    ranges
        Half-open ranges, sorted and apart, shape (n, 2).
    limit
        Greatest number of ranges.
    """
    if len(ranges) <= limit:
        return ranges
    gaps = ranges[1:, 0] - ranges[:-1, 1]
    kept = np.sort(np.argpartition(gaps, -(limit - 1))[-(limit - 1) :]) if limit > 1 else gaps[:0]
    starts = np.concatenate((ranges[:1, 0], ranges[kept + 1, 0]))
    ends = np.concatenate((ranges[kept, 1], ranges[-1:, 1]))
    return np.column_stack((starts, ends))


def warm() -> None:
    """Load what covering polygons needs: mocpy takes a second, which no query should wait for."""
    cover([Polygon(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))])


def _cells(region: Region, finer: int = 0) -> Ranges | None:
    bounding = region if isinstance(region, Circle) else region.bounding
    if bounding.radius > _WIDEST or not abs(bounding.lat) <= 90.0:
        return None
    if bounding.radius < 0:
        return np.empty((0, 2), np.int64)
    order = int(math.log2(_CELL / max(bounding.radius, 1e-5))) + 2 + finer
    depth = max(0, min(_DEEPEST, order))
    if isinstance(region, Circle):
        # 25 microseconds, where mocpy's cone takes 500, most of them for units.
        found = hpgeom.query_circle(
            1 << depth,
            region.lon % 360.0,
            region.lat,
            region.radius + _MARGIN,
            inclusive=True,
            nest=True,
            lonlat=True,
            return_pixel_ranges=True,
        )
        return np.asarray(found, np.int64) << (2 * (ORDER - depth))
    from astropy import units
    from astropy.coordinates import Latitude, Longitude
    from mocpy import MOC

    lon, lat = zip(*region.vertices, strict=True)
    cells = MOC.from_polygon(
        Longitude(np.array(lon) * units.deg), Latitude(np.array(lat) * units.deg), max_depth=depth
    )
    return np.asarray(cells.to_depth29_ranges).astype(np.int64)

"""Functions that SQL has no words for, on columns of Arrow: shapes, HEALPix, proper motion.

An engine registers each `Kernel` under its name. They take as many rows as the engine likes at a
time and never fail on a value: what has no answer is NULL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cerro_services.adql import parts, sphere
from cerro_services.adql.errors import AdqlError
from cerro_services.adql.motion import propagated
from cerro_services.adql.regions import parse_region
from cerro_services.adql.shapes import MAX_VERTICES, box

type Array = Any
Floats = npt.NDArray[np.float64]
_WORK = 2_000_000
"""Pairs of vertices that are looked at in one go, so that memory stays bounded."""
DEEPEST = 29


@dataclass(frozen=True)
class Kernel:
    """A function on columns.

    Parameters
    ----------
    name
        Its name in SQL.
    arguments, result
        Types in SQL.
    run
        From Arrow arrays of one length to an array of that length.
    """

    name: str
    arguments: tuple[str, ...]
    result: str
    run: Callable[..., Array]


def _lists(array: Array) -> tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give the numbers of a column of lists, with where each begins and how long it is."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if not len(array.offsets):
        nothing = np.zeros(0, np.int64)
        return np.zeros(0), nothing, nothing
    offsets = np.asarray(array.offsets, np.int64)
    values = np.asarray(array.values.to_numpy(zero_copy_only=False), np.float64)
    lengths = np.diff(offsets)
    if array.null_count:
        lengths = np.where(np.asarray(array.is_valid()), lengths, 0)
    return values, offsets[:-1], lengths


def _shapes(kind: str, numbers: Floats) -> sphere.Shapes:
    if kind == "d":
        centre = sphere.vectors(numbers[:, 0], numbers[:, 1])
        wide = numbers.shape[1] > 2
        return sphere.Discs(centre, np.radians(numbers[:, 2] if wide else 0 * numbers[:, 0]))
    return sphere.Polygons(sphere.vectors(numbers[:, ::2], numbers[:, 1::2]))


def _fits(kind: str, length: int) -> bool:
    if kind == "d":
        return length in {2, 3}
    return length >= 6 and length % 2 == 0 and length <= 2 * MAX_VERTICES


def _groups(columns: list[tuple[Any, ...]]) -> Iterator[tuple[npt.NDArray[np.int64], list[Floats]]]:
    """Give rows whose lists are of the same lengths, with their numbers as matrices."""
    lengths = np.stack([column[2] for column in columns], axis=1)
    for size in np.unique(lengths, axis=0):
        rows = np.flatnonzero((lengths == size).all(axis=1))
        step = max(1, _WORK // max(1, int(np.prod(np.maximum(size, 1)))))
        for start in range(0, len(rows), step):
            chosen = rows[start : start + step]
            yield (
                chosen,
                [
                    values[begin[chosen, None] + np.arange(n)[None, :]]
                    for (values, begin, _), n in zip(columns, size, strict=True)
                ],
            )


def _compared(
    test: Callable[[Any, Any], npt.NDArray[np.bool_]],
) -> Callable[[Array, Array, Array], Array]:
    def run(first: Array, second: Array, kinds: Array) -> Array:
        found, known = np.zeros(len(first), bool), np.zeros(len(first), bool)
        if not len(first):
            return pa.array(found)
        a, b = tuple(str(kinds[0]))
        for rows, (x, y) in _groups([_lists(first), _lists(second)]):
            if not (_fits(a, x.shape[1]) and _fits(b, y.shape[1])):
                continue
            left, right = _shapes(a, x), _shapes(b, y)
            with np.errstate(all="ignore"):
                known[rows] = sphere.valid(left) & sphere.valid(right)
                found[rows] = test(left, right)
        return pa.array(found, mask=~known)

    return run


def _area(array: Array, kinds: Array) -> Array:
    result = np.full(len(array), np.nan)
    for rows, (numbers,) in _groups([_lists(array)]):
        if _fits(str(kinds[0]), numbers.shape[1]):
            shapes = _shapes(str(kinds[0]), numbers)
            result[rows] = np.where(sphere.valid(shapes), sphere.area(shapes), np.nan)
    return pa.array(result, mask=np.isnan(result))


def _centroid(array: Array, kinds: Array) -> Array:
    result = np.full((len(array), 2), np.nan)
    for rows, (numbers,) in _groups([_lists(array)]):
        if _fits(str(kinds[0]), numbers.shape[1]):
            shapes = _shapes(str(kinds[0]), numbers)
            centre = np.stack(sphere.positions(sphere.centroid(shapes)), axis=1)
            result[rows] = np.where(sphere.valid(shapes)[:, None], centre, np.nan)
    return _points(result)


def _points(numbers: Floats) -> Array:
    """Give rows of numbers as lists; NULL where one of them is not known."""
    n, width = numbers.shape
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * width, pa.int32())
    missing = pa.array(np.isnan(numbers).any(axis=1))
    return pa.ListArray.from_arrays(offsets, pa.array(numbers.ravel()), mask=missing)


def _box(lon: Array, lat: Array, width: Array, height: Array) -> Array:
    rows: list[list[float] | None] = []
    for numbers in zip(*(x.to_pylist() for x in (lon, lat, width, height)), strict=True):
        try:
            rows.append([n for v in box(*numbers).vertices for n in v])
        except (AdqlError, TypeError, ValueError):
            rows.append(None)
    return pa.array(rows, pa.list_(pa.float64()))


def _texts(give: Callable[..., Any], kind: pa.DataType, count: int) -> Callable[..., Array]:
    """Make a kernel of a function of regions written as text."""

    def one(*texts: str | None) -> Any:
        try:
            return give(*(parse_region(text) for text in texts if text is not None))
        except (AdqlError, TypeError, ValueError, OverflowError):
            return None

    def run(*columns: Array) -> Array:
        rows = zip(*(column.to_pylist() for column in columns), strict=True)
        return pa.array([None if None in row else one(*row) for row in rows], kind)

    def of_one(text: Array) -> Array:
        return run(text)

    def of_two(first: Array, second: Array) -> Array:
        return run(first, second)

    # Engines count the arguments of a function by its signature.
    return of_one if count == 1 else of_two


def _healpix_index(order: Array, lon: Array, lat: Array) -> Array:
    from cdshealpix.nested import lonlat_to_healpix

    depth, x, y = _integers(order), _numbers(lon), _numbers(lat)
    fits = (depth >= 0) & (depth <= DEEPEST) & np.isfinite(x) & (np.abs(y) <= 90)
    cells = np.zeros(len(x), np.int64)
    for level in np.unique(depth[fits]):
        rows = np.flatnonzero(fits & (depth == level))
        lonlat = _angles(x[rows] % 360.0, y[rows])
        cells[rows] = lonlat_to_healpix(*lonlat, int(level)).astype(np.int64)
    return pa.array(cells, mask=~fits)


def _angles(lon: Floats, lat: Floats) -> tuple[Any, Any]:
    from astropy import units
    from astropy.coordinates import Latitude, Longitude

    return Longitude(lon, units.deg, copy=False), Latitude(lat, units.deg, copy=False)


def _healpix_center(order: Array, cell: Array) -> Array:
    from cdshealpix.nested import healpix_to_lonlat

    depth, index = _integers(order), _integers(cell)
    fits = (depth >= 0) & (depth <= DEEPEST) & (index >= 0)
    fits &= index < 12 * np.power(4, np.clip(depth, 0, DEEPEST).astype(np.int64))
    result = np.full((len(index), 2), np.nan)
    for level in np.unique(depth[fits]):
        rows = np.flatnonzero(fits & (depth == level))
        lon, lat = healpix_to_lonlat(index[rows].astype(np.uint64), int(level))
        result[rows] = np.stack([lon.deg, lat.deg], axis=1)
    return _points(result)


def _motion(
    ra: Array,
    dec: Array,
    parallax: Array,
    pmra: Array,
    pmdec: Array,
    rv: Array,
    reference: Array,
    target: Array,
) -> Array:
    columns = (ra, dec, parallax, pmra, pmdec, rv, reference, target)
    numbers = [_numbers(column) for column in columns]
    with np.errstate(all="ignore"):
        return _points(np.stack(propagated(*numbers), axis=1))


def _numbers(column: Array) -> Floats:
    """Give a column of doubles; NaN where it is NULL."""
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)


def _integers(column: Array) -> npt.NDArray[np.int64]:
    """Give a column of whole numbers from 0 on; -1 where it is NULL."""
    return np.asarray(column.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)


_LIST, _PAIR = "DOUBLE[]", ("DOUBLE[]", "DOUBLE[]", "VARCHAR")
KERNELS = (
    Kernel("sky_contains", _PAIR, "BOOLEAN", _compared(sphere.contains)),
    Kernel("sky_intersects", _PAIR, "BOOLEAN", _compared(sphere.intersects)),
    Kernel("sky_area", (_LIST, "VARCHAR"), "DOUBLE", _area),
    Kernel("sky_centroid", (_LIST, "VARCHAR"), _LIST, _centroid),
    Kernel("sky_box", ("DOUBLE",) * 4, _LIST, _box),
    Kernel("region_contains", ("VARCHAR",) * 2, "BOOLEAN", _texts(parts.contains, pa.bool_(), 2)),
    Kernel(
        "region_intersects", ("VARCHAR",) * 2, "BOOLEAN", _texts(parts.intersects, pa.bool_(), 2)
    ),
    Kernel("region_area", ("VARCHAR",), "DOUBLE", _texts(parts.area, pa.float64(), 1)),
    Kernel(
        "region_centroid",
        ("VARCHAR",),
        _LIST,
        _texts(parts.centroid, pa.list_(pa.float64()), 1),
    ),
    Kernel("healpix_index", ("BIGINT", "DOUBLE", "DOUBLE"), "BIGINT", _healpix_index),
    Kernel("healpix_center", ("BIGINT", "BIGINT"), _LIST, _healpix_center),
    Kernel("epoch_prop", ("DOUBLE",) * 8, _LIST, _motion),
)

"""Which stamps are cut from which image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cerro_services.cutout.errors import DamagedImageError
from cerro_services.cutout.reading import image_of, opened, pixels_of, wcs_of
from cerro_services.images import Image

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_COARSE = 0.5
"""Degrees in declination beyond an image within which positions are looked at closely."""


@dataclass(frozen=True)
class Work:
    """The stamps of one image.

    Parameters
    ----------
    image
        The image.
    rows
        Rows of the table of positions.
    x, y
        The pixel of each position, counted from 0.
    """

    image: Image
    rows: Ints
    x: Ints
    y: Ints


def plan(images: Sequence[Image], ra: Floats, dec: Floats) -> tuple[list[Work], list[str]]:
    """Find the positions that lie in each image.

    Parameters
    ----------
    images
        The images.
    ra, dec
        Positions (ICRS, degrees), of shape (n,).

    Returns
    -------
    tuple
        Work for each image that has some, and what is said of images that cannot be read. Of
        coadds that overlap, a position is cut from the one in which it is farthest from the edge;
        of exposures, from each.
    """
    made: list[Work] = []
    faults: list[str] = []
    best: dict[str, Floats] = {}
    coadds: list[tuple[Image, Ints, Ints, Ints, Floats]] = []
    for image in images:
        try:
            rows, x, y, edge = _inside(image, ra, dec)
        except DamagedImageError as error:
            faults.append(f"{image.id}: {error.message}")
            continue
        if not len(rows):
            continue
        if image.row.get("lsst_tract") is None:
            made.append(Work(image, rows, x, y))
            continue
        band = str(image.row.get("lsst_band"))
        most = best.setdefault(band, np.full(len(ra), -1.0))
        most[rows] = np.maximum(most[rows], edge)
        coadds.append((image, rows, x, y, edge))
    for image, rows, x, y, edge in coadds:
        most = best[str(image.row.get("lsst_band"))]
        chosen = edge >= most[rows]
        # Of two that are as good, the first has it.
        most[rows[chosen]] = np.inf
        if chosen.any():
            made.append(Work(image, rows[chosen], x[chosen], y[chosen]))
    return made, faults


def _inside(image: Image, ra: Floats, dec: Floats) -> tuple[Ints, Ints, Ints, Floats]:
    """Give the positions that lie in an image, their pixels, and how far the edge is."""
    reach = float(image.row.get("s_fov") or 180.0) / 2 + _COARSE
    near = np.flatnonzero(np.abs(dec - float(image.row["s_dec"])) <= reach)
    if len(near):
        half = np.radians(ra[near] - float(image.row["s_ra"])) / 2
        lat, centre = np.radians(dec[near]), np.radians(float(image.row["s_dec"]))
        chord = np.sin((lat - centre) / 2) ** 2 + np.cos(lat) * np.cos(centre) * np.sin(half) ** 2
        near = near[2 * np.arcsin(np.sqrt(np.clip(chord, 0, 1))) <= np.radians(reach)]
    if not len(near):
        none = np.empty(0, np.int64)
        return none, none, none, np.empty(0)
    with opened(image.path) as hdus:
        hdu = image_of(hdus)
        height, width = hdu.shape
        wcs = wcs_of(image.path, hdu.header)
    x, y = pixels_of(wcs, ra[near], dec[near])
    with np.errstate(invalid="ignore"):
        good = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    x, y, near = x[good], y[good], near[good]
    edge = np.minimum(np.minimum(x, width - 1 - x), np.minimum(y, height - 1 - y))
    whole = (np.floor(v + 0.5).astype(np.int64) for v in (x, y))
    return near, *whole, edge

"""Reads the pixels of a part of an image, and no more of the file than they need.

Files are FITS, compressed by tiles or not: astropy's sections read the tiles that a part touches.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cerro_services.cutout.errors import DamagedImageError, NoOverlapError
from cerro_services.cutout.stencils import Stencil

if TYPE_CHECKING:
    from astropy.io import fits
    from astropy.wcs import WCS

_POINTERS = ("INDXADDR", "INDXSIZE", "JSONADDR", "JSONSIZE", "FMTVER", "CHECKSUM", "DATASUM")
"""Keywords that hold for the whole file only."""
_WCS = threading.Lock()
"""Astropy's WCS is not for two threads at once."""


@dataclass(frozen=True)
class Box:
    """Pixels from the first to before the last, counted from 0.

    Parameters
    ----------
    x0, x1, y0, y1
        Columns and rows.
    """

    x0: int
    x1: int
    y0: int
    y1: int

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)


@contextmanager
def opened(path: Path) -> Iterator[fits.HDUList]:
    """Open a FITS file.

    Raises
    ------
    DamagedImageError
        It is gone or cannot be read.
    """
    from astropy.io import fits

    try:
        with fits.open(path, memmap=True, lazy_load_hdus=True) as hdus:
            yield hdus
    except (OSError, TypeError, ValueError, IndexError, KeyError, EOFError) as error:
        raise DamagedImageError(
            f"The file {path.name} cannot be read. The operator should check the release: "
            "cerro release check."
        ) from error


def image_of(hdus: fits.HDUList) -> Any:
    """Give the HDU with the pixels: the first image on the sky.

    Raises
    ------
    DamagedImageError
        There is none.
    """
    from cerro_services.release.obscore.header import image_hdu

    found = image_hdu(hdus)
    if found is None:
        raise DamagedImageError("The file has no image on the sky.")
    return found


def wcs_of(path: Path, header: fits.Header) -> WCS:
    """Give the WCS of an image; a file that did not change is read once."""
    return _wcs(path, path.stat().st_mtime_ns, header["NAXIS1"], header.tostring())


@lru_cache(maxsize=256)
def _wcs(_path: Path, _changed: int, _width: int, header: str) -> WCS:
    from astropy.io import fits
    from astropy.wcs import WCS

    return WCS(fits.Header.fromstring(header), naxis=2)


def box_of(stencil: Stencil, wcs: WCS, width: int, height: int) -> Box:
    """Give the pixels of an image that a stencil touches.

    Parameters
    ----------
    stencil
        The part of the sky.
    wcs
        Of the image.
    width, height
        Size of the image in pixels.

    Returns
    -------
    Box
        The smallest that holds the stencil's part of the image.

    Raises
    ------
    NoOverlapError
        There is none.
    """
    x, y = pixels_of(wcs, *stencil.outline())
    good = np.isfinite(x)
    x, y = x[good], y[good]
    if not len(x):
        raise NoOverlapError("The stencil shows nothing of the image.")
    x0, x1 = _ends(x, width)
    y0, y1 = _ends(y, height)
    if x0 >= x1 or y0 >= y1:
        raise NoOverlapError("The stencil shows nothing of the image.")
    return Box(x0, x1, y0, y1)


def pixels_of(wcs: WCS, ra: Any, dec: Any) -> tuple[Any, Any]:
    """Give the pixels of positions.

    Parameters
    ----------
    wcs
        Of the image.
    ra, dec
        Positions in degrees, of shape (n,).

    Returns
    -------
    tuple of ndarray
        Columns and rows, counted from 0; NaN where a position has none.
    """
    with _WCS, np.errstate(all="ignore"):
        x, y = wcs.all_world2pix(ra, dec, 0, quiet=True, tolerance=1e-5)
        back_ra, back_dec = wcs.all_pix2world(x, y, 0)
    # Points on the other side of the sky have pixels, too, and these are no place of theirs.
    good = _apart(ra, dec, back_ra, back_dec) < 1e-3
    return np.where(good, x, np.nan), np.where(good, y, np.nan)


def _apart(ra: Any, dec: Any, ra2: Any, dec2: Any) -> Any:
    """Give how far places are apart, in degrees."""
    with np.errstate(all="ignore"):
        a, d, a2, d2 = (np.radians(v) for v in (ra, dec, ra2, dec2))
        half = np.sin((d - d2) / 2) ** 2 + np.cos(d) * np.cos(d2) * np.sin((a - a2) / 2) ** 2
        apart = np.degrees(2 * np.arcsin(np.sqrt(np.clip(half, 0, 1))))
    return np.where(np.isfinite(apart), apart, np.inf)


def _ends(places: Any, size: int) -> tuple[int, int]:
    """Give the first pixel and the one after the last; pixel n is from n - 0.5 to n + 0.5."""
    low = int(np.floor(max(places.min() + 0.5, 0.0)))
    high = int(np.floor(min(places.max() + 0.5, size - 1.0)))
    return low, high + 1


def pixels(hdu: Any, box: Box) -> Any:
    """Read the pixels of a box."""
    return np.ascontiguousarray(hdu.section[box.y0 : box.y1, box.x0 : box.x1])


def cut_header(header: fits.Header, box: Box) -> fits.Header:
    """Give the header of a part of an image: its pixels are where they were on the sky."""
    made = header.copy()
    for letter in ("", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        for axis, begin in ((1, box.x0), (2, box.y0)):
            name = f"CRPIX{axis}{letter}"
            if name in made:
                made[name] -= begin
    for axis, begin in ((1, box.x0), (2, box.y0)):
        if f"LTV{axis}" in made:
            made[f"LTV{axis}"] -= begin
    for name in _POINTERS:
        made.remove(name, ignore_missing=True)
    return made


def shared_header(header: fits.Header) -> fits.Header:
    """Give the primary header of a cutout: what the parent's says, but where things lie in it."""
    made = header.copy()
    for name in _POINTERS:
        made.remove(name, ignore_missing=True)
    return made

"""Positions as HEALPix cells of order 29, nested."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

ORDER = 29


def cells(ra: npt.NDArray[np.float64], dec: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Give the cell of each position.

    Parameters
    ----------
    ra, dec : ndarray, shape (n,)
        ICRS position in degrees, 0 to 360 and -90 to 90.

    Returns
    -------
    ndarray of int64, shape (n,)
        Nested HEALPix cells of order 29 (Górski et al. 2005, ApJ 622, 759).
    """
    import astropy.units as u
    from astropy.coordinates import Latitude, Longitude
    from cdshealpix.nested import lonlat_to_healpix

    found = lonlat_to_healpix(
        Longitude(ra, u.deg, copy=False),
        Latitude(dec, u.deg, copy=False),
        np.uint8(ORDER),
        num_threads=os.cpu_count() or 1,
    )
    return np.asarray(found).astype(np.int64)

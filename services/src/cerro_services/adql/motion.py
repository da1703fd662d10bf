"""Stars moved along straight lines in space to another epoch (ESA SP-1200 §1.5.5)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_AU = 4.740470463533348
"""One astronomical unit a Julian year in km/s."""
_MAS = np.pi / 180 / 3.6e6


def propagated(
    ra: Floats,
    dec: Floats,
    parallax: Floats,
    pmra: Floats,
    pmdec: Floats,
    rv: Floats,
    reference: Floats,
    target: Floats,
) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
    """Move stars to another epoch.

    Parameters
    ----------
    ra, dec
        Positions in degrees.
    parallax
        In mas; NaN or not positive if not known: then the star does not come nearer.
    pmra, pmdec
        Proper motions in mas/yr, that in right ascension with cos(dec).
    rv
        Radial velocities in km/s; NaN if not known.
    reference, target
        Epochs in Julian years.

    Returns
    -------
    tuple of six ndarrays
        The same at the epoch asked for: ra, dec, parallax, pmra, pmdec, rv.
    """
    years = target - reference
    a, d = np.radians(ra), np.radians(dec)
    known = np.isfinite(parallax) & (parallax > 0)
    near = np.where(known, parallax, 0.0)
    speed = np.where(np.isfinite(rv), rv, 0.0)
    mu_r = speed * near / _AU * _MAS
    east = np.stack([-np.sin(a), np.cos(a), 0 * a], axis=-1)
    north = np.stack([-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)], axis=-1)
    out = np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=-1)
    x, y = np.where(np.isfinite(pmra), pmra, 0.0), np.where(np.isfinite(pmdec), pmdec, 0.0)
    mu = (x * _MAS)[:, None] * east + (y * _MAS)[:, None] * north
    mu2 = (mu * mu).sum(axis=-1)
    f = 1 / np.sqrt(1 + 2 * mu_r * years + (mu2 + mu_r**2) * years**2)
    moved = (out * (1 + mu_r * years)[:, None] + mu * years[:, None]) * f[:, None]
    motion = (mu * (1 + mu_r * years)[:, None] - out * (mu2 * years)[:, None]) * (f**3)[:, None]
    radial = (mu_r + (mu2 + mu_r**2) * years) * f**2
    lon = np.arctan2(moved[:, 1], moved[:, 0])
    lat = np.arctan2(moved[:, 2], np.hypot(moved[:, 0], moved[:, 1]))
    p = np.stack([-np.sin(lon), np.cos(lon), 0 * lon], axis=-1)
    q = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], axis=-1)
    later = near * f
    velocity = np.where(known, radial / _MAS * _AU / np.where(known, later, 1.0), speed)
    return (
        np.degrees(lon) % 360.0,
        np.degrees(lat),
        later,
        (motion * p).sum(axis=-1) / _MAS,
        (motion * q).sum(axis=-1) / _MAS,
        velocity,
    )

"""What is in the simulated sky: an old star cluster, field stars and galaxies.

The cluster makes a colour-magnitude diagram that one recognises: main sequence, turn-off, giant
branch, and a horizontal branch on which the RR Lyrae lie. Its ridge line is drawn by hand after
those of old, metal-poor globular clusters; nothing here is a stellar model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.table import Table, vstack

from cerro_pipelines.exposure import NANOJANSKY_ZERO_POINT

from .config import BANDS, SurveyConfig

__all__ = ["flux_from_mag", "make_galaxies", "make_stars", "offset_position", "random_stream"]

type FloatArray = npt.NDArray[np.floating[Any]]

DISTANCE_MODULUS = 17.75
"""Puts the horizontal branch at r = 18.3 and the turn-off at 21.75."""

# Absolute r magnitude and g - r along the ridge line, from the tip of the giant branch down.
_RIDGE_R = np.array(
    [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 3.4, 3.7, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0]
)
_RIDGE_GR = np.array(
    [1.35, 1.05, 0.85, 0.72, 0.62, 0.55, 0.49, 0.43, 0.33, 0.27, 0.26, 0.30, 0.44, 0.66, 0.96, 1.2]
)


def random_stream(seed: int, *purpose: int) -> np.random.Generator:
    """Give a stream of random numbers for one purpose, independent of the order of calls."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=purpose))


def flux_from_mag(mag: npt.ArrayLike) -> FloatArray:
    """Turn AB magnitudes into nJy."""
    return np.asarray(10.0 ** (0.4 * (NANOJANSKY_ZERO_POINT - np.asarray(mag))))


def offset_position(
    config: SurveyConfig, east: npt.ArrayLike, north: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Give right ascension and declination (degrees) of tangent-plane offsets in arcsec."""
    xi, eta = np.radians(np.asarray(east) / 3600.0), np.radians(np.asarray(north) / 3600.0)
    dec0 = np.radians(config.dec)
    denominator = np.cos(dec0) - eta * np.sin(dec0)
    ra = np.degrees(np.arctan2(xi, denominator)) + config.ra
    dec = np.degrees(np.arctan2(np.sin(dec0) + eta * np.cos(dec0), np.hypot(xi, denominator)))
    return ra % 360.0, dec


def _r_minus_i(g_minus_r: FloatArray) -> FloatArray:
    """Follow the stellar locus: r - i grows slowly with g - r until the M dwarfs."""
    return np.asarray(0.36 * g_minus_r - 0.02 + 2.5 * np.clip(g_minus_r - 1.15, 0.0, None))


def _uniform(
    config: SurveyConfig, rng: np.random.Generator, n: int
) -> tuple[FloatArray, FloatArray]:
    return offset_position(
        config,
        rng.uniform(-config.side / 2, config.side / 2, n),
        rng.uniform(-config.side / 2, config.side / 2, n),
    )


def _cluster(
    config: SurveyConfig, rng: np.random.Generator, n: int
) -> tuple[FloatArray, FloatArray]:
    """Draw positions from a Plummer profile, cut at the edge of the field."""
    scale = 0.45 * config.side
    east, north = np.empty(0), np.empty(0)
    while len(east) < n:
        u = rng.uniform(0.0, 1.0, 2 * n)
        radius = scale * np.sqrt(u / (1.0 - u + 1e-9))
        angle = rng.uniform(0.0, 2 * np.pi, 2 * n)
        x, y = radius * np.cos(angle), radius * np.sin(angle)
        inside = (np.abs(x) < config.side / 2) & (np.abs(y) < config.side / 2)
        east, north = np.append(east, x[inside]), np.append(north, y[inside])
    return offset_position(config, east[:n], north[:n])


def _ridge_stars(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
    """Draw absolute r and g - r along the ridge line, with more stars where they live longer."""
    grid = np.linspace(_RIDGE_R[0], 8.3, 500)
    density = np.where(grid < 3.4, 0.035 * 10 ** (0.18 * grid), 0.55 * 10 ** (0.10 * (grid - 3.4)))
    cumulative = np.cumsum(density)
    magnitude = np.interp(rng.uniform(0.0, cumulative[-1], n), cumulative, grid)
    colour = np.interp(magnitude, _RIDGE_R, _RIDGE_GR) + rng.normal(0.0, 0.012, n)
    # Unresolved binaries lie up to 0.75 mag above the main sequence.
    binary = (rng.uniform(size=n) < 0.15) & (magnitude > 4.0)
    magnitude = magnitude - np.where(binary, rng.uniform(0.0, 0.75, n), 0.0)
    return magnitude, colour


def _horizontal_branch(rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
    # Non-variable stars avoid the instability strip (g - r of 0.02 to 0.24).
    blue = rng.uniform(size=n) < 0.55
    colour = np.where(blue, rng.uniform(-0.32, 0.0, n), rng.uniform(0.26, 0.5, n))
    magnitude = 0.55 + 1.6 * np.clip(-0.05 - colour, 0.0, None) ** 1.5 + rng.normal(0.0, 0.03, n)
    return magnitude, colour


def make_stars(config: SurveyConfig) -> Table:
    """Make all constant stars: positions and magnitudes in each band."""
    rng = random_stream(config.seed, 1)
    total = config.scaled(config.stars)
    n_horizontal = max(4, round(0.016 * total))
    n_field = round(0.2 * total)
    n_ridge = total - n_horizontal - n_field
    parts = []
    for magnitude, colour in (_ridge_stars(rng, n_ridge), _horizontal_branch(rng, n_horizontal)):
        ra, dec = _cluster(config, rng, len(magnitude))
        parts.append(_star_table(ra, dec, magnitude + DISTANCE_MODULUS, colour))
    ra, dec = _uniform(config, rng, n_field)
    r_mag = 26.0 - np.abs(rng.exponential(3.2, n_field))
    r_mag = np.where(r_mag < 14.5, rng.uniform(17.0, 25.5, n_field), r_mag)
    red = rng.uniform(size=n_field) < 0.6
    colour = np.where(red, rng.normal(1.38, 0.08, n_field), rng.normal(0.55, 0.2, n_field))
    parts.append(_star_table(ra, dec, r_mag, colour))
    return vstack(parts)


def _star_table(ra: FloatArray, dec: FloatArray, r_mag: FloatArray, g_minus_r: FloatArray) -> Table:
    mags = {"g": r_mag + g_minus_r, "r": r_mag, "i": r_mag - _r_minus_i(g_minus_r)}
    table = Table({"ra": ra, "dec": dec})
    for band in BANDS:
        table[f"{band}_mag"] = mags[band]
    return table


def make_galaxies(config: SurveyConfig) -> Table:
    """Make all galaxies: positions, magnitudes and Sersic parameters.

    Counts grow by 10^0.33 a magnitude from r = 18 to 25.8. Faint ones share the shapes of a small
    library (`SHAPES`), so that each visit draws each shape once.
    """
    rng = random_stream(config.seed, 2)
    n = config.scaled(config.galaxies)
    ra, dec = _uniform(config, rng, n)
    low, high, slope = 18.0, 25.8, 0.33
    u = rng.uniform(size=n)
    r_mag = np.log10(10 ** (slope * low) * (1 - u) + 10 ** (slope * high) * u) / slope
    early = rng.uniform(size=n) < 0.25
    g_minus_r = np.where(early, rng.normal(1.0, 0.2, n), rng.normal(0.5, 0.2, n))
    r_minus_i = np.where(early, rng.normal(0.45, 0.1, n), rng.normal(0.25, 0.12, n))
    shape = rng.integers(0, SHAPES.shape[0], n)
    # log10 of the half-light radius falls by 0.09 a magnitude, with a scatter of 0.12.
    size = 10 ** (-0.05 - 0.09 * (r_mag - 20.5) + rng.normal(0.0, 0.12, n))
    step = np.argmin(np.abs(np.log(size[:, None] / RADII[None, :])), axis=1)
    mags = {"g": r_mag + g_minus_r, "r": r_mag, "i": r_mag - r_minus_i}
    table = Table({"ra": ra, "dec": dec})
    for band in BANDS:
        table[f"{band}_mag"] = mags[band]
    table["shape"] = shape.astype(np.int16)
    table["size_step"] = step.astype(np.int16)
    table["halfLightRadius"] = RADII[step]
    table["sersicIndex"] = SHAPES[shape, 0]
    table["axisRatio"] = SHAPES[shape, 1]
    table["positionAngle"] = SHAPES[shape, 2]
    return table


RADII = np.geomspace(0.22, 1.7, 8)
"""Half-light radii along the major axis that galaxies may have, arcsec."""

SHAPES = np.array(
    [
        (index, ratio, angle)
        for index, ratio, angles in (
            (1.0, 0.95, (20.0,)),
            (1.0, 0.7, (0.0, 45.0, 90.0, 135.0)),
            (1.0, 0.45, (10.0, 46.0, 82.0, 118.0, 154.0)),
            (1.0, 0.28, (30.0, 75.0, 120.0, 165.0)),
            (2.5, 0.8, (15.0, 75.0, 135.0)),
            (4.0, 0.9, (60.0,)),
            (4.0, 0.65, (5.0, 65.0, 125.0)),
        )
        for angle in angles
    ]
)
"""Sersic index, axis ratio and position angle (degrees, north through east) of the shapes."""

"""How the variable things of the simulated sky change with time.

Light curves are in magnitudes about a mean for stars, in flux for supernovae. The shapes are
sketches of the classes they are named after: good enough to be found, folded and told apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.table import Table

from .config import BANDS, SurveyConfig
from .scene import DISTANCE_MODULUS, flux_from_mag, offset_position, random_stream

__all__ = ["VariableSky", "make_variables"]

type FloatArray = npt.NDArray[np.floating[Any]]

# Amplitudes shrink towards the red, as temperature drives most of them.
_BAND_AMPLITUDE = {"g": 1.0, "r": 0.76, "i": 0.6}


def _rrlyrae(phase: FloatArray) -> FloatArray:
    """Rise steeply for a sixth of the cycle, then fall; unit amplitude, mean 0, brightest < 0."""
    rise = 0.16
    shape = np.where(phase < rise, 0.5 - phase / rise, (phase - rise) / (1.0 - rise) - 0.5)
    return np.asarray(shape)


def _eclipsing(phase: FloatArray) -> FloatArray:
    """Two dips, the second half as deep, on a flat maximum; unit depth."""
    distance = np.minimum(phase, 1.0 - phase)
    dip = np.exp(-0.5 * (distance / 0.045) ** 2) + 0.5 * np.exp(-0.5 * ((phase - 0.5) / 0.045) ** 2)
    return np.asarray(dip)


def _sinusoid(phase: FloatArray) -> FloatArray:
    return np.asarray(0.5 * np.sin(2 * np.pi * phase))


_SHAPE = {"rrlyrae": _rrlyrae, "eclipsing": _eclipsing, "sinusoidal": _sinusoid}


class VariableSky:
    """All things that change, and their fluxes at any time.

    Parameters
    ----------
    table
        A row each: ra, dec, mean magnitudes ``{band}_mag``, variableType, period (d), amplitude
        (mag), epoch (MJD), and the index of the host galaxy for supernovae.
    seed
        Seed of the irregular ones.
    """

    def __init__(self, table: Table, seed: int) -> None:
        self.table = table
        self._seed = seed
        self._kind = np.asarray(table["variableType"]).astype(str)

    def flux(self, mjd: float, band: str) -> FloatArray:
        """Give the flux of every row (nJy) at a time (MJD, TAI) in a band."""
        table = self.table
        base = flux_from_mag(table[f"{band}_mag"])
        change = np.zeros(len(table))
        scale = _BAND_AMPLITUDE[band]
        for kind, shape in _SHAPE.items():
            rows = self._kind == kind
            phase = ((mjd - table["epoch"][rows]) / table["period"][rows]) % 1.0
            change[rows] = scale * table["amplitude"][rows] * shape(np.asarray(phase))
        rows = self._kind == "irregular"
        change[rows] = scale * self._wander(mjd, np.flatnonzero(rows))
        flux = base * 10.0 ** (-0.4 * change)
        rows = self._kind == "supernova"
        flux[rows] = base[rows] * _supernova(mjd - np.asarray(table["epoch"][rows]), band)
        return np.asarray(flux)

    def _wander(self, mjd: float, rows: npt.NDArray[np.intp]) -> FloatArray:
        """Add seven slow sinusoids of random phase: smooth, and without a period in 60 nights."""
        result = np.zeros(len(rows))
        for place, row in enumerate(rows):
            rng = random_stream(self._seed, 31, int(row))
            periods = np.geomspace(6.0, 240.0, 7) * rng.uniform(0.8, 1.25, 7)
            weights = periods**0.4
            weights *= 0.5 * float(self.table["amplitude"][row]) / np.sqrt(np.sum(weights**2))
            phases = rng.uniform(0.0, 1.0, 7)
            result[place] = np.sum(weights * np.sin(2 * np.pi * (mjd / periods + phases)))
        return result


def _supernova(days: FloatArray, band: str) -> FloatArray:
    """Rise as a Gaussian, fall exponentially, slower in the red; 1 at peak."""
    fall = {"g": 14.0, "r": 22.0, "i": 30.0}[band]
    early = np.exp(-0.5 * (np.minimum(days, 0.0) / 6.0) ** 2)
    return np.asarray(early * np.exp(-np.maximum(days, 0.0) / fall))


def make_variables(config: SurveyConfig, galaxies: Table) -> VariableSky:
    """Make the variable stars, quasars and supernovae."""
    rng = random_stream(config.seed, 3)
    n_periodic = config.scaled(config.periodic)
    n_rrlyrae = max(1, round(0.3 * n_periodic))
    n_eclipsing = max(1, round(0.3 * n_periodic))
    n_sinus = max(1, n_periodic - n_rrlyrae - n_eclipsing)
    n_irregular = config.scaled(config.irregular)
    n_supernova = min(config.scaled(config.supernovae), len(galaxies))
    kinds = np.repeat(
        ["rrlyrae", "eclipsing", "sinusoidal", "irregular", "supernova"],
        [n_rrlyrae, n_eclipsing, n_sinus, n_irregular, n_supernova],
    )
    n = len(kinds)
    half = 0.47 * config.n_pixels * config.pixel_scale
    ra, dec = offset_position(config, rng.uniform(-half, half, n), rng.uniform(-half, half, n))
    rr, ec, si, ir, sn = (kinds == k for k in dict.fromkeys(kinds))

    r_mag = np.empty(n)
    g_minus_r = np.empty(n)
    r_mag[rr] = DISTANCE_MODULUS + 0.55 + rng.normal(0.0, 0.05, rr.sum())
    g_minus_r[rr] = rng.uniform(0.04, 0.22, rr.sum())
    for rows, low, high in ((ec, 16.8, 22.0), (si, 16.8, 21.5), (ir, 18.5, 22.5)):
        r_mag[rows] = rng.uniform(low, high, rows.sum())
        g_minus_r[rows] = rng.uniform(0.1, 0.9, rows.sum())
    r_mag[sn] = rng.uniform(20.0, 22.3, sn.sum())
    g_minus_r[sn] = rng.normal(0.1, 0.1, sn.sum())

    period = np.full(n, np.nan)
    period[rr] = rng.uniform(0.32, 0.78, rr.sum())
    period[ec] = 10 ** rng.uniform(np.log10(0.35), np.log10(4.0), ec.sum())
    period[si] = 10 ** rng.uniform(np.log10(0.08), np.log10(20.0), si.sum())
    amplitude = np.full(n, np.nan)
    # Long periods have small amplitudes, as among real RR Lyrae.
    amplitude[rr] = np.clip(1.35 - 1.3 * (period[rr] - 0.32), 0.4, 1.3)
    amplitude[ec] = rng.uniform(0.25, 0.8, ec.sum())
    amplitude[si] = rng.uniform(0.12, 0.6, si.sum())
    amplitude[ir] = rng.uniform(0.3, 1.2, ir.sum())
    epoch = config.first_night + rng.uniform(0.0, 1.0, n) * np.where(
        np.isnan(period), config.nights, period
    )
    # Supernovae peak where rise and fall both lie within the survey.
    epoch[sn] = config.first_night + config.nights * rng.uniform(0.2, 0.75, sn.sum())

    host = np.full(n, -1)
    bright = np.flatnonzero(np.asarray(galaxies["r_mag"]) < 23.0)
    choice = rng.permutation(bright if len(bright) >= n_supernova else np.arange(len(galaxies)))
    host[sn] = choice[:n_supernova]
    reach = np.asarray(galaxies["halfLightRadius"])[host[sn]] * rng.uniform(0.3, 1.5, sn.sum())
    angle = rng.uniform(0.0, 2 * np.pi, sn.sum())
    ra[sn] = np.asarray(galaxies["ra"])[host[sn]] + reach * np.cos(angle) / 3600.0 / np.cos(
        np.radians(config.dec)
    )
    dec[sn] = np.asarray(galaxies["dec"])[host[sn]] + reach * np.sin(angle) / 3600.0

    mags = {"g": r_mag + g_minus_r, "r": r_mag, "i": r_mag - 0.36 * g_minus_r}
    table = Table({"ra": ra, "dec": dec})
    for band in BANDS:
        table[f"{band}_mag"] = mags[band]
    table["variableType"] = kinds
    table["period"] = period
    table["amplitude"] = amplitude
    table["epoch"] = epoch
    table["host"] = host
    return VariableSky(table, config.seed)

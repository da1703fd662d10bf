"""PSF fluxes at given positions on a visit image and its difference image."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.table import Table

from cerro_pipelines.difference.detect import psf_amplitudes
from cerro_pipelines.exposure import Exposure, Plane
from cerro_pipelines.measure.detrend import BAD
from cerro_pipelines.measure.flags import pixel_flags
from cerro_pipelines.measure.fluxes import Templates, fit_fluxes
from cerro_pipelines.measure.psf_store import find_psf
from cerro_pipelines.measure.stamps import split_position
from cerro_pipelines.schema.columns import conform, empty

_STAMP = 8  # pixels: half width of the fits


def force(visit: Exposure, difference: Exposure | None, objects: Table) -> Table:
    """Measure every object that lies on a visit image.

    Parameters
    ----------
    visit
        The visit image, in nJy.
    difference
        Its difference image, if there is one.
    objects
        Rows of the table Object.

    Returns
    -------
    Table
        Rows of the table ForcedSource.
    """
    x, y = visit.sky_to_pixel(objects["coord_ra"], objects["coord_dec"])
    on_image = np.flatnonzero(visit.contains(x, y))
    if on_image.size == 0:
        return empty("ForcedSource")
    x, y, here = x[on_image], y[on_image], objects[on_image]
    ix, iy = split_position(x)[0], split_position(y)[0]
    good = ~visit.has(BAD)
    stamps = find_psf(visit).draw(x, y, _STAMP)
    templates = [Templates(np.arange(len(x)), ix, iy, stamps)]
    fit = fit_fluxes(visit.array, visit.variance, good, templates)
    flags = pixel_flags(visit.mask, x, y)
    flags.pop("clipped")
    values: dict[str, Any] = {
        "objectId": np.asarray(here["objectId"]),
        "visit": visit.info.visit,
        "detector": visit.info.detector,
        "band": visit.info.band,
        "expMidptMJD": float(visit.info.mjd_mid or 0.0),
        "coord_ra": np.asarray(here["coord_ra"]),
        "coord_dec": np.asarray(here["coord_dec"]),
        "tract": np.asarray(here["tract"]),
        "patch": np.asarray(here["patch"]),
        "psfFlux": fit.flux,
        "psfFluxErr": fit.error,
        "psfFlux_flag": ~np.isfinite(fit.flux) | (fit.coverage < 0.5),
        **_on_difference(difference, x, y),
        **{f"pixelFlags_{name}": flag for name, flag in flags.items()},
    }
    return conform("ForcedSource", values)


def _on_difference(difference: Exposure | None, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    if difference is None:
        return {"psfDiffFlux": np.nan, "psfDiffFluxErr": np.nan, "psfDiffFlux_flag": True}
    good = ~difference.has(BAD | Plane.NO_DATA)
    stamps = find_psf(difference).draw(x, y, _STAMP)
    flux, error, coverage = psf_amplitudes(
        difference.array, difference.variance, good, stamps, x, y
    )
    failed = coverage < 0.5
    return {
        "psfDiffFlux": np.where(failed, np.nan, flux),
        "psfDiffFluxErr": np.where(failed, np.nan, error),
        "psfDiffFlux_flag": failed,
    }

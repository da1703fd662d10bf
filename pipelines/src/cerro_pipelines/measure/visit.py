"""Measure the sources of one visit image quickly: PSF fits with neighbours, plain apertures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import sep
from scipy import ndimage
from scipy.spatial import cKDTree

from cerro_pipelines.measure.apertures import adaptive_moments
from cerro_pipelines.measure.detect import Detections
from cerro_pipelines.measure.fluxes import Templates, fit_fluxes
from cerro_pipelines.measure.models import fit_points
from cerro_pipelines.measure.photometry import APERTURES
from cerro_pipelines.measure.psf import PsfModel
from cerro_pipelines.measure.psf_fit import PsfError, PsfFit, fit_psf, select_stars
from cerro_pipelines.measure.stamps import Bools, Floats, cut, split_position

_PSF_STAMP = 8  # pixels: half width of the fits


@dataclass(frozen=True)
class VisitSources:
    """Measurements of the n sources of a visit image: the image's flux unit, lengths in pixels."""

    x: Floats
    y: Floats
    x_error: Floats
    y_error: Floats
    centroid_bad: Bools
    psf_flux: Floats
    psf_error: Floats
    aperture_flux: Floats
    aperture_error: Floats
    aperture_bad: Bools
    kron_flux: Floats
    kron_error: Floats
    kron_bad: Bools
    moments: Floats
    extendedness: Floats
    area: Floats
    blended: Bools


def estimate_psf(
    image: Floats,
    variance: Floats,
    good: Bools,
    found: Detections,
    *,
    fwhm: float,
    radius: int = 15,
    least: int = 3,
) -> PsfFit:
    """Find the stars among the detections and fit the PSF to them.

    Parameters
    ----------
    image, variance
        Background-subtracted image and its variance.
    good
        Pixels that count.
    found
        Detections.
    fwhm
        First guess in pixels.
    radius
        Half width of the PSF, in pixels.
    least
        Least number of stars.

    Raises
    ------
    PsfError
        If there are too few stars.
    """
    if len(found) < least:
        raise PsfError(f"{len(found)} sources in the image; a PSF needs at least {least} stars.")
    x, y = found.x, found.y
    reach = 2.0 * fwhm
    flux, error, _ = sep.sum_circle(image, x, y, reach, var=variance, mask=~good, subpix=5)
    size, _ = sep.flux_radius(image, x, y, np.full(len(x), 3.0 * fwhm), 0.5, mask=~good, subpix=5)
    ix, iy = split_position(x)[0], split_position(y)[0]
    half = int(2.0 * fwhm) + 1
    whole = cut(good, ix, iy, half).all(axis=(1, 2))
    height, width = image.shape
    margin = radius // 2
    whole &= (ix >= margin) & (iy >= margin) & (ix < width - margin) & (iy < height - margin)
    tree = cKDTree(np.column_stack([x, y]))
    distance, other = tree.query(np.column_stack([x, y]), k=min(4, len(x)))
    if distance.ndim == 1:
        distance, other = distance[:, None], other[:, None]
    brighter = flux[np.minimum(other, len(x) - 1)] > 0.05 * flux[:, None]
    crowded = ((distance[:, 1:] < 3.5 * fwhm) & brighter[:, 1:]).any(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(error > 0, flux / error, 0.0)
    stars = select_stars(size, flux, ratio, whole & ~crowded)
    fit = fit_psf(
        image,
        variance,
        good,
        found.segments,
        stars + 1,
        x[stars],
        y[stars],
        fwhm=fwhm,
        radius=radius,
        least=least,
    )
    return replace(fit, stars=stars[fit.stars])


def measure_sources(
    image: Floats, variance: Floats, good: Bools, found: Detections, psf: PsfModel
) -> VisitSources:
    """Measure detections on their own image.

    Parameters
    ----------
    image, variance
        Background-subtracted image and its variance.
    good
        Pixels that count.
    found
        Detections.
    psf
        PSF of the image.
    """
    x, y, x_error, y_error, moved = fit_points(image, variance, good, found.x, found.y, psf)
    ix, iy = split_position(x)[0], split_position(y)[0]
    members = np.arange(len(x))
    stamps = psf.draw(x, y, _PSF_STAMP)
    fit = fit_fluxes(image, variance, good, [Templates(members, ix, iy, stamps)])
    bad = ~good
    apertures, errors = [], []
    for radius in APERTURES:
        flux, error, _ = sep.sum_circle(image, x, y, radius, var=variance, mask=bad, subpix=5)
        apertures.append(flux)
        errors.append(error)
    reach = APERTURES[-1]
    height, width = image.shape
    aperture_bad = cut(bad, ix, iy, reach).any(axis=(1, 2))
    aperture_bad |= (ix < reach) | (iy < reach) | (ix >= width - reach) | (iy >= height - reach)
    kron, kron_error, kron_bad = _kron(image, variance, bad, found, x, y, psf)
    clean = cut(image, ix, iy, _PSF_STAMP).astype(np.float32)
    moments, failed = adaptive_moments(clean, x - ix, y - iy, 1.1 * psf.sigma, iterations=8)
    shared = np.bincount(footprints(found), minlength=1)
    return VisitSources(
        x=x,
        y=y,
        x_error=x_error,
        y_error=y_error,
        centroid_bad=moved,
        psf_flux=fit.flux,
        psf_error=fit.error,
        aperture_flux=np.column_stack(apertures) if len(x) else np.zeros((0, len(APERTURES))),
        aperture_error=np.column_stack(errors) if len(x) else np.zeros((0, len(APERTURES))),
        aperture_bad=aperture_bad,
        kron_flux=kron,
        kron_error=kron_error,
        kron_bad=kron_bad,
        moments=np.where(failed[:, None], np.nan, moments),
        extendedness=extendedness(moments, failed, fit.flux, fit.error, psf),
        area=found.area,
        blended=shared[footprints(found)] > 1,
    )


def extendedness(
    moments: Floats, failed: Bools, flux: Floats, error: Floats, psf: PsfModel
) -> Floats:
    """Say whether sources are larger than the PSF: 0 point-like, 1 extended, NaN unknown.

    Parameters
    ----------
    moments, failed
        Adaptive moments and where they failed.
    flux, error
        PSF flux and its error, which tell the error of the size.
    psf
        PSF of the image.
    """
    size = 0.5 * (moments[:, 0] + moments[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        # Error of the mean second moment of a Gaussian fitted with its flux free.
        margin = 0.08 + 4.0 * np.sqrt(2.0) * np.abs(error / flux)
    result: Floats = (size > psf.sigma**2 * (1.0 + margin)).astype(np.float64)
    result[failed | ~np.isfinite(flux)] = np.nan
    return result


def psf_moments(psf: PsfModel) -> Floats:
    """Adaptive second moments xx, yy, xy of a PSF, in pixels squared."""
    stamp = psf.image()[None]
    moments, _ = adaptive_moments(stamp, np.zeros(1), np.zeros(1), psf.sigma)
    own: Floats = moments[0]
    return own


def _kron(
    image: Floats,
    variance: Floats,
    bad: Bools,
    found: Detections,
    x: Floats,
    y: Floats,
    psf: PsfModel,
) -> tuple[Floats, Floats, Bools]:
    if len(found) == 0:
        none = np.zeros(0)
        return none, none, np.zeros(0, dtype=bool)
    a = np.maximum(found.a, 0.7 * psf.sigma)
    b = np.maximum(found.b, 0.7 * psf.sigma)
    theta = np.clip(found.theta, -np.pi / 2, np.pi / 2)
    number = np.arange(1, len(found) + 1, dtype=found.segments.dtype)
    apart = {"mask": bad, "segmap": found.segments, "seg_id": number}
    radius, flag = sep.kron_radius(image, x, y, a, b, theta, 6.0, **apart)
    guessed = ~np.isfinite(radius) | (radius <= 0) | (flag != 0)
    # In units of a and b; never below 3.5 pixels along the mean axis.
    scale = np.maximum(2.5 * np.where(guessed, 2.0, radius), 3.5 / np.sqrt(a * b))
    flux, error, _ = sep.sum_ellipse(
        image, x, y, a, b, theta, scale, var=variance, subpix=3, **apart
    )
    return flux, error, guessed & ~(flag == 0) & ~np.isfinite(flux)


def footprints(found: Detections) -> np.ndarray:
    """Give the number of the connected footprint that each detection belongs to."""
    if len(found) == 0:
        return np.zeros(0, dtype=np.intp)
    labels, _ = ndimage.label(found.segments > 0, structure=np.ones((3, 3)))
    own = np.zeros(len(found) + 1, dtype=np.intp)
    flat = found.segments.reshape(-1)
    seen = np.flatnonzero(flat)
    own[flat[seen]] = labels.reshape(-1)[seen]
    return own[1:]

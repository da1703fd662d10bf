"""Find and measure what is left on a difference image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from cerro_pipelines.difference.subtract import Difference
from cerro_pipelines.measure.apertures import adaptive_moments, aperture_flux
from cerro_pipelines.measure.models import fit_points
from cerro_pipelines.measure.stamps import Bools, Floats, cut, split_position

_STAMP = 9
_CORE = 3  # pixels: half width of the square on which the fit is judged
_SIZES = (0.6, 1.9)  # second moment of a detection, in that of the PSF
APERTURE = 9.0


@dataclass(frozen=True)
class DiaDetections:
    """The n detections on a difference image, in pixels and in its unit.

    Attributes
    ----------
    x, y, x_error, y_error
        Centres and standard errors, shape (n,).
    flux, flux_error
        PSF flux, negative where the sky became fainter.
    signal_to_noise
        With the errors of the subtraction itself in the noise.
    aperture_flux, aperture_error
        Flux within 9 pixels.
    moments
        Second moments xx, yy, xy, shape (n, 3).
    dipole
        True if a detection of the other sign lies beside.
    """

    x: Floats
    y: Floats
    x_error: Floats
    y_error: Floats
    flux: Floats
    flux_error: Floats
    signal_to_noise: Floats
    aperture_flux: Floats
    aperture_error: Floats
    moments: Floats
    dipole: Bools


def psf_amplitudes(
    image: Floats, variance: Floats, good: Bools, psf_stamps: Floats, x: Floats, y: Floats
) -> tuple[Floats, Floats, Floats]:
    """Fit the PSF at fixed positions, each on its own.

    Parameters
    ----------
    image, variance, good
        The image, its variance, and pixels that count.
    psf_stamps
        PSF drawn at each position, shape (n, s, s).
    x, y
        Positions, shape (n,).

    Returns
    -------
    tuple
        Flux, standard error, and share of the PSF's power on good pixels, shape (n,).
    """
    half = psf_stamps.shape[1] // 2
    ix, iy = split_position(x)[0], split_position(y)[0]
    inside = (ix >= 0) & (iy >= 0) & (ix < image.shape[1]) & (iy < image.shape[0])
    use = cut(good, ix, iy, half) & inside[:, None, None]
    weight = psf_stamps * use
    power = np.einsum("nij,nij->n", weight, weight).astype(np.float64)
    total = np.einsum("nij,nij->n", psf_stamps, psf_stamps).astype(np.float64)
    safe = np.maximum(power, 1e-30)
    flux = np.einsum("nij,nij->n", weight, cut(image, ix, iy, half)).astype(np.float64) / safe
    noise = np.einsum("nij,nij,nij->n", weight, weight, cut(variance, ix, iy, half))
    return flux, np.sqrt(noise.astype(np.float64)) / safe, power / np.maximum(total, 1e-30)


def detect_differences(
    difference: Difference,
    template: Floats,
    good: Bools,
    *,
    threshold: float = 5.5,
    subtraction_error: float = 0.02,
) -> DiaDetections:
    """Detect sources of either sign.

    Parameters
    ----------
    difference
        The difference image.
    template
        The template: where it is bright the subtraction is less certain.
    good
        Pixels that count.
    threshold
        Signal-to-noise ratio of a detection.
    subtraction_error
        Share of the template's light that an imperfect PSF may leave.
    """
    image, psf = difference.image, difference.psf
    light = ndimage.maximum_filter(np.maximum(template, 0.0), size=3)
    variance = (difference.variance + np.square(subtraction_error * light)).astype(np.float32)
    place, sign_of = _peaks(image, variance, good, psf.sigma, 0.9 * threshold)
    refined = np.empty((5, len(place)))
    for sign in (1.0, -1.0):
        own = sign_of == sign
        refined[:, own] = fit_points(
            np.float32(sign) * image, variance, good, place[own, 0], place[own, 1], psf, radius=6
        )
    x, y, x_error, y_error = refined[:4]
    stamps = psf.draw(x, y, _STAMP)
    flux, error, coverage = psf_amplitudes(image, difference.variance, good, stamps, x, y)
    _, cautious, _ = psf_amplitudes(image, variance, good, stamps, x, y)
    ratio = np.abs(flux) / np.maximum(cautious, 1e-30)
    dipole, spurious = _dipoles(x, y, sign_of, flux, 1.6 * psf.fwhm)
    fine = (ratio >= threshold) & (coverage > 0.8) & ~spurious & (np.sign(flux) == sign_of)
    fine &= _looks_like(image, variance, stamps, flux, x, y)
    keep = np.flatnonzero(fine & np.isfinite(place).all(axis=1))
    ix, iy = split_position(x[keep])[0], split_position(y[keep])[0]
    dx, dy = x[keep] - ix, y[keep] - iy
    around = cut(image, ix, iy, int(APERTURE) + 1).astype(np.float32)
    spread = cut(difference.variance, ix, iy, int(APERTURE) + 1)
    within, within_error = aperture_flux(around, spread, dx, dy, APERTURE)
    upright = around * np.sign(flux[keep]).astype(np.float32)[:, None, None]
    moments, failed = adaptive_moments(upright, dx, dy, psf.sigma)
    # Imperfect subtraction leaves rings and halos (too wide) or cores (too sharp).
    size = 0.5 * (moments[:, 0] + moments[:, 1]) / psf.sigma**2
    alike = ~failed & (size > _SIZES[0]) & (size < _SIZES[1])
    keep = keep[alike]
    return DiaDetections(
        x[keep], y[keep], x_error[keep], y_error[keep], flux[keep], error[keep], ratio[keep],
        within[alike], within_error[alike], moments[alike], dipole[keep],
    )  # fmt: skip


def _peaks(
    image: Floats, variance: Floats, good: Bools, sigma: float, threshold: float
) -> tuple[Floats, Floats]:
    """Find extremes of the smoothed image: positions (n, 2) as x and y, and signs (n,)."""
    smooth = ndimage.gaussian_filter(np.where(good, image, np.float32(0.0)), sigma, truncate=3.0)
    # White noise smoothed by a Gaussian falls by this factor.
    noise = np.sqrt(variance) / np.float32(2.0 * np.sqrt(np.pi) * sigma)
    score = np.abs(smooth) / noise
    candidates = (score > threshold) & good
    top = ndimage.maximum_filter(score, size=5)
    rows, columns = np.nonzero(candidates & (score == top))
    return np.column_stack([columns, rows]).astype(np.float64), np.sign(smooth[rows, columns])


def _dipoles(x: Floats, y: Floats, sign: Floats, flux: Floats, reach: float) -> tuple[Bools, Bools]:
    """Pairs of opposite sign side by side, and those of them that cancel: a shift, not a change."""
    paired = np.zeros(len(x), dtype=bool)
    cancels = np.zeros(len(x), dtype=bool)
    if len(x) < 2:
        return paired, cancels
    for i, j in sorted(cKDTree(np.column_stack([x, y])).query_pairs(reach)):
        if sign[i] == sign[j]:
            continue
        paired[[i, j]] = True
        if abs(flux[i] + flux[j]) < 0.6 * max(abs(flux[i]), abs(flux[j])):
            cancels[[i, j]] = True
        else:
            weaker = i if abs(flux[i]) < abs(flux[j]) else j
            cancels[weaker] = True
    return paired, cancels


def _looks_like(
    image: Floats, variance: Floats, stamps: Floats, flux: Floats, x: Floats, y: Floats
) -> Bools:
    """Whether the core of each detection is a PSF, as far as the noise and its model allow."""
    half = stamps.shape[1] // 2
    core = slice(half - _CORE, half + _CORE + 1)
    ix, iy = split_position(x)[0], split_position(y)[0]
    model = flux[:, None, None] * stamps[:, core, core]
    deviation = cut(image, ix, iy, _CORE) - model
    allowed = cut(variance, ix, iy, _CORE) + (0.1 * model) ** 2
    chi2 = (deviation**2 / allowed).sum(axis=(1, 2))
    pixels = (2 * _CORE + 1) ** 2
    good: Bools = chi2 < pixels + 6.0 * np.sqrt(2.0 * pixels)
    return good

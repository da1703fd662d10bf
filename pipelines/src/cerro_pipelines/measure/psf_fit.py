"""Estimate the PSF of an image from its stars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from cerro_pipelines.measure.optimize import fit_parameters
from cerro_pipelines.measure.psf import PsfModel, seeing_profile
from cerro_pipelines.measure.stamps import Bools, Floats, cut, split_position

OVERSAMPLE = 3


class PsfError(ValueError):
    """Raised when an image has too few stars to estimate its PSF."""


@dataclass(frozen=True)
class PsfFit:
    """A PSF and the stars it came from.

    Attributes
    ----------
    psf
        The model.
    stars
        Indices of the candidates that were used.
    fwhm, beta, wing, e1, e2
        The profile that fits best (`cerro_pipelines.measure.psf.seeing_profile`).
    """

    psf: PsfModel
    stars: np.ndarray
    fwhm: float
    beta: float
    wing: float
    e1: float
    e2: float


def select_stars(
    size: Floats, flux: Floats, signal_to_noise: Floats, clean: Bools, *, most: int = 120
) -> np.ndarray:
    """Pick the sources that form the narrow ridge of equal sizes: the stars.

    Parameters
    ----------
    size
        A measure of size that is the same for all stars, such as the half-light radius, in pixels.
    flux, signal_to_noise
        Of each source.
    clean
        Sources without flags or close neighbours.
    most
        Number of stars to return at most, brightest first.

    Returns
    -------
    ndarray of int
        Indices, brightest first; may be empty.
    """
    usable = clean & np.isfinite(size) & (size > 0.3) & (signal_to_noise > 15.0)
    pool = np.flatnonzero(usable)
    if pool.size < 3:
        return pool
    bright = pool[np.argsort(-flux[pool], kind="stable")][: max(20, pool.size // 2)]
    values = np.sort(size[bright])
    # Half-sample mode: the densest stretch of sizes, found without binning.
    low, high = 0, values.size
    while high - low > 8:
        half = (high - low + 1) // 2
        widths = values[low + half - 1 : high] - values[low : high - half + 1]
        start = int(np.argmin(widths))
        low, high = low + start, low + start + half
    mode = float(np.median(values[low:high]))
    width = 0.1 * mode
    for _ in range(4):
        ridge = pool[np.abs(size[pool] - mode) < width]
        if ridge.size < 3:
            break
        heart = ridge[np.argsort(-flux[ridge], kind="stable")][: max(10, ridge.size // 2)]
        mode = float(np.median(size[heart]))
        spread = 1.48 * float(np.median(np.abs(size[heart] - mode)))
        width = float(np.clip(3.0 * spread, 0.02 * mode, 0.1 * mode))
    ridge = pool[np.abs(size[pool] - mode) < width]
    return ridge[np.argsort(-flux[ridge], kind="stable")][:most]


def fit_psf(
    image: Floats,
    variance: Floats,
    usable: Bools,
    segments: np.ndarray,
    number: np.ndarray,
    x: Floats,
    y: Floats,
    *,
    fwhm: float = 4.0,
    radius: int = 15,
    reach: int = 24,
    rounds: int = 3,
    least: int = 3,
) -> PsfFit:
    """Fit the PSF to stars: a Moffat profile plus a smooth residual on a finer grid.

    Parameters
    ----------
    image, variance
        Background-subtracted image and its variance.
    usable
        Pixels that count.
    segments
        Source numbers of the pixels; pixels of other sources are left out.
    number
        Number of each star in ``segments``, shape (n,).
    x, y
        First guess of the stars' positions, in pixels, shape (n,).
    fwhm
        First guess, in pixels.
    radius
        Half width of the stamps that are fitted, in pixels.
    reach
        Half width of the resulting PSF: further out it is the fitted profile alone.
    rounds
        Times that stars and profile are fitted in turn.
    least
        Least number of stars.

    Returns
    -------
    PsfFit

    Raises
    ------
    PsfError
        If there are fewer stars than ``least``.

    Notes
    -----
    In the manner of the effective PSF (Anderson & King 2000), with a Moffat profile where the
    stars are too few or faint to say more, and for the light beyond the stamp.
    """
    if len(x) < least:
        raise PsfError(f"{len(x)} usable stars in the image; a PSF needs at least {least}.")
    ix, _ = split_position(x)
    iy, _ = split_position(y)
    offsets = np.arange(-radius, radius + 1)
    data = cut(image, ix, iy, radius).astype(np.float64)
    label = cut(segments, ix, iy, radius)
    weight = cut(usable, ix, iy, radius) & ((label == 0) | (label == number[:, None, None]))
    noise = np.sqrt(np.maximum(cut(variance, ix, iy, radius), 1e-30))

    shape = np.array([0.96 * fwhm, 4.5, 0.15, 0.0, 0.0])
    correction: Floats | None = None
    psf = _oversampled(shape, None, radius)
    px: Floats = np.array(x, np.float64)
    py: Floats = np.array(y, np.float64)
    keep = np.ones(len(px), dtype=bool)
    flux: Floats = np.ones(len(px))
    for turn in range(rounds):
        for _ in range(2 if turn else 4):
            flux, px, py, chi2 = _fit_stars(data, weight, noise, psf, ix, iy, px, py)
        keep = _typical(flux, chi2, px - ix, py - iy, least)
        dx = offsets[None, None, :] - (px - ix)[:, None, None] + 0.0 * data
        dy = offsets[None, :, None] - (py - iy)[:, None, None] + 0.0 * data
        chosen = weight & keep[:, None, None] & (np.hypot(dx, dy) < radius + 0.5)
        scaled = data / flux[:, None, None]
        error = noise / flux[:, None, None]
        shape, scale = _fit_profile(shape, dx[chosen], dy[chosen], scaled[chosen], error[chosen])
        residual = scaled / scale - seeing_profile(dx, dy, *shape)
        correction = _residual_map(
            dx[chosen], dy[chosen], residual[chosen], error[chosen], shape[0], radius
        )
        psf = _oversampled(shape, correction, radius)
    psf = _oversampled(shape, correction, max(reach, radius))
    return PsfFit(psf, np.flatnonzero(keep), *(float(v) for v in shape))


def _fit_stars(
    data: Floats,
    weight: Bools,
    noise: Floats,
    psf: PsfModel,
    ix: np.ndarray,
    iy: np.ndarray,
    x: Floats,
    y: Floats,
) -> tuple[Floats, Floats, Floats, Floats]:
    """One Gauss-Newton step for flux and position of each star alone."""
    radius = data.shape[1] // 2
    value, by_x, by_y = psf.draw(x, y, radius, gradient=True).astype(np.float64) * weight
    # Stars whose guess has crossed into another pixel are still drawn about their first one.
    moved = (split_position(x)[0] != ix) | (split_position(y)[0] != iy)
    core = np.multiply(weight, np.sqrt(np.maximum(psf.image(radius), 0.0)), dtype=np.float64)
    flux: Floats = np.einsum("nij,nij,nij->n", data, value, core) / np.einsum(
        "nij,nij,nij->n", value, value, core
    )
    flux = np.maximum(flux, 1e-30)
    basis = np.stack([value, by_x * flux[:, None, None], by_y * flux[:, None, None]])
    residual = data * weight - value * flux[:, None, None]
    matrix = np.einsum("anij,bnij->nab", basis, basis)
    matrix += 1e-12 * np.trace(matrix, axis1=1, axis2=2)[:, None, None] * np.eye(3)
    rhs = np.einsum("anij,nij->na", basis, residual)
    step = np.linalg.solve(matrix, rhs[:, :, None])[:, :, 0]
    step[moved] = 0.0
    x = np.clip(x + np.clip(step[:, 1], -0.3, 0.3), ix - 0.5, ix + 0.499)
    y = np.clip(y + np.clip(step[:, 2], -0.3, 0.3), iy - 0.5, iy + 0.499)
    flux = np.maximum(flux + step[:, 0], 1e-30)
    # A share of the flux stands for the errors of the model, lest bright stars look all alike bad.
    spread = noise**2 + (0.03 * value * flux[:, None, None]) ** 2
    deviant = np.where(weight, residual**2 / spread, 0.0) * (core > 0.05 * core.max())
    chi2 = deviant.sum(axis=(1, 2)) / np.maximum(
        (weight & (core > 0.05 * core.max())).sum(axis=(1, 2)), 1
    )
    return flux, x, y, chi2


def _typical(flux: Floats, chi2: Floats, dx: Floats, dy: Floats, least: int) -> Bools:
    """Leave out candidates that fit badly compared with the others."""
    middle = np.median(chi2)
    spread = 1.48 * np.median(np.abs(chi2 - middle)) + 0.05 * middle
    keep: Bools = (chi2 < middle + 3.0 * spread) & (np.abs(dx) < 0.5) & (np.abs(dy) < 0.5)
    keep &= flux > 1e-20
    if keep.sum() < least:
        keep = np.zeros(len(flux), dtype=bool)
        keep[np.argsort(chi2, kind="stable")[:least]] = True
    return keep


def _fit_profile(
    shape: Floats, dx: Floats, dy: Floats, value: Floats, error: Floats
) -> tuple[Floats, float]:
    """Fit the profile to the scaled pixels of all stars; give its parameters and amplitude."""
    step = max(1, dx.size // 30_000)
    dx, dy, value = dx[::step], dy[::step], value[::step]
    # The floor keeps the brightest stars from deciding alone.
    scale = np.hypot(error[::step], 0.01 * seeing_profile(dx, dy, *shape) + 3e-6)

    def deviation(p: Floats) -> Floats:
        result: Floats = (p[5] * seeing_profile(dx, dy, *p[:5]) - value) / scale
        return result

    low = np.array([0.7, 1.5, 0.0, -0.6, -0.6, 0.5])
    high = np.array([40.0, 15.0, 0.6, 0.6, 0.6, 2.0])
    best = fit_parameters(deviation, np.append(shape, 1.0), low, high, robust=3.0, rounds=12)
    return best[:5], float(best[5])


def _residual_map(
    dx: Floats, dy: Floats, residual: Floats, error: Floats, fwhm: float, radius: int
) -> Floats:
    """Average what the Moffat profile leaves, on the oversampled grid, where it is significant."""
    half = (radius + 1) * OVERSAMPLE
    size = 2 * half + 1
    col = np.clip(np.rint(dx * OVERSAMPLE).astype(int) + half, 0, size - 1)
    row = np.clip(np.rint(dy * OVERSAMPLE).astype(int) + half, 0, size - 1)
    cell = row * size + col
    weight = 1.0 / (error**2 + 1e-12)
    clipped = np.clip(residual, -4.0 * error - 2e-3, 4.0 * error + 2e-3)
    total = np.bincount(cell, weights=weight, minlength=size * size).reshape(size, size)
    value = np.bincount(cell, weights=weight * clipped, minlength=size * size).reshape(size, size)
    smooth = 0.5 * OVERSAMPLE * max(fwhm / 5.0, 0.3)
    total, value = gaussian_filter(total, smooth), gaussian_filter(value, smooth)
    mean = np.where(total > 0, value / np.maximum(total, 1e-30), 0.0)
    # Cells see about 4 pi smooth^2 samples' worth of weight; noise-dominated cells are shrunk.
    variance = 1.0 / np.maximum(total * 4.0 * np.pi * smooth**2, 1e-30)
    shrunk = mean * mean**2 / (mean**2 + variance)
    grid = np.arange(-half, half + 1) / OVERSAMPLE
    r = np.hypot(grid[:, None], grid[None, :])
    taper = np.clip((3.0 * fwhm - r) / fwhm, 0.0, 1.0)
    result: Floats = shrunk * taper
    return result


def _oversampled(shape: Floats, correction: Floats | None, radius: int) -> PsfModel:
    half = (radius + 1) * OVERSAMPLE
    grid = np.arange(-half, half + 1) / OVERSAMPLE
    profile = seeing_profile(grid[None, :], grid[:, None], *shape)
    inner = slice(OVERSAMPLE, -OVERSAMPLE)
    # The profile has unit integral: what the stamp does not hold lies beyond it.
    beyond = 1.0 - profile[inner, inner].sum() / OVERSAMPLE**2
    if correction is not None:
        edge = (profile.shape[0] - correction.shape[0]) // 2
        profile = np.maximum(profile + np.pad(correction, edge), 0.0)
    within = profile[inner, inner].sum() / OVERSAMPLE**2
    return PsfModel(profile * (1.0 - float(np.clip(beyond, 0.0, 0.1))) / within, OVERSAMPLE)

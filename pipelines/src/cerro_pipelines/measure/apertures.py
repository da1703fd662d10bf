"""Aperture and Kron fluxes and adaptive moments on stamps of sources without neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cerro_pipelines.measure.stamps import Bools, Floats

KRON_FACTOR = 2.5
_MOMENTS_RADIUS = 9  # pixels: half width of the stamps on which moments are first measured
_CHUNK = 128  # sources at a time: their stamps stay in the processor's cache
_LEAST_KRON = 3.5  # pixels: a smaller ellipse would lose most of the PSF


def _offsets(dx: Floats, dy: Floats, radius: int) -> tuple[Floats, Floats]:
    grid = np.arange(-radius, radius + 1, dtype=np.float32)
    x = grid[None, None, :] - dx.astype(np.float32)[:, None, None]
    y = grid[None, :, None] - dy.astype(np.float32)[:, None, None]
    return x, y


def aperture_flux(
    stamps: Floats, variance: Floats, dx: Floats, dy: Floats, radius: float
) -> tuple[Floats, Floats]:
    """Sum the light within a circle.

    Parameters
    ----------
    stamps, variance
        Images of the sources and their variance, shape (n, s, s).
    dx, dy
        Offsets of the sources from the central pixels, shape (n,).
    radius
        Of the circle, in pixels. Pixels on its rim count by about the share that lies inside.

    Returns
    -------
    tuple
        Flux and standard error, shape (n,).
    """
    x, y = _offsets(dx, dy, stamps.shape[1] // 2)
    weight = np.clip(radius + 0.5 - np.sqrt(x * x + y * y), 0.0, 1.0)
    flux = np.einsum("nij,nij->n", weight, stamps)
    error = np.sqrt(np.einsum("nij,nij,nij->n", weight, weight, variance))
    return flux.astype(np.float64), error.astype(np.float64)


@dataclass(frozen=True)
class KronFlux:
    """Kron fluxes.

    Attributes
    ----------
    flux, error
        Flux within the ellipse and its standard error, shape (n,).
    radius
        Circularized radius of the ellipse, in pixels, shape (n,).
    bad
        True where the radius could not be measured or the ellipse leaves the stamp, shape (n,).
    """

    flux: Floats
    error: Floats
    radius: Floats
    bad: Bools


def _elliptical_radius(x: Floats, y: Floats, moments: Floats) -> Floats:
    """Radius in units in which the ellipse of the moments has the area of a circle of radius 1."""
    xx, yy, xy = (moments[:, k].astype(np.float32)[:, None, None] for k in range(3))
    root = np.sqrt(np.maximum(xx * yy - xy * xy, 1e-6))
    form = (yy * x * x + xx * y * y - 2.0 * xy * x * y) / root
    radius: Floats = np.sqrt(np.maximum(form, 0.0))
    return radius


def kron_radius(stamps: Floats, dx: Floats, dy: Floats, moments: Floats) -> tuple[Floats, Bools]:
    """Measure the Kron radius, the light-weighted mean of the elliptical radius, times 2.5.

    Parameters
    ----------
    stamps
        Images of the sources, shape (n, s, s).
    dx, dy
        Offsets from the central pixels, shape (n,).
    moments
        Second moments xx, yy, xy that give the ellipse, shape (n, 3).

    Returns
    -------
    tuple
        Circularized radius of the aperture in pixels, and whether it had to be guessed.

    See Also
    --------
    Kron 1980, ApJS 43, 305; Bertin & Arnouts 1996, section 6.
    """
    half = stamps.shape[1] // 2
    x, y = _offsets(dx, dy, half)
    radius = _elliptical_radius(x, y, moments)
    size = np.sqrt(np.sqrt(np.maximum(moments[:, 0] * moments[:, 1] - moments[:, 2] ** 2, 1e-6)))
    inside = radius < np.minimum(5.0 * size, half)[:, None, None].astype(np.float32)
    light = np.where(inside, stamps, 0.0)
    total = light.sum(axis=(1, 2), dtype=np.float64)
    first = (light * radius).sum(axis=(1, 2), dtype=np.float64)
    bad = ~(total > 0) | ~(first > 0)
    mean = np.where(bad, 2.0 * size, first / np.where(bad, 1.0, total))
    # The mean radius of noise alone may be anything: keep it between that of a star and 3 sizes.
    mean = np.clip(mean, 1.0 * size, 3.0 * size)
    return np.maximum(KRON_FACTOR * mean, _LEAST_KRON), bad


def kron_flux(
    stamps: Floats,
    variance: Floats,
    dx: Floats,
    dy: Floats,
    moments: Floats,
    radius: Floats,
    guessed: Bools,
) -> KronFlux:
    """Sum the light within Kron ellipses.

    Parameters
    ----------
    stamps, variance
        Images of the sources and their variance, shape (n, s, s).
    dx, dy
        Offsets from the central pixels, shape (n,).
    moments
        Second moments that give the ellipses, shape (n, 3).
    radius, guessed
        From `kron_radius`.
    """
    half = stamps.shape[1] // 2
    x, y = _offsets(dx, dy, half)
    edge = radius.astype(np.float32)[:, None, None]
    weight = np.clip(edge + 0.5 - _elliptical_radius(x, y, moments), 0.0, 1.0)
    flux = np.einsum("nij,nij->n", weight, stamps).astype(np.float64)
    error = np.sqrt(np.einsum("nij,nij,nij->n", weight, weight, variance)).astype(np.float64)
    elongation = np.sqrt(np.maximum(moments[:, 0], moments[:, 1])) / np.maximum(
        np.sqrt(np.sqrt(np.maximum(moments[:, 0] * moments[:, 1] - moments[:, 2] ** 2, 1e-6))), 1e-3
    )
    return KronFlux(flux, error, radius, guessed | (radius * elongation > half))


def adaptive_moments(
    stamps: Floats, dx: Floats, dy: Floats, sigma: float, *, iterations: int = 10
) -> tuple[Floats, Bools]:
    """Measure second moments with the elliptical Gaussian weight that matches the source.

    Parameters
    ----------
    stamps
        Images of the sources, shape (n, s, s).
    dx, dy
        Offsets of the centres from the central pixels, shape (n,).
    sigma
        First guess of the width, in pixels.
    iterations
        Times that the weight is adapted.

    Returns
    -------
    moments : ndarray, shape (n, 3)
        xx, yy, xy in pixels squared; those of the first guess where it failed.
    failed : ndarray of bool, shape (n,)

    See Also
    --------
    Bernstein & Jarvis 2002, AJ 123, 583, section 3.1.
    """
    count, half = len(dx), stamps.shape[1] // 2
    inner = min(half, max(_MOMENTS_RADIUS, int(np.ceil(4.0 * sigma))))
    core = slice(half - inner, half + inner + 1)
    moments, failed = np.empty((count, 3)), np.empty(count, dtype=bool)
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        moments[part], failed[part] = _adapt(
            stamps[part, core, core], dx[part], dy[part], sigma, iterations
        )
    if inner < half:
        # The few sources that are large against this core need all of their stamp.
        size = 0.5 * (moments[:, 0] + moments[:, 1])
        large = np.flatnonzero((failed & ~np.isnan(size)) | (size > (inner / 3.0) ** 2))
        if large.size:
            moments[large], failed[large] = _adapt(
                stamps[large], dx[large], dy[large], sigma, iterations
            )
    return moments, failed


def _adapt(
    stamps: Floats, dx: Floats, dy: Floats, sigma: float, iterations: int
) -> tuple[Floats, Bools]:
    count, half = len(dx), stamps.shape[1] // 2
    x, y = _offsets(dx, dy, half)
    start = np.tile([sigma**2, sigma**2, 0.0], (count, 1))
    moments = start.copy()
    failed = np.zeros(count, dtype=bool)
    powers = np.stack([np.broadcast_to(v, stamps.shape) for v in (x * x, y * y, x * y)], axis=-1)
    powers = powers.reshape(count, -1, 3)
    flat = stamps.reshape(count, 1, -1)
    for _ in range(iterations):
        xx, yy, xy = moments.T
        det = np.maximum(xx * yy - xy * xy, 1e-6)
        form = np.column_stack([yy / det, xx / det, -2.0 * xy / det]).astype(np.float32)
        light = flat * np.exp(-0.5 * (powers @ form[:, :, None]))[:, None, :, 0]
        total = light.sum(axis=(1, 2), dtype=np.float64)
        second = (light @ powers)[:, 0].astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            # A Gaussian seen through its own weight shows half its moments.
            new = 2.0 * second / total[:, None]
        ratio = new[:, 0] * new[:, 1] - new[:, 2] ** 2
        fine = (total > 0) & (ratio > 0.01) & (new[:, 0] > 0.1) & (new[:, 1] > 0.1)
        fine &= (new[:, 0] < half**2) & (new[:, 1] < half**2)
        failed |= ~fine
        moments = np.where(failed[:, None], start, new)
    return moments, failed

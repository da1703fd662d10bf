"""Galaxy profiles and PSFs as sums of Gaussians, which convolve by adding covariances.

The idea is that of Hogg & Lang (2013, PASP 125, 719): a galaxy of any ellipticity seen through a
PSF costs as many Gaussians as its profile has components times those of the PSF.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from scipy.optimize import nnls
from scipy.special import gamma, gammainc, gammaincinv

from cerro_pipelines.measure.optimize import fit_parameters
from cerro_pipelines.measure.psf import PsfModel
from cerro_pipelines.measure.stamps import Floats

_MIXTURE_RADIUS = 15  # pixels within which Gaussians are fitted to a PSF
_CACHED_PIXELS = 32_768  # of one array of stamps; a dozen of them are in use at once


@dataclass(frozen=True)
class Mixture:
    """Concentric Gaussians of unit total weight.

    Attributes
    ----------
    weight
        Flux of each, shape (k,).
    variance
        Variance of each along an axis; for galaxies in units of the half-light radius squared,
        shape (k,).
    """

    weight: Floats
    variance: Floats


@cache
def sersic(index: float) -> Mixture:
    """Approximate a Sérsic profile by Gaussians.

    Parameters
    ----------
    index
        Sérsic index: 1 is exponential, 4 de Vaucouleurs (cut off at 8 half-light radii).

    Returns
    -------
    Mixture
        In units of the half-light radius.
    """
    b = float(gammaincinv(2.0 * index, 0.5))
    edge = 8.0 if index > 2 else 5.0
    r = np.concatenate([np.geomspace(0.002, 0.1, 60), np.linspace(0.1, edge, 300)[1:]])
    profile = (
        b ** (2 * index) / (2 * np.pi * index * gamma(2 * index)) * np.exp(-b * r ** (1 / index))
    )
    components = 6 if index > 3 else 5 if index > 2 else 4
    scales = (
        np.geomspace(0.02 if index > 3 else 0.06 if index > 2 else 0.15, edge / 2.7, components)
        ** 2
    )
    gaussians = np.exp(-0.5 * r[:, None] ** 2 / scales) / (2 * np.pi * scales)
    # Weight by radius and width of the ring: what counts is flux, not surface brightness.
    ring = np.sqrt(r * np.gradient(r))
    weight, _ = nnls(gaussians * ring[:, None], profile * ring)
    total = float(gammainc(2.0 * index, b * edge ** (1.0 / index)))
    weight *= total / weight.sum()
    used = weight > 1e-5
    return Mixture(weight[used] / weight[used].sum(), scales[used])


@dataclass(frozen=True)
class PsfMixture:
    """A PSF as Gaussians of one common ellipticity.

    Attributes
    ----------
    weight
        Flux of each, shape (k,); they sum to the PSF's.
    xx, yy, xy
        Covariances in pixels squared, shape (k,).
    """

    weight: Floats
    xx: Floats
    yy: Floats
    xy: Floats


@lru_cache(maxsize=16)  # by identity: the same PSF is asked for by every step of a fit
def psf_mixture(psf: PsfModel, components: int = 3) -> PsfMixture:
    """Fit Gaussians to a PSF.

    Parameters
    ----------
    psf
        The PSF.
    components
        Number of Gaussians.
    """
    image = psf.image(_MIXTURE_RADIUS)
    total = float(psf.image().sum())
    radius = image.shape[0] // 2
    offset = np.arange(-radius, radius + 1, dtype=np.float64)
    dx, dy = offset[None, :], offset[:, None]
    sigma = psf.sigma

    def parts(p: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        variance = np.exp(p[:components])
        weight = p[components : 2 * components]
        e1, e2 = p[-2], p[-1]
        return weight, variance * (1 + e1), variance * (1 - e1), variance * e2

    def deviation(p: Floats) -> Floats:
        weight, xx, yy, xy = parts(p)
        model = np.zeros_like(image)
        for w, a, b, c in zip(weight, xx, yy, xy, strict=True):
            det = a * b - c * c
            model += (
                w
                * np.exp(-0.5 * (b * dx**2 + a * dy**2 - 2 * c * dx * dy) / det)
                / (2 * np.pi * np.sqrt(det))
            )
        # Wings are weighted up a little: they hold flux that a peak-weighted fit would lose.
        result: Floats = (
            (model - image) / np.sqrt(np.maximum(image, 0) + 1e-3 * image.max())
        ).ravel()
        return result

    widths = np.log(sigma**2 * np.geomspace(0.8, 12.0, components))
    shares = np.full(components, 1.0 / components)
    start = np.concatenate([widths, shares, [0.0, 0.0]])
    low = np.concatenate([np.full(components, np.log(0.05)), np.zeros(components), [-0.6, -0.6]])
    high = np.concatenate(
        [np.full(components, np.log((2.0 * radius) ** 2)), np.ones(components), [0.6, 0.6]]
    )
    weight, xx, yy, xy = parts(fit_parameters(deviation, start, low, high, rounds=60))
    weight = weight * total / max(float(weight.sum()), 1e-30)
    return PsfMixture(weight, xx, yy, xy)


def draw_galaxies(
    profile: Mixture,
    psf: PsfMixture,
    dx: Floats,
    dy: Floats,
    shape: Floats,
    radius: int,
    *,
    gradient: bool = False,
) -> Floats:
    """Draw unit-flux galaxies seen through a PSF.

    Parameters
    ----------
    profile
        The radial profile.
    psf
        The PSF.
    dx, dy
        Offset of each centre from the central pixel of its stamp, shape (n,).
    shape
        Shape matrices, half-light radius squared: columns xx, yy, xy in pixels squared,
        shape (n, 3).
    radius
        Half width of the stamps.
    gradient
        Return also the derivatives with respect to x, y, xx, yy and xy.

    Returns
    -------
    ndarray, shape (n, s, s), or (6, n, s, s) with ``gradient``
        Single precision.
    """
    count, size = len(dx), 2 * radius + 1
    out = np.zeros((6 if gradient else 1, count, size, size), dtype=np.float32)
    # A few sources at a time, so that the work stays in the processor's cache.
    chunk = max(_CACHED_PIXELS // size**2, 1)
    for start in range(0, count, chunk):
        part = slice(start, start + chunk)
        _draw_chunk(profile, psf, dx[part], dy[part], shape[part], out[:, part])
    return out if gradient else out[0]


def _draw_chunk(
    profile: Mixture, psf: PsfMixture, dx: Floats, dy: Floats, shape: Floats, out: Floats
) -> None:
    radius = out.shape[2] // 2
    offset = np.arange(-radius, radius + 1, dtype=np.float32)
    px = (offset[None, :] - dx[:, None]).astype(np.float32)[:, None, :]
    py = (offset[None, :] - dy[:, None]).astype(np.float32)[:, :, None]
    for share, scale in zip(profile.weight, profile.variance, strict=True):
        for weight, xx, yy, xy in zip(psf.weight, psf.xx, psf.yy, psf.xy, strict=True):
            a = scale * shape[:, 0] + xx
            b = scale * shape[:, 1] + yy
            c = scale * shape[:, 2] + xy
            det = np.maximum(a * b - c * c, 1e-6)
            ia, ib, ic = (v.astype(np.float32)[:, None, None] for v in (b / det, a / det, -c / det))
            norm = (share * weight / (2 * np.pi * np.sqrt(det))).astype(np.float32)[:, None, None]
            ux = ia * px + ic * py
            uy = ic * px + ib * py
            g = ux * px
            g += uy * py
            g *= np.float32(-0.5)
            np.exp(g, out=g)
            g *= norm
            out[0] += g
            if len(out) == 1:
                continue
            out[1] += g * ux
            out[2] += g * uy
            half = np.float32(0.5 * scale) * g
            out[3] += half * (ux * ux - ia)
            out[4] += half * (uy * uy - ib)
            half += half
            out[5] += half * (ux * uy - ic)

"""Skies whose truth is known, drawn by formulae and GalSim rather than by the code under test."""

from __future__ import annotations

from dataclasses import dataclass

import galsim
import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

from cerro_pipelines.exposure import Exposure, ExposureInfo
from cerro_pipelines.measure.psf import PsfModel, moffat_psf
from cerro_pipelines.measure.psf_store import attach_psf

BETA = 3.5
SIGMA_OF_FWHM = 1.0 / 2.3548200450309493

type Array = NDArray[np.float64]


def moffat_stars(shape: tuple[int, int], x: Array, y: Array, flux: Array, fwhm: float) -> Array:
    """Moffat stars, sampled at the pixel centres of the whole image."""
    alpha2 = (0.5 * fwhm) ** 2 / (2.0 ** (1.0 / BETA) - 1.0)
    column, row = np.arange(shape[1]), np.arange(shape[0])
    image = np.zeros(shape)
    for one_x, one_y, one_flux in zip(*np.broadcast_arrays(x, y, flux), strict=True):
        r2 = (column - one_x) ** 2 + ((row - one_y) ** 2)[:, None]
        image += one_flux * (BETA - 1.0) / (np.pi * alpha2) * (1.0 + r2 / alpha2) ** -BETA
    return image


def moffat_within(radius: float, fwhm: float) -> float:
    """Share of the light of a Moffat star within a circle."""
    alpha2 = (0.5 * fwhm) ** 2 / (2.0 ** (1.0 / BETA) - 1.0)
    return float(1.0 - (1.0 + radius**2 / alpha2) ** (1.0 - BETA))


def gaussian_sources(
    shape: tuple[int, int], x: Array, y: Array, flux: Array, xx: float, yy: float, xy: float
) -> Array:
    """Elliptical Gaussians of these second moments, sampled at the pixel centres."""
    determinant = xx * yy - xy**2
    column, row = np.arange(shape[1]), np.arange(shape[0])[:, None]
    image = np.zeros(shape)
    for one_x, one_y, one_flux in zip(*np.broadcast_arrays(x, y, flux), strict=True):
        dx, dy = column - one_x, row - one_y
        form = (yy * dx**2 + xx * dy**2 - 2.0 * xy * dx * dy) / determinant
        image += one_flux * np.exp(-0.5 * form) / (2.0 * np.pi * np.sqrt(determinant))
    return image


def galaxies(
    shape: tuple[int, int], x: Array, y: Array, flux: Array, half_light: float, fwhm: float
) -> Array:
    """Exponential galaxies, inclined, seen through the Moffat PSF (GalSim, no pixel response)."""
    image = galsim.ImageD(shape[1], shape[0], xmin=0, ymin=0)
    psf = galsim.Moffat(beta=BETA, fwhm=fwhm)
    disc = galsim.Exponential(half_light_radius=half_light).shear(g1=0.2, g2=-0.1)
    for one_x, one_y, one_flux in zip(*np.broadcast_arrays(x, y, flux), strict=True):
        seen = galsim.Convolve(disc, psf).withFlux(float(one_flux))
        stamp = seen.drawImage(
            nx=61, ny=61, scale=1.0, center=galsim.PositionD(one_x, one_y), method="no_pixel"
        )
        both = stamp.bounds & image.bounds
        image[both] += stamp[both]
    return np.asarray(image.array)


def lattice(
    shape: tuple[int, int], step: int, rng: np.random.Generator, margin: int = 20
) -> tuple[Array, Array]:
    """Positions about ``step`` apart, at random phases of the pixel."""
    y, x = np.mgrid[margin : shape[0] - margin : step, margin : shape[1] - margin : step]
    x, y = x.ravel() + rng.uniform(-1, 1, x.size), y.ravel() + rng.uniform(-1, 1, y.size)
    return x, y


def noisy(
    light: Array, sky_sigma: float, gain: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Add Gaussian noise of the sky and of the photons; give image and variance."""
    variance = sky_sigma**2 + np.maximum(light, 0.0) / gain
    image = light + np.sqrt(variance) * rng.standard_normal(light.shape)
    return image.astype(np.float32), variance.astype(np.float32)


@dataclass(frozen=True)
class Match:
    """For each true source the nearest measured one."""

    index: NDArray[np.intp]
    distance: Array


def match(x: Array, y: Array, found_x: Array, found_y: Array) -> Match:
    """Nearest measured source of each true one."""
    distance = np.hypot(x[:, None] - found_x[None, :], y[:, None] - found_y[None, :])
    index = distance.argmin(axis=1)
    return Match(index, distance[np.arange(len(x)), index])


def tan_wcs(
    ra: float = 30.0,
    dec: float = -5.0,
    *,
    pixel: float = 0.2,
    rotation: float = 0.0,
    shape: tuple[int, int] = (200, 200),
    shift: tuple[float, float] = (0.0, 0.0),
) -> WCS:
    """A tangent projection, turned by some degrees, whose reference lies near the middle."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [(shape[1] + 1) / 2 + shift[0], (shape[0] + 1) / 2 + shift[1]]
    c, s = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    wcs.wcs.cd = pixel / 3600.0 * np.array([[-c, s], [s, c]])
    wcs.wcs.set()
    return wcs


def zpn_wcs(
    ra: float = 30.0, dec: float = -5.0, *, pixel: float = 0.2, shape: tuple[int, int] = (200, 200)
) -> WCS:
    """VISTA's projection, with this field some 0.6 degrees from its centre."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---ZPN", "DEC--ZPN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.crval = [ra, dec + 0.6]
    wcs.wcs.set_pv([(2, 1, 1.0), (2, 3, 42.0), (2, 5, -10000.0)])
    wcs.wcs.cd = pixel / 3600.0 * np.array([[0.001, 1.0], [-1.0, 0.001]])
    wcs.wcs.crpix = [0.0, 0.0]
    wcs.wcs.set()
    x, y = wcs.wcs_world2pix([ra], [dec], 1)
    wcs.wcs.crpix = [(shape[1] + 1) / 2 - x[0], (shape[0] + 1) / 2 - y[0]]
    wcs.wcs.set()
    return wcs


def visit_exposure(
    image: NDArray[np.floating],
    variance: NDArray[np.floating] | float,
    fwhm: float,
    wcs: WCS,
    *,
    visit: int = 1,
    band: str = "r",
    mjd: float = 60000.0,
    mask: NDArray[np.uint8] | None = None,
    psf: PsfModel | None = None,
) -> Exposure:
    """A calibrated image with its PSF, as the task `calibrate` leaves it."""
    info = ExposureInfo(
        band=band, physical_filter=band, instrument="Cam", visit=visit, detector=0, mjd_mid=mjd,
        exposure_time=30.0, zero_point=31.4, pixel_scale=0.2,
    )  # fmt: skip
    exposure = Exposure.from_arrays(image, wcs, info, variance=variance, mask=mask)
    return attach_psf(exposure, psf or moffat_psf(fwhm, BETA, radius=24))

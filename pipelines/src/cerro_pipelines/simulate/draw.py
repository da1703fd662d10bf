"""Draw the simulated sky on a detector.

GalSim draws each profile once a visit, convolved with that visit's PSF, on a grid several times
finer than the pixels, each sample integrated over a whole pixel. An object is then that drawing,
shifted by bilinear interpolation between samples: ten thousand objects take a second, not a minute.
At 8 samples a pixel the interpolation widens a PSF by less than 0.1 %, at 4, which serves galaxies,
by 0.2 %.
"""

from __future__ import annotations

import math
from typing import Any

import galsim
import numpy as np
import numpy.typing as npt

__all__ = ["GalaxyPainter", "Profile", "add_objects", "draw_star", "seeing_psf", "stamp_radius"]

type FloatArray = npt.NDArray[np.floating[Any]]


def seeing_psf(fwhm: float, shear_1: float, shear_2: float) -> galsim.GSObject:
    """Make the PSF of a visit: Kolmogorov of a given FWHM (arcsec), slightly elongated."""
    return galsim.Kolmogorov(fwhm=fwhm).shear(g1=shear_1, g2=shear_2)


class Profile:
    """A drawing of unit flux on the fine grid, from which shifted stamps are cut.

    Parameters
    ----------
    fine
        Flux in a pixel centred on each sample, shape ``(m, m)``, with the centre on sample ``m //
        2``.
    oversampling
        Samples a pixel along each axis.
    """

    def __init__(self, fine: npt.NDArray[np.float32], oversampling: int) -> None:
        self._fine = fine
        self._step = oversampling
        self._centre = fine.shape[0] // 2
        self.radius = fine.shape[0] // oversampling // 2 - 1

    def stamp(self, dx: float, dy: float, radius: int) -> npt.NDArray[np.float32]:
        """Cut a stamp of side ``2 radius + 1`` for an object `dx`, `dy` pixels off its centre."""
        step = self._step
        x, y = -dx * step, -dy * step
        ix, iy = math.floor(x), math.floor(y)
        fx, fy = np.float32(x - ix), np.float32(y - iy)
        x0, y0 = self._centre + ix - radius * step, self._centre + iy - radius * step
        x1, y1 = x0 + 2 * radius * step + 1, y0 + 2 * radius * step + 1
        fine = self._fine
        low = (1 - fx) * fine[y0:y1:step, x0:x1:step] + fx * fine[
            y0:y1:step, x0 + 1 : x1 + 1 : step
        ]
        y0, y1 = y0 + 1, y1 + 1
        high = (1 - fx) * fine[y0:y1:step, x0:x1:step] + fx * fine[
            y0:y1:step, x0 + 1 : x1 + 1 : step
        ]
        return np.asarray((1 - fy) * low + fy * high)


def draw_star(psf: galsim.GSObject, pixel_scale: float, radius: int) -> Profile:
    """Draw a point source for stamps of up to `radius` pixels of `pixel_scale` arcsec."""
    oversampling = 8
    size = 2 * (radius + 2) * oversampling + 1
    convolved = galsim.Convolve(psf, galsim.Pixel(pixel_scale))
    image = convolved.drawImage(
        nx=size, ny=size, scale=pixel_scale / oversampling, method="no_pixel", dtype=np.float32
    )
    # The drawing holds flux per sample; a pixel collects oversampling^2 of them.
    return Profile(np.ascontiguousarray(image.array) * np.float32(oversampling**2), oversampling)


class GalaxyPainter:
    """Draw galaxies of a visit: the transform of PSF and pixel is made once for each grid.

    Parameters
    ----------
    psf
        PSF of the visit.
    pixel_scale
        Side of a pixel, arcsec.
    """

    _OVERSAMPLING = 4

    def __init__(self, psf: galsim.GSObject, pixel_scale: float) -> None:
        self._blur = galsim.Convolve(psf, galsim.Pixel(pixel_scale))
        self._fine_scale = pixel_scale / self._OVERSAMPLING
        self._transforms: dict[int, npt.NDArray[np.complex128]] = {}

    def draw(self, galaxy: galsim.GSObject, half_light_radius: float) -> Profile:
        """Draw a galaxy of unit flux with a half-light radius in arcsec.

        Light beyond the drawing (12.8 arcsec wide, 25.6 for large ones) folds back into it, so that
        the flux inside is the whole flux.
        """
        size = 256 if half_light_radius < 0.7 else 512
        step = 2 * np.pi / (size * self._fine_scale)
        if size not in self._transforms:
            blur = self._blur.drawKImage(nx=size, ny=size, scale=step)
            self._transforms[size] = blur.array
        transform = galaxy.drawKImage(nx=size, ny=size, scale=step).array * self._transforms[size]
        # Both transforms have k = 0 in the middle; half of the plane is enough for a real image.
        half = np.fft.ifftshift(transform)[:, : size // 2 + 1]
        fine = np.fft.fftshift(np.fft.irfft2(half, s=(size, size)))
        fine *= self._OVERSAMPLING**2
        return Profile(fine.astype(np.float32), self._OVERSAMPLING)


def stamp_radius(
    flux: FloatArray, noise: float, largest: int, smallest: int = 9
) -> npt.NDArray[np.int64]:
    """Give the radius (pixels) beyond which an object drowns in the noise.

    The wings of a Kolmogorov PSF fall as r^-11/3; for a flux F the surface brightness at radius r
    is about 0.5 F r^-11/3 for seeing of 4 pixels. The radius is where that is a thirtieth of the
    noise.
    """
    radius = (0.5 * np.maximum(flux, 1.0) / (noise / 30.0)) ** (3.0 / 11.0)
    return np.clip(np.ceil(radius), smallest, largest).astype(np.int64)


def add_objects(
    image: npt.NDArray[np.float32],
    profile: Profile,
    x: FloatArray,
    y: FloatArray,
    *,
    flux: FloatArray,
    radii: npt.NDArray[np.integer[Any]],
) -> None:
    """Add objects of one profile to an image, in place; parts beyond the edge are cut off."""
    ny, nx = image.shape
    for px, py, f, wanted in zip(
        x.tolist(), y.tolist(), flux.tolist(), radii.tolist(), strict=True
    ):
        r = min(wanted, profile.radius)
        ix, iy = round(px), round(py)
        if ix < -r or iy < -r or ix >= nx + r or iy >= ny + r:
            continue
        stamp = profile.stamp(px - ix, py - iy, r)
        x0, y0 = ix - r, iy - r
        left, low = max(0, -x0), max(0, -y0)
        right, high = min(2 * r + 1, nx - x0), min(2 * r + 1, ny - y0)
        if left >= right or low >= high:
            continue
        image[y0 + low : y0 + high, x0 + left : x0 + right] += (
            np.float32(f) * stamp[low:high, left:right]
        )

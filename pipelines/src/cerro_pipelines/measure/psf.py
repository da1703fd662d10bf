"""The point-spread function as an oversampled image that can be drawn anywhere."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.interpolate import RectBivariateSpline

from cerro_pipelines.measure.stamps import Floats, split_position

_PHASES = 8  # sub-pixel positions per axis of the table that stamps are drawn from


class PsfModel:
    """An effective PSF (pixel response included), constant over one image.

    Parameters
    ----------
    samples
        Values on a grid ``oversample`` times finer than the pixels, shape (m, m) with odd m,
        centred. The value at an offset is the fraction of a star's flux in a pixel that lies
        there: sampled at whole pixels it sums to the fraction of the flux within the grid.
    oversample
        Grid points per pixel.

    Notes
    -----
    Stamps are drawn from a table of 8 x 8 sub-pixel phases with a second-order expansion about
    the nearest phase, exact to about 1e-4 of the peak, so that thousands of stars cost one gather.
    """

    def __init__(self, samples: Floats, oversample: int) -> None:
        self.samples = np.ascontiguousarray(samples, dtype=np.float64)
        self.oversample = oversample
        self.radius = (self.samples.shape[0] // 2) // oversample - 1

    @cached_property
    def _spline(self) -> RectBivariateSpline:
        half = self.samples.shape[0] // 2
        grid = (np.arange(self.samples.shape[0]) - half) / self.oversample
        return RectBivariateSpline(grid, grid, self.samples, kx=3, ky=3)

    @cached_property
    def _tables(self) -> dict[int, Floats]:
        return {}

    def _table(self, radius: int) -> Floats:
        """Value and derivatives at every phase for one size of stamp, made once for each size.

        Shape (phases, phases, 6, s, s).
        """
        if radius not in self._tables:
            self._tables[radius] = self._make_table(radius)
        return self._tables[radius]

    def _make_table(self, radius: int) -> Floats:
        phases = (np.arange(_PHASES) + 0.5) / _PHASES - 0.5
        offsets = np.arange(-radius, radius + 1, dtype=np.float64)
        points = (offsets[None, :] - phases[:, None]).reshape(-1)
        order = np.argsort(points)
        size = offsets.size
        table = np.empty((_PHASES, _PHASES, 6, size, size))
        for k, (dy, dx) in enumerate(((0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0))):
            fine = np.empty((points.size, points.size))
            fine[np.ix_(order, order)] = self._spline(points[order], points[order], dx=dy, dy=dx)
            table[:, :, k] = fine.reshape(_PHASES, size, _PHASES, size).transpose(0, 2, 1, 3)
        return table.astype(np.float32)

    @cached_property
    def sigma(self) -> float:
        """Width of the Gaussian that the PSF's core resembles (adaptive moments), in pixels."""
        stamp = self.image()
        offsets = np.arange(-self.radius, self.radius + 1)
        r2 = offsets[:, None] ** 2 + offsets[None, :] ** 2
        sigma2 = 2.0
        for _ in range(50):
            weight = np.exp(-0.5 * r2 / sigma2) * stamp
            sigma2 = float((weight * r2).sum() / weight.sum())
        return float(np.sqrt(sigma2))

    @cached_property
    def fwhm(self) -> float:
        """Full width at half maximum, in pixels (from the area above half the peak)."""
        fine = np.linspace(-self.radius, self.radius, 40 * self.radius + 1)
        values = self._spline(fine, fine)
        area = np.count_nonzero(values > 0.5 * values.max()) * (fine[1] - fine[0]) ** 2
        return float(2.0 * np.sqrt(area / np.pi))

    @cached_property
    def effective_area(self) -> float:
        """Noise-equivalent area ``1 / sum(psf**2)``, in pixels."""
        stamp = self.image()
        return float(1.0 / (stamp**2).sum())

    def draw(
        self,
        x: Floats,
        y: Floats,
        radius: int | None = None,
        *,
        gradient: bool = False,
    ) -> Floats:
        """Draw unit-flux stars on stamps centred on the pixels nearest to them.

        Parameters
        ----------
        x, y
            Positions in pixels, shape (n,).
        radius
            Half width of the stamps; at most (and by default) `radius`.
        gradient
            Return also the derivatives with respect to x and y.

        Returns
        -------
        ndarray, shape (n, s, s), or (3, n, s, s) with ``gradient``
            Single precision.
        """
        radius = self.radius if radius is None else min(radius, self.radius)
        table = self._table(radius)
        jx, dx = self._phase(split_position(x)[1])
        jy, dy = self._phase(split_position(y)[1])
        dx, dy = dx[:, None, None], dy[:, None, None]
        # The star's offset moves the argument of the PSF the other way: odd terms change sign.
        value, by_x, by_y, xx, xy, yy = (table[jy, jx, k] for k in range(6))
        stamps: Floats = value - dx * by_x - dy * by_y
        stamps += 0.5 * dx**2 * xx + dx * dy * xy + 0.5 * dy**2 * yy
        if not gradient:
            return stamps
        return np.stack([stamps, -by_x + dx * xx + dy * xy, -by_y + dx * xy + dy * yy])

    @staticmethod
    def _phase(offset: Floats) -> tuple[np.ndarray, Floats]:
        index = np.clip(((offset + 0.5) * _PHASES).astype(np.intp), 0, _PHASES - 1)
        return index, (offset - ((index + 0.5) / _PHASES - 0.5)).astype(np.float32)

    def draw_one(self, x: float, y: float, radius: int | None = None) -> Floats:
        """Draw one star exactly, without the table that pays for many.

        Parameters
        ----------
        x, y
            Position in pixels.
        radius
            Half width of the stamp, centred on the nearest pixel.

        Returns
        -------
        ndarray, shape (s, s)
            Double precision.
        """
        radius = self.radius if radius is None else min(radius, self.radius)
        offsets = np.arange(-radius, radius + 1, dtype=np.float64)
        dx, dy = (float(v - np.floor(v + 0.5)) for v in (x, y))
        stamp: Floats = self._spline(offsets - dy, offsets - dx)
        return stamp

    def image(self, radius: int | None = None) -> Floats:
        """Draw the PSF centred on a pixel, shape (s, s), double precision."""
        return self.draw_one(0.0, 0.0, radius)


def moffat(
    dx: Floats, dy: Floats, fwhm: float, beta: float, e1: float = 0.0, e2: float = 0.0
) -> Floats:
    """Evaluate an elliptical Moffat profile of unit integral.

    Parameters
    ----------
    dx, dy
        Offsets from the centre in pixels.
    fwhm
        Full width at half maximum (of the circle of the same area), in pixels.
    beta
        Exponent, above 1.
    e1, e2
        Ellipticity components, as (a^2 - b^2) / (a^2 + b^2) times cos, sin of twice the angle.
    """
    alpha2 = (0.5 * fwhm) ** 2 / (2.0 ** (1.0 / beta) - 1.0)
    norm = 1.0 / np.sqrt(max(1.0 - e1**2 - e2**2, 1e-6))
    r2 = norm * ((1.0 - e1) * dx**2 + (1.0 + e1) * dy**2 - 2.0 * e2 * dx * dy)
    profile: Floats = (beta - 1.0) / (np.pi * alpha2) * (1.0 + r2 / alpha2) ** (-beta)
    return profile


WING_BETA, WING_WIDTH = 2.1, 1.3
"""Exponent and relative width of the wings: with these, core and wings together follow the PSF of
Kolmogorov turbulence, whose light falls as r^-11/3, to better than 1 % out to five FWHM, and hold
the same light beyond."""


def seeing_profile(
    dx: Floats, dy: Floats, fwhm: float, beta: float, wing: float, e1: float = 0.0, e2: float = 0.0
) -> Floats:
    """Evaluate a Moffat core with wings, of unit integral.

    Parameters
    ----------
    dx, dy
        Offsets from the centre in pixels.
    fwhm, beta
        Of the core, as for `moffat`.
    wing
        Share of the light in the wings.
    e1, e2
        Ellipticity, as for `moffat`.
    """
    core = moffat(dx, dy, fwhm, beta, e1, e2)
    return (1.0 - wing) * core + wing * moffat(dx, dy, WING_WIDTH * fwhm, WING_BETA, e1, e2)


def moffat_psf(fwhm: float, beta: float = 3.5, radius: int = 15, oversample: int = 4) -> PsfModel:
    """Make a round Moffat PSF, sampled at pixel centres.

    Parameters
    ----------
    fwhm
        Full width at half maximum, in pixels.
    beta
        Exponent.
    radius
        Half width of the stamps it can draw.
    oversample
        Grid points per pixel.
    """
    half = (radius + 1) * oversample
    grid = np.arange(-half, half + 1) / oversample
    return PsfModel(moffat(grid[None, :], grid[:, None], fwhm, beta), oversample)

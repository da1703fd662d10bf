"""Pixel-to-pixel mappings between two projections, interpolated on a coarse grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from scipy.interpolate import RectBivariateSpline

from cerro_pipelines.measure.stamps import Floats

_STEP = 40  # pixels between nodes: cubic interpolation is then exact to 1e-4 pixels on VISTA's ZPN
_MARGIN = 20


@dataclass(frozen=True)
class PixelMapping:
    """Where the pixels of one grid lie on another.

    Attributes
    ----------
    to_x, to_y
        Splines of the target coordinates over (y, x) of the source grid.
    shape
        Shape of the source grid.
    """

    to_x: RectBivariateSpline
    to_y: RectBivariateSpline
    shape: tuple[int, int]

    @classmethod
    def between(cls, source: WCS, shape: tuple[int, int], target: WCS) -> PixelMapping:
        """Sample the mapping from the pixels of ``source`` to those of ``target``.

        Parameters
        ----------
        source, target
            Projections.
        shape
            Shape of the source array.
        """

        def nodes(size: int) -> Floats:
            count = max((size + 2 * _MARGIN) // _STEP + 1, 4)
            return np.linspace(-_MARGIN, size - 1.0 + _MARGIN, count)

        y, x = nodes(shape[0]), nodes(shape[1])
        grid_x, grid_y = np.meshgrid(x, y)
        ra, dec = source.all_pix2world(grid_x.ravel(), grid_y.ravel(), 0)
        to_x, to_y = target.wcs_world2pix(ra, dec, 0)
        return cls(
            RectBivariateSpline(y, x, np.reshape(to_x, grid_x.shape)),
            RectBivariateSpline(y, x, np.reshape(to_y, grid_x.shape)),
            shape,
        )

    def __call__(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Map scattered positions."""
        return self.to_x(y, x, grid=False), self.to_y(y, x, grid=False)

    def grid(self, rows: slice, columns: slice) -> tuple[Floats, Floats]:
        """Map a block of whole pixels.

        Parameters
        ----------
        rows, columns
            The block, with explicit start and stop.

        Returns
        -------
        tuple
            x and y on the target, shape (rows, columns).
        """
        y = np.arange(rows.start, rows.stop, dtype=np.float64)
        x = np.arange(columns.start, columns.stop, dtype=np.float64)
        return self.to_x(y, x), self.to_y(y, x)

    def area(self, rows: slice, columns: slice) -> Floats:
        """Area of each source pixel in pixels of the target (the Jacobian), shape (rows, columns)."""
        y = np.arange(rows.start, rows.stop, dtype=np.float64)
        x = np.arange(columns.start, columns.stop, dtype=np.float64)
        step = 16
        # The Jacobian varies over degrees: a coarse sample, linearly interpolated, is exact enough.
        yc = np.append(y[::step], y[-1] + step)
        xc = np.append(x[::step], x[-1] + step)
        jacobian = self.to_x(yc, xc, dy=1) * self.to_y(yc, xc, dx=1) - self.to_x(
            yc, xc, dx=1
        ) * self.to_y(yc, xc, dy=1)
        spline = RectBivariateSpline(yc, xc, np.abs(jacobian), kx=1, ky=1)
        area: Floats = spline(y, x)
        return area

"""Pixel-to-pixel mappings between two projections, as polynomials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from numpy.polynomial import chebyshev

from cerro_pipelines.measure.stamps import Floats

_DEGREE = 7
_NODES = 14
_MARGIN = 20.0  # pixels beyond the grid on which the polynomial still holds


@dataclass(frozen=True)
class PixelMapping:
    """Where the pixels of one grid lie on another.

    Projections are smooth: over an image or a patch, Chebyshev polynomials of degree 7 in x and y
    follow even VISTA's ZPN to 1e-6 pixels, and whole grids cost one small matrix product.

    Attributes
    ----------
    to_x, to_y
        Coefficients of the target coordinates, over y and x scaled to [-1, 1].
    shape
        Shape of the source grid.
    """

    to_x: Floats
    to_y: Floats
    shape: tuple[int, int]

    @classmethod
    def between(cls, source: WCS, shape: tuple[int, int], target: WCS) -> PixelMapping:
        """Fit the mapping from the pixels of ``source`` to those of ``target``.

        Parameters
        ----------
        source, target
            Projections.
        shape
            Shape of the source array.
        """
        nodes = chebyshev.chebpts1(_NODES)
        own = cls(np.zeros((1, 1)), np.zeros((1, 1)), shape)
        grid_y, grid_x = np.meshgrid(own._pixels(nodes, 0), own._pixels(nodes, 1), indexing="ij")
        ra, dec = source.all_pix2world(grid_x.ravel(), grid_y.ravel(), 0)
        there = target.wcs_world2pix(ra, dec, 0)
        # At Chebyshev nodes the least-squares fit is a product with two pseudo-inverses.
        inverse = np.linalg.pinv(chebyshev.chebvander(nodes, _DEGREE))
        to_x, to_y = (inverse @ np.reshape(t, grid_x.shape) @ inverse.T for t in there)
        return cls(to_x, to_y, shape)

    def _half(self, axis: int) -> float:
        return 0.5 * (self.shape[axis] - 1.0) + _MARGIN

    def _pixels(self, scaled: Floats, axis: int) -> Floats:
        return scaled * self._half(axis) + 0.5 * (self.shape[axis] - 1.0)

    def _scaled(self, pixels: Floats, axis: int) -> Floats:
        return (pixels - 0.5 * (self.shape[axis] - 1.0)) / self._half(axis)

    def __call__(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Map scattered positions."""
        rows = chebyshev.chebvander(self._scaled(np.asarray(y, np.float64), 0), _DEGREE)
        columns = chebyshev.chebvander(self._scaled(np.asarray(x, np.float64), 1), _DEGREE)
        return (
            np.einsum("ni,ij,nj->n", rows, self.to_x, columns, optimize=True),
            np.einsum("ni,ij,nj->n", rows, self.to_y, columns, optimize=True),
        )

    def _bases(self, rows: slice, columns: slice) -> tuple[Floats, Floats]:
        y = np.arange(rows.start, rows.stop, dtype=np.float64)
        x = np.arange(columns.start, columns.stop, dtype=np.float64)
        return (
            chebyshev.chebvander(self._scaled(y, 0), _DEGREE),
            chebyshev.chebvander(self._scaled(x, 1), _DEGREE),
        )

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
        by_y, by_x = self._bases(rows, columns)
        return by_y @ self.to_x @ by_x.T, by_y @ self.to_y @ by_x.T

    def area(self, rows: slice, columns: slice) -> Floats:
        """Give the area of each source pixel in pixels of the target, shape (rows, columns)."""
        nodes = chebyshev.chebpts1(_NODES)
        bases = chebyshev.chebvander(nodes, _DEGREE)

        def slope(coefficients: Floats, axis: int) -> Floats:
            both = [bases, bases]
            both[axis] = bases[:, :-1]
            derived = chebyshev.chebder(coefficients, axis=axis) / self._half(axis)
            product: Floats = both[0] @ derived @ both[1].T
            return product

        jacobian = np.abs(
            slope(self.to_x, 1) * slope(self.to_y, 0) - slope(self.to_x, 0) * slope(self.to_y, 1)
        )
        inverse = np.linalg.pinv(bases)
        by_y, by_x = self._bases(rows, columns)
        area: Floats = by_y @ (inverse @ jacobian @ inverse.T) @ by_x.T
        return area

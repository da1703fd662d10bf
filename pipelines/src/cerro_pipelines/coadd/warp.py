"""Resample an image onto the pixels of a patch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cerro_pipelines.coadd.mapping import PixelMapping
from cerro_pipelines.measure.psf import PsfModel
from cerro_pipelines.measure.psf_fit import OVERSAMPLE
from cerro_pipelines.measure.stamps import Bools, Floats, cut

_SUPPORT = 3  # pixels beyond the block that the spline needs to be free of edge effects


@dataclass(frozen=True)
class Warp:
    """An image on the pixels of a patch.

    Attributes
    ----------
    rows, columns
        The block of the patch that the image covers; arrays below have its shape.
    image
        Resampled image.
    variance
        Variance such that the noise of sums over several pixels comes out right: interpolation
        makes neighbouring pixels share noise, which is not taken off the single pixel here.
    mask
        Bits of the mask that touch each pixel.
    covered
        Pixels that lie on the input image.
    """

    rows: slice
    columns: slice
    image: Floats
    variance: Floats
    mask: np.ndarray
    covered: Bools


def overlap(mapping: PixelMapping, target_shape: tuple[int, int]) -> tuple[slice, slice] | None:
    """Give the block of the mapping's grid whose pixels may lie on the target array.

    Parameters
    ----------
    mapping
        From the patch to the image.
    target_shape
        Shape of the image.

    Returns
    -------
    tuple of slice or None
        Rows and columns of the patch; None where the two do not meet.
    """
    step = 32
    y = np.append(np.arange(0, mapping.shape[0], step), mapping.shape[0] - 1)
    x = np.append(np.arange(0, mapping.shape[1], step), mapping.shape[1] - 1)
    grid_y, grid_x = np.meshgrid(y, x, indexing="ij")
    tx, ty = mapping(grid_x.ravel().astype(float), grid_y.ravel().astype(float))
    margin = 2.0 * step
    near = (tx > -margin) & (ty > -margin)
    near &= (tx < target_shape[1] + margin) & (ty < target_shape[0] + margin)
    if not near.any():
        return None
    ny, nx = grid_y.ravel()[near], grid_x.ravel()[near]
    return (
        slice(max(int(ny.min()) - step, 0), min(int(ny.max()) + step + 1, mapping.shape[0])),
        slice(max(int(nx.min()) - step, 0), min(int(nx.max()) + step + 1, mapping.shape[1])),
    )


def fill_bad(image: Floats, bad: Bools) -> Floats:
    """Replace bad pixels by a smooth continuation of their surroundings.

    Parameters
    ----------
    image
        The image.
    bad
        Pixels to replace; those more than 3 pixels from any good one become 0.

    Returns
    -------
    ndarray
        A copy where something was replaced.
    """
    rows, columns = np.nonzero(bad)
    if rows.size == 0:
        return image
    filled = image.astype(np.float32, copy=True)
    grid = np.arange(-3, 4)
    kernel = np.exp(-0.5 * (grid[:, None] ** 2 + grid[None, :] ** 2)).astype(np.float32)
    for start in range(0, rows.size, 50_000):
        y, x = rows[start : start + 50_000], columns[start : start + 50_000]
        weight = kernel * ~cut(bad, x, y, 3)
        light = np.where(weight > 0, cut(image, x, y, 3), 0.0)
        total = weight.sum(axis=(1, 2))
        value = (weight * light).sum(axis=(1, 2)) / np.maximum(total, 1e-6)
        filled[y, x] = np.where(total > 1e-3, value, 0.0)
    return filled


def warp(
    image: Floats,
    variance: Floats,
    mask: np.ndarray,
    bad: Bools,
    mapping: PixelMapping,
    *,
    conserve_flux: bool = True,
) -> Warp | None:
    """Resample an image by cubic splines.

    Parameters
    ----------
    image, variance
        The image, in flux per pixel, and its variance.
    mask
        Its mask, 8 bits.
    bad
        Pixels whose values mean nothing: filled in before interpolation (their bits still tell).
    mapping
        From the patch to the image.
    conserve_flux
        Scale by the area of pixels, so that sums over pixels keep their meaning.

    Returns
    -------
    Warp or None
        None where the image does not meet the patch.
    """
    shape = (image.shape[0], image.shape[1])
    block = overlap(mapping, shape)
    if block is None:
        return None
    rows, columns = block
    x, y = mapping.grid(rows, columns)
    covered = (x >= 0.0) & (y >= 0.0) & (x <= shape[1] - 1.0) & (y <= shape[0] - 1.0)
    if not covered.any():
        return None
    # Work on the part of the image that is needed, so that a patch costs a patch's time.
    low_x = max(int(x.min()) - _SUPPORT, 0)
    low_y = max(int(y.min()) - _SUPPORT, 0)
    high_x = min(int(np.ceil(x.max())) + _SUPPORT + 1, shape[1])
    high_y = min(int(np.ceil(y.max())) + _SUPPORT + 1, shape[0])
    part = (slice(low_y, high_y), slice(low_x, high_x))
    coordinates = np.stack([y - low_y, x - low_x])
    clean = fill_bad(image[part], bad[part])
    resampled = ndimage.map_coordinates(
        clean, coordinates, order=3, mode="nearest", output=np.float32
    )
    near_y = np.clip((coordinates[0] + 0.5).astype(np.int32), 0, high_y - low_y - 1)
    near_x = np.clip((coordinates[1] + 0.5).astype(np.int32), 0, high_x - low_x - 1)
    nearest = near_y * np.int32(high_x - low_x) + near_x
    spread = np.ascontiguousarray(variance[part], np.float32).reshape(-1)[nearest]
    bits = np.ascontiguousarray(_spread_bits(mask[part])).reshape(-1)[nearest]
    if conserve_flux:
        area = mapping.area(rows, columns).astype(np.float32)
        resampled *= area
        spread *= area
    return Warp(rows, columns, resampled, spread, bits, covered)


def _spread_bits(mask: np.ndarray) -> np.ndarray:
    """Let every bit reach the eight neighbours, whose interpolated values it takes part in."""
    if not mask.any():
        return mask
    result = mask.copy()
    result[1:] |= mask[:-1]
    result[:-1] |= mask[1:]
    across = result.copy()
    result[:, 1:] |= across[:, :-1]
    result[:, :-1] |= across[:, 1:]
    return result


def warp_psf(
    psf: PsfModel, mapping: PixelMapping, x: float, y: float, *, radius: int | None = None
) -> PsfModel:
    """Give the PSF as it appears after resampling, at a position of the patch.

    Parameters
    ----------
    psf
        PSF of the image.
    mapping
        From the patch to the image.
    x, y
        Position on the patch.
    radius
        Half width of the result in pixels of the patch; that of ``psf`` if omitted.

    Notes
    -----
    Stars are drawn on the image's pixels and resampled just as the image is, at each of the
    sub-pixel positions of the oversampled grid, so that the interpolation's own smoothing is in.
    """
    radius = psf.radius if radius is None else radius
    half = (radius + 1) * OVERSAMPLE
    grid = np.arange(-half, half + 1)
    samples = np.zeros((grid.size, grid.size))
    area = float(mapping.area(slice(int(y), int(y) + 2), slice(int(x), int(x) + 2)).mean())
    reach = psf.radius
    for phase_y in range(OVERSAMPLE):
        for phase_x in range(OVERSAMPLE):
            # A star at (x, y) plus this phase, seen on whole pixels of the patch around (x, y).
            at_x = np.rint(x) - phase_x / OVERSAMPLE
            at_y = np.rint(y) - phase_y / OVERSAMPLE
            star_x, star_y = (float(v[0]) for v in mapping(np.array([at_x]), np.array([at_y])))
            stamp = psf.draw_one(star_x, star_y)
            corner_x = np.floor(star_x + 0.5) - reach
            corner_y = np.floor(star_y + 0.5) - reach
            rows = np.flatnonzero((grid - phase_y) % OVERSAMPLE == 0)
            columns = np.flatnonzero((grid - phase_x) % OVERSAMPLE == 0)
            offset_y = (grid[rows] - phase_y) // OVERSAMPLE
            offset_x = (grid[columns] - phase_x) // OVERSAMPLE
            py, px = np.meshgrid(np.rint(y) + offset_y, np.rint(x) + offset_x, indexing="ij")
            tx, ty = mapping(px.ravel(), py.ravel())
            values = ndimage.map_coordinates(
                stamp.astype(np.float64),
                np.stack([ty - corner_y, tx - corner_x]),
                order=3,
                mode="constant",
            ).reshape(px.shape)
            samples[np.ix_(rows, columns)] = values * area
    return PsfModel(samples, OVERSAMPLE)

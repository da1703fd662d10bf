"""Average resampled images, leaving out what appears in one of them only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cerro_pipelines.coadd.warp import Warp
from cerro_pipelines.exposure import Plane
from cerro_pipelines.measure.stamps import Floats


@dataclass(frozen=True)
class Stack:
    """A coadd.

    Attributes
    ----------
    image, variance
        Weighted mean and its variance.
    count
        Number of inputs at each pixel.
    touched
        Bits that any of the averaged inputs had set.
    clipped
        Pixels where an input was rejected.
    """

    image: Floats
    variance: Floats
    count: np.ndarray
    touched: np.ndarray
    clipped: np.ndarray


def stack(
    warps: Sequence[Warp],
    weights: Sequence[float],
    shape: tuple[int, int],
    *,
    reject: int,
    clip: float = 5.0,
    tolerance: float = 0.7,
) -> Stack:
    """Average images of one patch.

    Parameters
    ----------
    warps
        The images.
    weights
        Weight of each: one over its background variance. One number for an image, because weights
        that vary with the sources themselves would make the PSF depend on brightness.
    shape
        Shape of the patch.
    reject
        Bits of the mask whose pixels are left out where another image has better ones.
    clip
        Deviation from the median in standard errors from which a pixel is left out.
    tolerance
        Deviation, as a share of the light nearby, that different seeing explains; four times as
        much on sources that several images show.

    Returns
    -------
    Stack
    """
    number = len(warps)
    cube = np.full((number, *shape), np.nan, dtype=np.float32)
    for k, w in enumerate(warps):
        usable = w.covered & ((w.mask & np.uint8(reject)) == 0)
        cube[k, w.rows, w.columns] = np.where(usable, w.image, np.nan)
    clipped = _clip(cube, warps, clip, tolerance, _lasting(warps, shape))
    total = np.zeros(shape, np.float32)
    norm = np.zeros(shape, np.float32)
    noise = np.zeros(shape, np.float32)
    count = np.zeros(shape, np.int16)
    touched = np.zeros(shape, np.uint8)
    rescue = np.zeros(shape, np.float32)
    rescue_norm = np.zeros(shape, np.float32)
    for k, (w, weight) in enumerate(zip(warps, weights, strict=True)):
        block = (w.rows, w.columns)
        used = np.isfinite(cube[k][block])
        scale = np.float32(weight)
        share = scale * used
        total[block] += np.where(used, scale * w.image, 0.0)
        norm[block] += share
        noise[block] += share * scale * w.variance
        count[block] += used
        touched[block] |= np.where(used, w.mask, 0)
        rescue[block] += np.where(w.covered, scale * w.image, 0.0)
        rescue_norm[block] += scale * w.covered
        touched[block] |= np.where(w.covered & ~used, w.mask & np.uint8(reject), 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        image = np.where(norm > 0, total / norm, 0.0)
        variance = np.where(norm > 0, noise / norm**2, 0.0)
        # Where every input is bad, as in a saturated star, a filled-in value is shown, and flagged.
        only_bad = (norm == 0) & (rescue_norm > 0)
        image = np.where(only_bad, rescue / rescue_norm, image)
    # Rejected bits matter only where nothing better was there.
    touched = np.where(norm > 0, touched & ~np.uint8(reject), touched).astype(np.uint8)
    return Stack(image.astype(np.float32), variance.astype(np.float32), count, touched, clipped)


def _lasting(warps: Sequence[Warp], shape: tuple[int, int]) -> np.ndarray:
    """Pixels on which at least three images show a source."""
    seen = np.zeros(shape, np.uint8)
    for w in warps:
        seen[w.rows, w.columns] += w.covered & ((w.mask & np.uint8(int(Plane.DETECTED))) != 0)
    return seen >= 3


def _clip(
    cube: Floats, warps: Sequence[Warp], clip: float, tolerance: float, lasting: np.ndarray
) -> np.ndarray:
    """Set outliers in the cube to NaN; give the pixels where that happened."""
    number = len(warps)
    clipped = np.zeros(cube.shape[1:], dtype=bool)
    if number < 3:
        return clipped
    ordered = np.sort(cube, axis=0)  # NaN goes last
    valid = np.isfinite(cube).sum(axis=0)
    low = np.maximum((valid - 1) // 2, 0)
    # With an even number the lower of the two middle values: outliers are mostly bright.
    median = np.take_along_axis(ordered, low[None], axis=0)[0]
    median = np.where(valid >= 3, median, np.nan)
    light = ndimage.maximum_filter(np.nan_to_num(np.abs(median)), size=3)
    light *= np.where(lasting, np.float32(4.0 * tolerance), np.float32(tolerance))
    for k, w in enumerate(warps):
        block = (w.rows, w.columns)
        allowed = clip * np.sqrt(w.variance) + light[block]
        with np.errstate(invalid="ignore"):
            out = np.abs(cube[k][block] - median[block]) > allowed
        if not out.any():
            continue
        # The skirt of a track or cosmic ray is fainter than its core: take the neighbours along.
        with np.errstate(invalid="ignore"):
            skirt = np.abs(cube[k][block] - median[block]) > 0.5 * allowed
        out = ndimage.binary_dilation(out, np.ones((3, 3), bool), mask=skirt, iterations=2)
        view = cube[k][block]
        view[out] = np.nan
        cube[k][block] = view
        clipped[block] |= out
    return clipped

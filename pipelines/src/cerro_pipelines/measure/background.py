"""The smooth background of an image and its noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sep
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import RectBivariateSpline

from cerro_pipelines.measure.stamps import Bools, Floats


@dataclass(frozen=True)
class Background:
    """A background model.

    Attributes
    ----------
    level
        Background at every pixel, in the image's unit.
    rms
        Typical noise of the background, in the image's unit.
    """

    level: NDArray[np.float32]
    rms: float


def estimate_background(image: Floats, bad: Bools, *, box: int = 128) -> Background:
    """Estimate the background of an image whose sources are not known yet.

    Parameters
    ----------
    image
        The image.
    bad
        Pixels to leave out.
    box
        Side in pixels of the boxes whose clipped mode is taken: larger than any source of interest.

    See Also
    --------
    Bertin & Arnouts 1996, section 4 (the algorithm, as written in `sep`).
    """
    pixels = np.ascontiguousarray(image, dtype=np.float32)
    size = max(min(box, *image.shape), 1)
    model = sep.Background(pixels, mask=np.ascontiguousarray(bad), bw=size, bh=size, fw=3, fh=3)
    return Background(model.back(dtype=np.float32), float(model.globalrms))


def masked_background(image: Floats, bad: Bools, sources: Bools, *, box: int = 128) -> Background:
    """Estimate the background from the pixels that hold no known source.

    Parameters
    ----------
    image, bad
        As for `estimate_background`.
    sources
        Pixels of detected sources.
    box
        Side of the boxes in pixels.

    Notes
    -----
    The mean, not the mode, of what is left: the mode lies below the mean of Poisson counts by half
    an electron, and below the mean of the faint sources that nobody detects. Both bias fluxes.
    Boxes with too little empty sky take the median of those around them.
    """
    height, width = image.shape
    rows, columns = max(round(height / box), 1), max(round(width / box), 1)
    mean, deviation = np.empty((rows, columns)), np.empty((rows, columns))
    y_edges = np.linspace(0, height, rows + 1).astype(int)
    x_edges = np.linspace(0, width, columns + 1).astype(int)
    blocked = bad | sources
    for j in range(rows):
        for i in range(columns):
            block = (slice(y_edges[j], y_edges[j + 1]), slice(x_edges[i], x_edges[i + 1]))
            mean[j, i], deviation[j, i] = _clipped_mean(image[block][~blocked[block]])
    least = 0.02 * box * box
    free = np.add.reduceat(
        np.add.reduceat((~blocked).astype(np.int64), y_edges[:-1], axis=0), x_edges[:-1], axis=1
    )
    mean[free < least] = np.nan
    if not np.isfinite(mean).any():
        return estimate_background(image, bad, box=box)
    rms = float(np.nanmedian(deviation[np.isfinite(mean)]))
    mean = _fill(mean)
    y = 0.5 * (y_edges[:-1] + y_edges[1:]) - 0.5
    x = 0.5 * (x_edges[:-1] + x_edges[1:]) - 0.5
    return Background(_interpolate(mean, y, x, (height, width)), rms)


def _clipped_mean(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation, leaving out what lies 3.5 deviations off the median."""
    if values.size < 20:
        return np.nan, np.nan
    middle = float(np.median(values))
    deviation = 1.4826 * float(np.median(np.abs(values - middle)))
    kept = values[np.abs(values - middle) < 3.5 * deviation + 1e-12]
    if kept.size < 20:
        return middle, deviation
    return float(kept.mean(dtype=np.float64)), float(kept.std(dtype=np.float64))


def _fill(mean: Floats) -> Floats:
    """Replace unknown boxes, and those that stand out, by the median around them."""
    known = np.where(np.isfinite(mean), mean, np.nanmedian(mean))
    near = ndimage.median_filter(known, size=3, mode="nearest")
    known = np.where(np.isfinite(mean), mean, near)
    # Continued by its slope beyond the edge, lest the corners of a gradient stand out.
    beyond = np.pad(known, 1, mode="reflect", reflect_type="odd")
    around = ndimage.median_filter(beyond, size=3)[1:-1, 1:-1]
    spread = 1.4826 * np.median(np.abs(known - around)) + 1e-12
    odd = ~np.isfinite(mean) | (np.abs(known - around) > 6.0 * spread)
    filled: Floats = np.where(odd, around, known)
    return filled


def _interpolate(mean: Floats, y: Floats, x: Floats, shape: tuple[int, int]) -> NDArray[np.float32]:
    if mean.size == 1:
        return np.full(shape, mean[0, 0], np.float32)
    if len(y) == 1:
        mean, y = np.repeat(mean, 2, axis=0), np.array([y[0], y[0] + 1.0])
    if len(x) == 1:
        mean, x = np.repeat(mean, 2, axis=1), np.array([x[0], x[0] + 1.0])
    spline = RectBivariateSpline(y, x, mean, kx=min(3, len(y) - 1), ky=min(3, len(x) - 1))
    # Beyond the outermost centres a cubic would run away.
    rows = np.clip(np.arange(shape[0], dtype=float), y[0], y[-1])
    columns = np.clip(np.arange(shape[1], dtype=float), x[0], x[-1])
    level: NDArray[np.float32] = spline(rows, columns).astype(np.float32)
    return level

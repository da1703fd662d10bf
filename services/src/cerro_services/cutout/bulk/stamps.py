"""Reads the stamps of one image, each compressed tile once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from cerro_services.cutout.bulk.plan import Work
from cerro_services.cutout.reading import image_of, opened

_STRIP = 512
"""Rows that are read at once, where stamps lie densely."""
_DENSE = 0.25
"""Part of a strip that its stamps show from which on it is read whole."""
Stamp = tuple[int, int, int, npt.NDArray[np.float32]]


def stamps(work: Work, size: int) -> Iterator[Stamp]:
    """Cut stamps from an image.

    Parameters
    ----------
    work
        The image and its positions.
    size
        Side of a stamp in pixels.

    Yields
    ------
    tuple
        Row of the table of positions, first column and row of the stamp in the image (counted from
        0, negative where it begins beyond the edge), and its pixels of shape (size, size); what
        lies beyond the image is NaN.

    Raises
    ------
    DamagedImageError
        The file cannot be read.
    """
    order = np.argsort(work.y, kind="stable")
    half = size // 2
    with opened(work.image.path) as hdus:
        hdu = image_of(hdus)
        height, width = hdu.shape
        begin = 0
        while begin < len(order):
            first = int(work.y[order[begin]]) - half
            end = begin
            while end < len(order) and work.y[order[end]] - half + size <= first + size + _STRIP:
                end += 1
            chosen = order[begin:end]
            low = max(0, first)
            high = min(height, int(work.y[chosen].max()) - half + size)
            dense = len(chosen) * size * size >= _DENSE * (high - low) * width
            strip = np.asarray(hdu.section[low:high, :]) if dense else None
            for place in chosen:
                x0, y0 = int(work.x[place]) - half, int(work.y[place]) - half
                yield int(work.rows[place]), x0, y0, _stamp(hdu, strip, low, x0, y0, size)
            begin = end


def _stamp(
    hdu: Any, strip: Any | None, low: int, x0: int, y0: int, size: int
) -> npt.NDArray[np.float32]:
    height, width = hdu.shape
    made = np.full((size, size), np.nan, np.float32)
    left, right = max(0, x0), min(width, x0 + size)
    bottom, top = max(0, y0), min(height, y0 + size)
    if strip is None:
        part = hdu.section[bottom:top, left:right]
    else:
        part = strip[bottom - low : top - low, left:right]
    made[bottom - y0 : top - y0, left - x0 : right - x0] = part
    return made

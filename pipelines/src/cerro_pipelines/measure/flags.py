"""Flags of sources from the mask planes under them."""

from __future__ import annotations

import numpy as np

from cerro_pipelines.exposure import Plane
from cerro_pipelines.measure.stamps import Bools, Floats, cut, pixel_indices, split_position

_NEAR = 3  # pixels around the centre that count as touching


def pixel_flags(mask: np.ndarray, x: Floats, y: Floats) -> dict[str, Bools]:
    """Say which defects touch each source.

    Parameters
    ----------
    mask
        Bits of `Plane`, the shape of the image.
    x, y
        Positions in pixels, shape (n,).

    Returns
    -------
    dict
        ``bad``, ``cr``, ``edge``, ``nodata``, ``saturated``, ``saturatedCenter``, ``clipped``:
        boolean arrays, shape (n,).
    """
    ix, iy = split_position(np.nan_to_num(x))[0], split_position(np.nan_to_num(y))[0]
    _, inside = pixel_indices((mask.shape[0], mask.shape[1]), ix, iy, _NEAR)
    near = np.bitwise_or.reduce(cut(mask, ix, iy, _NEAR), axis=(1, 2))
    centre = np.bitwise_or.reduce(cut(mask, ix, iy, 1), axis=(1, 2))
    outside = ~inside.all(axis=(1, 2))

    def has(bits: np.ndarray, plane: Plane) -> Bools:
        found: Bools = (bits & np.uint8(int(plane))) != 0
        return found

    return {
        "bad": has(near, Plane.BAD),
        "cr": has(near, Plane.CR),
        "edge": has(near, Plane.EDGE) | outside,
        "nodata": has(near, Plane.NO_DATA) | outside,
        "saturated": has(near, Plane.SAT),
        "saturatedCenter": has(centre, Plane.SAT),
        "clipped": has(near, Plane.CLIPPED),
    }

"""Square cut-outs of an image around many positions at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.floating]
type Ints = NDArray[np.intp]
type Bools = NDArray[np.bool_]


def split_position(position: Floats) -> tuple[Ints, Floats]:
    """Split pixel coordinates into the nearest pixel and the offset from its centre.

    Parameters
    ----------
    position
        Pixel coordinates, shape (n,).

    Returns
    -------
    tuple
        Nearest pixel (n,) and offset (n,) in [-0.5, 0.5).
    """
    pixel = np.floor(np.asarray(position, dtype=np.float64) + 0.5).astype(np.intp)
    return pixel, position - pixel


def pixel_indices(shape: tuple[int, int], ix: Ints, iy: Ints, radius: int) -> tuple[Ints, Bools]:
    """Flat indices of the pixels of square stamps.

    Parameters
    ----------
    shape
        Shape of the image.
    ix, iy
        Central pixels, shape (n,).
    radius
        Half width: stamps have ``2 * radius + 1`` pixels a side.

    Returns
    -------
    indices : ndarray of int, shape (n, s, s)
        Index into the flattened image; clipped to the image where ``inside`` is false.
    inside : ndarray of bool, shape (n, s, s)
        Whether the pixel lies on the image.
    """
    offsets = np.arange(-radius, radius + 1)
    rows = iy[:, None] + offsets
    cols = ix[:, None] + offsets
    inside = ((rows >= 0) & (rows < shape[0]))[:, :, None] & ((cols >= 0) & (cols < shape[1]))[
        :, None, :
    ]
    rows = np.clip(rows, 0, shape[0] - 1)
    cols = np.clip(cols, 0, shape[1] - 1)
    return rows[:, :, None] * shape[1] + cols[:, None, :], inside


def cut[T: np.generic](image: NDArray[T], ix: Ints, iy: Ints, radius: int) -> NDArray[T]:
    """Cut stamps out of an image; pixels off the image repeat its edge.

    Parameters
    ----------
    image
        The image.
    ix, iy
        Central pixels, shape (n,).
    radius
        Half width of the stamps.

    Returns
    -------
    ndarray, shape (n, s, s)
    """
    indices, _ = pixel_indices((image.shape[0], image.shape[1]), ix, iy, radius)
    return np.ascontiguousarray(image).reshape(-1)[indices]


def add(image: Floats, stamps: Floats, ix: Ints, iy: Ints) -> None:
    """Add stamps to an image in place; what falls off the image is dropped.

    Parameters
    ----------
    image
        The image to add to.
    stamps
        Stamps, shape (n, s, s) with odd s.
    ix, iy
        Central pixels, shape (n,).
    """
    indices, inside = pixel_indices((image.shape[0], image.shape[1]), ix, iy, stamps.shape[1] // 2)
    total = np.bincount(indices[inside], weights=stamps[inside], minlength=image.size)
    image += total.reshape(image.shape).astype(image.dtype)

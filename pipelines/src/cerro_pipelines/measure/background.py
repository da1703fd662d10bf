"""The smooth background of an image and its noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sep

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

    level: Floats
    rms: float


def estimate_background(
    image: Floats, bad: Bools, *, box: int = 128, filter_size: int = 3
) -> Background:
    """Estimate the background from the clipped mode of boxes, interpolated with splines.

    Parameters
    ----------
    image
        The image.
    bad
        Pixels to leave out.
    box
        Side of a box in pixels: larger than any source of interest.
    filter_size
        Boxes of the median filter that removes those spoilt by bright sources.

    Returns
    -------
    Background

    See Also
    --------
    Bertin & Arnouts 1996, section 4 (the algorithm, as written in `sep`).
    """
    pixels = np.ascontiguousarray(image, dtype=np.float32)
    size = max(min(box, *image.shape), 1)
    model = sep.Background(
        pixels, mask=np.ascontiguousarray(bad), bw=size, bh=size, fw=filter_size, fh=filter_size
    )
    return Background(model.back(dtype=np.float32), float(model.globalrms))


def masked_background(
    image: Floats, bad: Bools, sources: Bools, *, box: int = 128, filter_size: int = 3
) -> Background:
    """Estimate the background again, leaving out the pixels of known sources.

    Where sources cover a box almost entirely, they are let in again: a biased background is better
    than none.

    Parameters
    ----------
    image, bad
        As for `estimate_background`.
    sources
        Pixels of detected sources.
    box, filter_size
        As for `estimate_background`.
    """
    share = sources.mean() if sources.size else 0.0
    blocked = bad | sources if share < 0.7 else bad
    return estimate_background(image, blocked, box=box, filter_size=filter_size)

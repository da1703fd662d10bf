"""Detection of sources: matched filter, threshold, deblending."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sep

from cerro_pipelines.measure.stamps import Bools, Floats

sep.set_extract_pixstack(5_000_000)
sep.set_sub_object_limit(8192)


@dataclass(frozen=True)
class Detections:
    """Sources detected on an image.

    Attributes
    ----------
    x, y
        Centroids in pixels, shape (n,).
    a, b, theta
        Semi-axes (second moments, pixels) and angle (radians, from x towards y), shape (n,).
    peak
        Highest value, shape (n,).
    area
        Pixels above the threshold, shape (n,).
    segments
        Image of source numbers (index + 1; 0 is background).
    """

    x: Floats
    y: Floats
    a: Floats
    b: Floats
    theta: Floats
    peak: Floats
    area: Floats
    segments: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    def select(self, chosen: Bools) -> Detections:
        """Give some of the sources; the image of source numbers stays as it is."""
        return Detections(
            self.x[chosen], self.y[chosen], self.a[chosen], self.b[chosen], self.theta[chosen],
            self.peak[chosen], self.area[chosen], self.segments,
        )  # fmt: skip


def detect(
    image: Floats,
    variance: Floats,
    bad: Bools,
    kernel: Floats,
    *,
    threshold: float = 5.0,
    min_area: int = 3,
    deblend_levels: int = 64,
    deblend_contrast: float = 0.001,
) -> Detections:
    """Detect sources above a signal-to-noise ratio after matched filtering.

    Parameters
    ----------
    image, variance
        Background-subtracted image and its variance.
    bad
        Pixels to leave out.
    kernel
        Matched filter: the PSF, or its core.
    threshold
        Signal-to-noise ratio of the filtered image.
    min_area
        Least number of connected pixels.
    deblend_levels, deblend_contrast
        SExtractor's thresholds between the faintest and the brightest level of a blend, and the
        least share of its flux that a component must have.

    Returns
    -------
    Detections
    """
    pixels = np.ascontiguousarray(image, dtype=np.float32)
    kernel = np.ascontiguousarray(kernel / kernel.sum(), dtype=np.float32)
    # sep compares the filtered image with the unfiltered noise: white noise falls by this factor.
    quieter = float(np.sqrt(np.square(kernel, dtype=np.float64).sum()))
    objects, segments = sep.extract(
        pixels,
        threshold * quieter,
        var=np.ascontiguousarray(variance, dtype=np.float32),
        mask=np.ascontiguousarray(bad),
        minarea=min_area,
        filter_kernel=kernel,
        filter_type="conv",
        deblend_nthresh=deblend_levels,
        deblend_cont=deblend_contrast,
        clean=True,
        segmentation_map=True,
    )
    return Detections(
        x=objects["x"].astype(np.float64),
        y=objects["y"].astype(np.float64),
        a=np.maximum(objects["a"], 0.5),
        b=np.maximum(objects["b"], 0.5),
        theta=np.nan_to_num(objects["theta"]),
        peak=objects["peak"].astype(np.float64),
        area=objects["npix"].astype(np.float64),
        segments=segments,
    )

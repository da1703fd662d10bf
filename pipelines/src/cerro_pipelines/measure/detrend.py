"""From raw counts to a background-subtracted image in nJy."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from cerro_pipelines.exposure import NANOJANSKY_ZERO_POINT, Exposure, Plane
from cerro_pipelines.measure.background import estimate_background, masked_background
from cerro_pipelines.measure.detect import Detections, detect
from cerro_pipelines.measure.psf import moffat_psf
from cerro_pipelines.measure.stamps import Bools, Floats

BAD = Plane.BAD | Plane.SAT | Plane.CR | Plane.NO_DATA
"""Planes whose pixels do not count in any measurement."""


@dataclass(frozen=True)
class Detrended:
    """A visit image and what was found on the way.

    Attributes
    ----------
    exposure
        In nJy, with variance and mask; without PSF.
    detections
        Sources found on it.
    background
        What was removed, in nJy.
    noise
        Standard deviation of the background per pixel, in nJy.
    """

    exposure: Exposure
    detections: Detections
    background: Floats
    noise: float


def flag_pixels(array: Floats, saturation: float | None) -> np.ndarray:
    """Make a mask of pixels without a value (BAD) and saturated ones (SAT, with their neighbours).

    Parameters
    ----------
    array
        Raw pixels.
    saturation
        Level from which a pixel is saturated, in the same unit.
    """
    mask = np.zeros(array.shape, np.uint8)
    mask[~np.isfinite(array)] = int(Plane.BAD)
    if saturation is not None:
        with np.errstate(invalid="ignore"):
            full = array >= saturation
        if full.any():
            full = ndimage.binary_dilation(full, np.ones((3, 3), bool))
        mask[full] |= np.uint8(int(Plane.SAT))
    return mask


def noise_model(
    array: Floats, *, sky: float, gain: float | None, read_noise: float | None
) -> Floats:
    """Variance of each pixel from photon and read noise, in adu squared.

    Parameters
    ----------
    array
        Pixels in adu.
    sky
        Sky level in adu that was removed from them earlier.
    gain
        Electrons per adu; without it the variance is that of the background, everywhere alike.
    read_noise
        In electrons.
    """
    if gain is None or gain <= 0:
        return scatter_model(array, None)
    electrons = np.maximum(np.nan_to_num(array) + np.float32(sky), 0.0)
    floor = (read_noise / gain) ** 2 if read_noise else 0.0
    variance: Floats = (electrons / np.float32(gain) + np.float32(floor)).astype(np.float32)
    positive = variance[variance > 0]
    least = 0.01 * float(np.median(positive)) if positive.size else 1.0
    return np.maximum(variance, np.float32(least))


def scatter_model(array: Floats, gain: float | None) -> Floats:
    """Variance of each pixel from the scatter of the sky and the photons of the sources above it.

    Parameters
    ----------
    array
        Pixels in adu.
    gain
        Electrons per adu; without it the variance is that of the sky, everywhere alike.
    """
    finite = array[::3, ::3][np.isfinite(array[::3, ::3])]
    if finite.size == 0:
        return np.ones(array.shape, np.float32)
    deviation = max(_dark_scatter(finite), 1e-12)
    variance = np.full(array.shape, deviation**2, np.float32)
    if gain:
        above = np.nan_to_num(array) - np.float32(np.median(finite) + 3.0 * deviation)
        variance += np.maximum(above, 0.0) / np.float32(gain)
    return variance


def detrend(
    raw: Exposure,
    *,
    box: int,
    threshold: float,
    min_area: int,
    deblend_contrast: float,
    rescale_variance: bool,
) -> Detrended:
    """Calibrate a raw image and find its sources.

    Parameters
    ----------
    raw
        Pixels in adu.
    box
        Side of the boxes of the background, in pixels.
    threshold
        Signal-to-noise ratio of detections.
    min_area, deblend_contrast
        See `cerro_pipelines.measure.detect.detect`.
    rescale_variance
        Scale the variance so that it agrees with the scatter of the background: for images that
        were resampled or stacked before they came to us.
    """
    info = raw.info
    mask = flag_pixels(raw.array, info.saturation)
    bad = (mask & np.uint8(int(BAD))) != 0
    scale = np.float32(info.nanojansky_per_adu)
    if rescale_variance:
        variance = scatter_model(raw.array, info.gain)
    else:
        variance = noise_model(
            raw.array, sky=info.sky_level or 0.0, gain=info.gain, read_noise=info.read_noise
        )
    pixels = np.where(np.isfinite(raw.array), raw.array, np.float32(0.0)) * scale
    variance *= scale**2
    seeing = _seeing_in_pixels(raw)
    kernel = moffat_psf(seeing, radius=6).image(2)

    first = estimate_background(pixels, bad, box=box)
    if rescale_variance:
        variance *= _noise_ratio(pixels - first.level, variance, bad, seeing / 2.355)
    found = detect(
        pixels - first.level,
        variance,
        bad,
        kernel,
        threshold=threshold,
        min_area=min_area,
        deblend_contrast=deblend_contrast,
    )
    sources = grow(found.segments > 0, 5)
    second = masked_background(pixels, bad, sources, box=box)
    image = pixels - second.level
    if rescale_variance:
        variance *= _noise_ratio(image, variance, bad | sources, seeing / 2.355)
    image[bad & ((mask & np.uint8(int(Plane.SAT))) == 0)] = 0.0
    mask[found.segments > 0] |= np.uint8(int(Plane.DETECTED))
    _mark_edge(mask, 3)
    exposure = replace(
        raw,
        array=image,
        variance=variance,
        mask=mask,
        unit="nJy",
        psf=None,
        info=info.replace(zero_point=NANOJANSKY_ZERO_POINT, gain=_gain_in_nanojansky(raw)),
        extra={},
    )
    return Detrended(exposure, found, second.level, second.rms)


def _gain_in_nanojansky(raw: Exposure) -> float | None:
    return None if raw.info.gain is None else raw.info.gain / raw.info.nanojansky_per_adu


def _seeing_in_pixels(raw: Exposure) -> float:
    seeing, scale = raw.info.seeing, raw.info.pixel_scale
    return float(np.clip(seeing / scale, 1.5, 15.0)) if seeing and scale else 4.0


def _noise_ratio(image: Floats, variance: Floats, bad: Bools, sigma: float) -> np.float32:
    """How much larger the scatter of empty sky is, on the scale of the PSF, than the variance says.

    Resampled images have less noise from pixel to pixel than over several pixels; what counts for
    fluxes is the latter.
    """
    smooth = ndimage.gaussian_filter(np.where(bad, np.float32(0.0), image), sigma, truncate=3.0)
    step = 5  # a sample of the pixels is enough
    fine = ~bad[::step, ::step]
    # White noise smoothed by a Gaussian falls by this factor.
    quieter = 2.0 * np.sqrt(np.pi) * sigma
    pull = quieter * smooth[::step, ::step][fine] / np.sqrt(variance[::step, ::step][fine])
    return np.float32(_dark_scatter(pull) ** 2) if pull.size >= 100 else np.float32(1.0)


def _dark_scatter(values: Floats) -> float:
    """Tell the standard deviation from the values below the median, which no source raises."""
    middle = float(np.median(values))
    return 1.4826 * float(np.median(middle - values[values < middle]))


def grow(pixels: Bools, width: int) -> Bools:
    """Add the pixels within a square of half side ``width`` of any that is set."""
    near = ndimage.uniform_filter(pixels.astype(np.float32), 2 * width + 1, mode="constant")
    grown: Bools = near > 0.5 / (2 * width + 1) ** 2
    return grown


def _mark_edge(mask: np.ndarray, width: int) -> None:
    edge = np.uint8(int(Plane.EDGE))
    mask[:width] |= edge
    mask[-width:] |= edge
    mask[:, :width] |= edge
    mask[:, -width:] |= edge

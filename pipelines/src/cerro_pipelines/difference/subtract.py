"""Subtract a template from an image although their PSFs differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from cerro_pipelines.measure.psf import PsfModel
from cerro_pipelines.measure.stamps import Bools, Floats

_OVERSAMPLE = 3
_RADIUS = 20  # half width of the PSF of the difference, in pixels


@dataclass(frozen=True)
class Difference:
    """A difference image.

    Attributes
    ----------
    image
        New minus template, in the unit of both; the noise of its pixels is independent.
    variance
        Variance of each pixel, in agreement with the scatter of the empty sky.
    psf
        What a new point source of unit flux looks like.
    """

    image: Floats
    variance: Floats
    psf: PsfModel


def subtract(
    new: Floats,
    new_variance: Floats,
    new_psf: PsfModel,
    reference: Floats,
    reference_variance: Floats,
    reference_psf: PsfModel,
    good: Bools,
) -> Difference:
    """Subtract by the method of Zackay, Ofek & Gal-Yam (2016, ApJ 830, 27).

    Parameters
    ----------
    new, new_variance, new_psf
        The visit.
    reference, reference_variance, reference_psf
        The template on the same pixels, in the same flux unit.
    good
        Pixels where both mean something; others are made equal.

    Notes
    -----
    Equation 13 with both flux zero points 1: each image is convolved with the other's PSF, so that
    nothing is deconvolved whichever is sharper, and the result is whitened. The PSF of the
    difference is equation 14, and fluxes are divided by the zero point of equation 15, so that a
    new source keeps its flux.
    """
    shape = (new.shape[0], new.shape[1])
    noise_new = float(np.median(new_variance[good]))
    noise_reference = float(np.median(reference_variance[good]))
    size = tuple(fft.next_fast_len(n + 2 * new_psf.radius, real=True) for n in shape)
    kernel_new = _transform(new_psf.image(), size)
    kernel_reference = _transform(reference_psf.image(), size)
    norm = np.sqrt(
        noise_new * np.abs(kernel_reference) ** 2 + noise_reference * np.abs(kernel_new) ** 2
    )
    # Frequencies that neither PSF passes hold no information.
    norm = np.maximum(norm, 1e-4 * norm.max())
    zero_point = np.sqrt(noise_new + noise_reference)
    weight = np.float32(zero_point) / norm
    patched = np.where(good, new, reference).astype(np.float32)
    spectrum = kernel_reference * fft.rfft2(patched, size)
    spectrum -= kernel_new * fft.rfft2(reference.astype(np.float32), size)
    image = fft.irfft2(spectrum * weight, size)[: shape[0], : shape[1]].astype(np.float32)
    image[~good] = 0.0
    # Quantized planes on disk may dip below zero where a variance is small.
    least = np.float32(0.01 * (noise_new + noise_reference))
    variance = np.maximum(new_variance + reference_variance, least).astype(np.float32)
    psf = _difference_psf(new_psf, reference_psf, noise_new, noise_reference)
    variance *= _scatter(image, variance, good, psf.sigma)
    return Difference(image, variance, psf)


def _transform(kernel: Floats, size: tuple[int, ...]) -> np.ndarray:
    padded = np.zeros(size, np.float32)
    half = kernel.shape[0] // 2
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    return np.asarray(fft.rfft2(np.roll(padded, (-half, -half), axis=(0, 1))))


def _scatter(image: Floats, variance: Floats, good: Bools, sigma: float) -> np.float32:
    """Ratio of the scatter on the scale of the PSF to that expected.

    It is below one because the visit is a part of its own template, and above where the images were
    resampled before they came to us and neighbouring pixels share their noise.
    """
    step = 5
    smooth = ndimage.gaussian_filter(image, sigma, truncate=3.0)[::step, ::step]
    quieter = 2.0 * np.sqrt(np.pi) * sigma  # white noise smoothed by a Gaussian falls by this
    pull = (quieter * smooth / np.sqrt(variance[::step, ::step]))[good[::step, ::step]]
    if pull.size < 100:
        return np.float32(1.0)
    return np.float32((1.4826 * np.median(np.abs(pull - np.median(pull)))) ** 2)


def _difference_psf(
    new: PsfModel, reference: PsfModel, noise_new: float, noise_reference: float
) -> PsfModel:
    """Equation 14 on a small grid, interpolated to finer steps in Fourier space."""
    side = 2 * (_RADIUS + 12)
    a, b = (np.fft.fft2(_wrap(p.image(), side)) for p in (new, reference))
    norm = np.sqrt(noise_new * np.abs(b) ** 2 + noise_reference * np.abs(a) ** 2)
    norm = np.maximum(norm, 1e-4 * norm.max())
    spectrum = np.fft.fftshift(a * b * np.sqrt(noise_new + noise_reference) / norm)
    wide = side * _OVERSAMPLE
    edge = (wide - side) // 2
    fine = np.fft.ifft2(np.fft.ifftshift(np.pad(spectrum, edge))).real * _OVERSAMPLE**2
    half = (_RADIUS + 1) * _OVERSAMPLE
    centred = np.roll(fine, (half, half), axis=(0, 1))[: 2 * half + 1, : 2 * half + 1]
    return PsfModel(centred, _OVERSAMPLE)


def _wrap(kernel: Floats, side: int) -> Floats:
    """Put a kernel on a grid with its centre at the first pixel, cut to size where it is larger."""
    half = min(kernel.shape[0] // 2, side // 2 - 1)
    middle = kernel.shape[0] // 2
    part = kernel[middle - half : middle + half + 1, middle - half : middle + half + 1]
    grid = np.zeros((side, side))
    grid[: part.shape[0], : part.shape[1]] = part
    return np.roll(grid, (-half, -half), axis=(0, 1))

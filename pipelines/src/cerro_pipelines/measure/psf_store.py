"""Keep an oversampled PSF with an exposure, and find it there."""

from __future__ import annotations

import base64
from dataclasses import replace

import numpy as np

from cerro_pipelines.exposure import Exposure, Psf
from cerro_pipelines.measure.psf import PsfModel

_SAMPLES, _FACTOR = "oversampled_psf", "oversampled_factor"


def attach_psf(exposure: Exposure, psf: PsfModel) -> Exposure:
    """Give the exposure with this PSF: sampled at the pixels, as others read it, and oversampled.

    Parameters
    ----------
    exposure
        The exposure.
    psf
        Its PSF.
    """
    image = psf.image()
    samples = np.ascontiguousarray(psf.samples, dtype="<f4")
    return replace(
        exposure,
        psf=Psf((image / image.sum()).astype(np.float32), psf.fwhm),
        extra={
            **exposure.extra,
            _SAMPLES: base64.b64encode(samples.tobytes()).decode("ascii"),
            _FACTOR: psf.oversample,
        },
    )


def find_psf(exposure: Exposure) -> PsfModel:
    """Give the PSF that `attach_psf` stored; without one, make it from `Exposure.psf`.

    Raises
    ------
    ValueError
        If the exposure has no PSF at all.
    """
    text = exposure.extra.get(_SAMPLES)
    if isinstance(text, str):
        samples = np.frombuffer(base64.b64decode(text), dtype="<f4")
        side = round(samples.size**0.5)
        return PsfModel(samples.reshape(side, side), int(exposure.extra[_FACTOR] or 1))
    if exposure.psf is None:
        raise ValueError(f"The image of visit {exposure.info.visit} has no PSF.")
    # The outermost pixel on each side becomes the margin that an oversampled grid has.
    return PsfModel(np.asarray(exposure.psf.array, np.float64), 1)

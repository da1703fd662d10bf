"""The coadds of a band on the pixels of a visit image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cerro_pipelines.coadd.build import coadd_inputs
from cerro_pipelines.coadd.mapping import PixelMapping
from cerro_pipelines.coadd.warp import warp, warp_psf
from cerro_pipelines.exposure import Exposure, Plane
from cerro_pipelines.measure.psf import PsfModel
from cerro_pipelines.measure.psf_store import find_psf
from cerro_pipelines.measure.stamps import Bools, Floats


@dataclass(frozen=True)
class Template:
    """What a visit should look like.

    Attributes
    ----------
    image, variance
        In nJy and nJy squared on the pixels of the visit.
    good
        Pixels that the coadds cover and where they are not saturated.
    psf
        PSF of the template.
    share
        Weight of the visit itself in the template.
    """

    image: Floats
    variance: Floats
    good: Bools
    psf: PsfModel
    share: float


def make_template(visit: Exposure, coadds: Iterable[Exposure]) -> Template | None:
    """Resample the coadds that overlap a visit image onto its pixels.

    Parameters
    ----------
    visit
        The visit image.
    coadds
        Coadds of its band.

    Returns
    -------
    Template or None
        None where no coadd overlaps.
    """
    image = np.zeros(visit.shape, np.float32)
    variance = np.zeros(visit.shape, np.float32)
    good = np.zeros(visit.shape, dtype=bool)
    parts: list[tuple[float, PsfModel, float]] = []
    for coadd in coadds:
        mapping = PixelMapping.between(visit.wcs, visit.shape, coadd.wcs)
        bad = coadd.has(Plane.NO_DATA)
        warped = warp(coadd.array, coadd.variance, coadd.mask, bad, mapping)
        if warped is None:
            continue
        block = (warped.rows, warped.columns)
        unusable = np.uint8(int(Plane.NO_DATA | Plane.SAT | Plane.BAD))
        usable = warped.covered & ((warped.mask & unusable) == 0)
        new = usable & ~good[block]
        if not new.any():
            continue
        image[block][new] = warped.image[new]
        variance[block][new] = warped.variance[new]
        good[block] |= new
        middle_y, middle_x = np.argwhere(new).mean(axis=0)
        psf = warp_psf(
            find_psf(coadd), mapping, middle_x + warped.columns.start, middle_y + warped.rows.start
        )
        parts.append((float(new.sum()), psf, _share(visit, coadd)))
    if not parts:
        return None
    total = sum(p[0] for p in parts)
    samples = sum((p[0] / total) * p[1].samples for p in parts)
    variance[~good] = np.median(variance[good])
    return Template(
        image,
        variance,
        good,
        PsfModel(np.asarray(samples), parts[0][1].oversample),
        sum(p[0] * p[2] for p in parts) / total,
    )


def _share(visit: Exposure, coadd: Exposure) -> float:
    inputs = coadd_inputs(coadd)
    total = sum(i.weight for i in inputs)
    own = sum(
        i.weight
        for i in inputs
        if i.visit == visit.info.visit and i.detector == visit.info.detector
    )
    return own / total if total > 0 else 0.0

"""Make the coadd of a patch in one band from the visit images that overlap it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cerro_pipelines.coadd.mapping import PixelMapping
from cerro_pipelines.coadd.stack import stack
from cerro_pipelines.coadd.warp import Warp, warp, warp_psf
from cerro_pipelines.exposure import NANOJANSKY_ZERO_POINT, Exposure, ExposureInfo, Plane
from cerro_pipelines.measure.detrend import BAD
from cerro_pipelines.measure.psf import PsfModel
from cerro_pipelines.measure.psf_store import attach_psf, find_psf
from cerro_pipelines.measure.stamps import Floats
from cerro_pipelines.skymap import Patch

_INPUTS = "coadd_inputs"


@dataclass(frozen=True)
class CoaddInput:
    """A visit image in a coadd.

    Attributes
    ----------
    visit, detector
        Its data id.
    mjd
        Middle of the exposure, MJD, TAI.
    weight
        Weight in the mean, in nJy^-2.
    outline
        Corners of the image in pixels of the patch's array, counter-clockwise.
    """

    visit: int
    detector: int
    mjd: float
    weight: float
    outline: tuple[tuple[float, float], ...]

    def contains(self, x: Floats, y: Floats) -> np.ndarray:
        """Say which positions of the patch the image covers."""
        inside = np.ones(np.shape(x), dtype=bool)
        corners = np.array(self.outline)
        area = 0.0
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            area += x0 * y1 - x1 * y0
        sign = np.sign(area)
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            inside &= sign * ((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) >= 0
        return inside


def coadd_inputs(coadd: Exposure) -> list[CoaddInput]:
    """Give what went into a coadd that `build_coadd` made."""
    text = coadd.extra.get(_INPUTS)
    if not isinstance(text, str):
        return []
    return [
        CoaddInput(v, d, t, w, tuple((float(x), float(y)) for x, y in outline))
        for v, d, t, w, outline in json.loads(text)
    ]


def build_coadd(
    patch: Patch,
    band: str,
    images: Iterable[Exposure],
    *,
    clip: float = 5.0,
    psf_radius: int = 24,
) -> Exposure | None:
    """Average visit images on the pixels of a patch.

    Parameters
    ----------
    patch
        The patch.
    band
        Band of the images.
    images
        Visit images (or parts of them) in nJy, with PSF; each is let go before the next is read.
    clip
        Deviation in standard errors from which a pixel of one image is left out.
    psf_radius
        Half width of the coadd's PSF.

    Returns
    -------
    Exposure or None
        None if no image overlaps the patch.
    """
    warps: list[Warp] = []
    psfs: list[PsfModel] = []
    inputs: list[CoaddInput] = []
    weights: list[float] = []
    wcs = patch.wcs
    scale = patch.tract.pixel_scale
    filters: set[str] = set()
    for image in images:
        mapping = PixelMapping.between(wcs, patch.shape, image.wcs)
        bad = image.has(BAD)
        warped = warp(image.array, image.variance, image.mask, bad, mapping)
        if warped is None:
            continue
        # The darkest tenth is free of the sources' own photons.
        noise = float(np.percentile(warped.variance[warped.covered][::23], 10))
        middle_y, middle_x = np.argwhere(warped.covered).mean(axis=0)
        at_x, at_y = middle_x + warped.columns.start, middle_y + warped.rows.start
        psfs.append(warp_psf(find_psf(image), mapping, at_x, at_y, radius=psf_radius))
        weights.append(1.0 / noise)
        warps.append(warped)
        ra, dec = image.corners
        px, py = wcs.wcs_world2pix(ra, dec, 0)
        inputs.append(
            CoaddInput(
                int(image.info.visit or 0),
                int(image.info.detector or 0),
                float(image.info.mjd_mid or 0.0),
                weights[-1],
                tuple(
                    (round(float(x), 2), round(float(y), 2)) for x, y in zip(px, py, strict=True)
                ),
            )
        )
        filters.add(image.info.physical_filter or band)
    if not warps:
        return None
    reject = int(Plane.BAD | Plane.SAT | Plane.CR | Plane.NO_DATA)
    result = stack(warps, weights, patch.shape, reject=reject, clip=clip)
    mask = result.touched & np.uint8(reject)
    mask[result.clipped] |= np.uint8(int(Plane.CLIPPED))
    mask[result.count == 0] |= np.uint8(int(Plane.NO_DATA))
    filled = mask & np.uint8(int(Plane.SAT)) != 0
    # A saturated core is shown, filled in, but it is not "no data".
    mask[filled] &= ~np.uint8(int(Plane.NO_DATA))
    variance = result.variance
    known = result.count > 0
    variance[~known] = float(np.median(variance[known])) if known.any() else 1.0
    share = np.array([w * float(k.covered.sum()) for w, k in zip(weights, warps, strict=True)])
    share /= share.sum()
    samples = sum(s * p.samples for s, p in zip(share, psfs, strict=True))
    psf = PsfModel(np.asarray(samples), psfs[0].oversample)
    info = ExposureInfo(
        band=band,
        physical_filter=filters.pop() if len(filters) == 1 else None,
        skymap=patch.tract.skymap,
        tract=patch.tract.id,
        patch=patch.id,
        mjd_mid=float(np.sum(share * [i.mjd for i in inputs])),
        zero_point=NANOJANSKY_ZERO_POINT,
        pixel_scale=scale,
        seeing=psf.fwhm * scale,
    )
    coadd = Exposure(result.image, variance, mask, wcs, info, None, "nJy", patch.x0, patch.y0)
    text = json.dumps([[i.visit, i.detector, i.mjd, i.weight, i.outline] for i in inputs])
    coadd.extra[_INPUTS] = text
    return attach_psf(coadd, psf)

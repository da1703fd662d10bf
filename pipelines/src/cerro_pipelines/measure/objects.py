"""Find objects on the coadds of a patch and measure them in all bands at the same positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from cerro_pipelines.exposure import Exposure, Plane
from cerro_pipelines.measure.background import masked_background
from cerro_pipelines.measure.detect import Detections, detect
from cerro_pipelines.measure.detrend import grow
from cerro_pipelines.measure.fluxes import fit_fluxes
from cerro_pipelines.measure.models import fit_models, refine_models
from cerro_pipelines.measure.photometry import Photometry, measure
from cerro_pipelines.measure.profiles import psf_mixture
from cerro_pipelines.measure.psf import PsfModel
from cerro_pipelines.measure.psf_store import find_psf
from cerro_pipelines.measure.sources import (
    Models,
    draw_templates,
    initial_models,
    join,
    resolved,
)
from cerro_pipelines.measure.stamps import Bools, Floats
from cerro_pipelines.measure.visit import extendedness, footprints

_MODEL_ERROR = 0.05  # of the light of a model that its misfit may leave behind
_MODEL_REACH = 5  # pixels over which that may be displaced
_SATURATED_REACH = 12  # pixels around a saturated core in which nothing faint is looked for
_CLOSEST = 0.5  # FWHM: nearer than this to a known source, a residual is part of it


@dataclass(frozen=True)
class Objects:
    """The n objects of a patch.

    Attributes
    ----------
    models
        Positions and shapes, in pixels of the patch's array.
    extended
        Whether each is resolved, shape (n,).
    area
        Pixels above the detection threshold, shape (n,).
    blended
        Whether it shares its footprint with another, shape (n,).
    bands
        Photometry in each band.
    extendedness
        0 for a point source, 1 for an extended one, in each band, shape (n,).
    """

    models: Models
    extended: Bools
    area: Floats
    blended: Bools
    bands: Mapping[str, Photometry]
    extendedness: Mapping[str, Floats]


@dataclass(frozen=True)
class _Combined:
    image: Floats
    variance: Floats
    good: Bools
    psf: PsfModel


def usable(coadd: Exposure) -> Bools:
    """Pixels of a coadd that count: those with data that are not saturated."""
    return ~coadd.has(Plane.NO_DATA | Plane.SAT | Plane.BAD)


def _combine(
    coadds: Mapping[str, Exposure], images: Mapping[str, Floats], psfs: Mapping[str, PsfModel]
) -> _Combined:
    """Sum the bands, each in units of its noise: near the best for sources of common colours."""
    shape = next(iter(images.values())).shape
    total, norm, noise = (np.zeros(shape, np.float32) for _ in range(3))
    share: dict[str, float] = {}
    for band, coadd in coadds.items():
        good = usable(coadd)
        spread = float(np.median(coadd.variance[good])) if good.any() else np.inf
        weight = np.float32(1.0 / np.sqrt(spread))
        total += np.where(good, weight * images[band], 0.0)
        noise += np.where(good, weight**2 * coadd.variance, 0.0)
        norm += weight * good
        share[band] = float(weight) * float(good.mean())
    known = norm > 0
    safe = np.where(known, norm, 1.0)
    sum_of_shares = sum(share.values()) or 1.0
    samples = sum((share[b] / sum_of_shares) * p.samples for b, p in psfs.items())
    variance = np.where(known, noise / safe**2, 1.0).astype(np.float32)
    return _Combined(
        np.where(known, total / safe, 0.0).astype(np.float32),
        variance,
        known,
        PsfModel(np.asarray(samples), next(iter(psfs.values())).oversample),
    )


def measure_objects(
    coadds: Mapping[str, Exposure],
    *,
    threshold: float = 5.0,
    min_area: int = 3,
    deblend_contrast: float = 1e-4,
    background_box: int = 128,
) -> Objects:
    """Detect on all bands together and measure in each.

    Parameters
    ----------
    coadds
        Coadds of one patch by band, all of the same shape.
    threshold
        Signal-to-noise ratio of detections on the sum of the bands.
    min_area, deblend_contrast
        See `cerro_pipelines.measure.detect.detect`.
    background_box
        Side in pixels of the boxes for what is left of the background.

    Returns
    -------
    Objects
    """
    psfs = {band: find_psf(coadd) for band, coadd in coadds.items()}
    images = {band: coadd.array for band, coadd in coadds.items()}
    combined = _combine(coadds, images, psfs)
    saturated = np.any([coadd.has(Plane.SAT) for coadd in coadds.values()], axis=0)
    kernel = combined.psf.image(2)
    # The coadds reach deeper than the visits whose backgrounds were removed: what was sky there
    # holds sources here. Detect, remove the background between them, and detect for good.
    bad = ~combined.good
    first = detect(
        combined.image, combined.variance, bad, kernel,
        threshold=threshold, min_area=min_area, deblend_contrast=0.01,
    )  # fmt: skip
    sources = grow(first.segments > 0, 5)
    images = {
        band: coadd.array
        - masked_background(coadd.array, ~usable(coadd), sources, box=background_box).level
        for band, coadd in coadds.items()
    }
    combined = _combine(coadds, images, psfs)
    # A saturated core without its middle would look like a ring of sources.
    whole = fill_cores(combined.image, saturated)
    found = detect(
        whole, combined.variance, bad & ~saturated, kernel,
        threshold=threshold, min_area=min_area, deblend_contrast=deblend_contrast,
    )  # fmt: skip
    models, area, own = _find_models(combined, found, saturated, threshold)
    reference = measure(combined.image, combined.variance, combined.good, models, combined.psf)
    bands: dict[str, Photometry] = {}
    sizes: dict[str, Floats] = {}
    for band, coadd in coadds.items():
        bands[band] = measure(
            images[band], coadd.variance, usable(coadd), models, psfs[band], reference.kron
        )
        sizes[band] = extendedness(
            bands[band].moments,
            bands[band].moments_failed,
            bands[band].psf_flux,
            bands[band].psf_error,
            psfs[band],
        )
    shared = np.bincount(own, minlength=1)
    return Objects(
        models=models,
        extended=resolved(models, combined.psf),
        area=area,
        blended=shared[own] > 1,
        bands=bands,
        extendedness=sizes,
    )


def fill_cores(image: Floats, saturated: Bools) -> Floats:
    """Put a plateau above their surroundings into saturated cores.

    Parameters
    ----------
    image
        The image.
    saturated
        Its saturated pixels.
    """
    labels, count = ndimage.label(saturated, structure=np.ones((3, 3)))
    if count == 0:
        return image
    rim = ndimage.grey_dilation(labels, size=(3, 3)) * ~saturated
    top = ndimage.maximum(image, rim, np.arange(1, count + 1))
    filled = image.copy()
    height = 1.2 * np.concatenate([[0.0], np.asarray(top, dtype=np.float64)])
    # Higher towards the middle, so that the core has one peak.
    depth = ndimage.distance_transform_edt(saturated)
    filled[saturated] = (height[labels] * (1.0 + 0.1 * depth))[saturated]
    return filled


def _find_models(
    combined: _Combined, found: Detections, saturated: Bools, threshold: float
) -> tuple[Models, Floats, np.ndarray]:
    """Model the detections, then look for what they hid; give models, areas and footprints."""
    image, variance, good, psf = combined.image, combined.variance, combined.good, combined.psf
    own = footprints(found)
    guess = initial_models(found.x, found.y, _moments(found), found.area, psf)
    rough = fit_models(image, variance, good, guess, psf)
    hidden = _hidden(combined, rough, saturated, threshold)
    area = found.area
    if len(hidden):
        # A hidden source is an object of the footprint that it lies in.
        labels = np.zeros(int(found.segments.max()) + 1, dtype=np.intp)
        labels[1:] = own
        column = np.clip(np.rint(hidden.x).astype(int), 0, image.shape[1] - 1)
        row = np.clip(np.rint(hidden.y).astype(int), 0, image.shape[0] - 1)
        host = labels[found.segments[row, column]]
        alone = np.arange(len(host)) + own.max(initial=0) + 1
        own = np.concatenate([own, np.where(host > 0, host, alone)])
        more = initial_models(hidden.x, hidden.y, _moments(hidden), hidden.area, psf)
        rough = join(rough, more)
        area = np.concatenate([area, hidden.area])
    models = refine_models(image, variance, good, rough, psf)
    return models, area, own


def _hidden(combined: _Combined, models: Models, saturated: Bools, threshold: float) -> Detections:
    """Detect sources in what the models leave, where that is more than their own imperfection."""
    mixture = psf_mixture(combined.psf)
    fit = fit_fluxes(
        combined.image,
        combined.variance,
        combined.good,
        draw_templates(models, combined.psf, mixture),
        errors=False,
    )
    light = ndimage.maximum_filter(np.maximum(fit.model, 0.0), size=_MODEL_REACH)
    variance = (combined.variance + np.square(_MODEL_ERROR * light)).astype(np.float32)
    residual = np.where(combined.good, combined.image - fit.model, 0.0).astype(np.float32)
    found = detect(
        residual,
        variance,
        ~combined.good | grow(saturated, _SATURATED_REACH),
        combined.psf.image(2),
        threshold=threshold, min_area=2, deblend_contrast=0.005,
    )  # fmt: skip
    if len(found) == 0 or len(models) == 0:
        return found
    distance, _ = cKDTree(np.column_stack([models.x, models.y])).query(
        np.column_stack([found.x, found.y])
    )
    return found.select(distance > _CLOSEST * combined.psf.fwhm)


def _moments(found: Detections) -> Floats:
    c, s = np.cos(found.theta), np.sin(found.theta)
    a2, b2 = found.a**2, found.b**2
    return np.column_stack([a2 * c**2 + b2 * s**2, a2 * s**2 + b2 * c**2, (a2 - b2) * c * s])

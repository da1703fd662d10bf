"""What is known of the sources of an image, and how they look through a PSF."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from cerro_pipelines.measure.fluxes import Templates
from cerro_pipelines.measure.profiles import PsfMixture, draw_galaxies, sersic
from cerro_pipelines.measure.psf import PsfModel
from cerro_pipelines.measure.stamps import Bools, Floats, Ints, split_position

_RADII = (8, 12, 18, 28, 42)  # half widths of stamps; each source gets the least that holds it
PROFILES = (1.0, 2.5, 4.0)  # Sérsic indices: exponential, between, de Vaucouleurs


@dataclass(frozen=True)
class Models:
    """What is known of the sources of an image.

    Attributes
    ----------
    x, y
        Centres in pixels, shape (n,).
    x_error, y_error
        Their standard errors, shape (n,).
    shape
        Half-light shape matrices before the PSF: xx, yy, xy in pixels squared, shape (n, 3).
    size_error
        Standard error of half the trace of ``shape``, shape (n,).
    inflation
        Factor by which not knowing position and shape enlarges the error of the model's flux,
        shape (n,).
    extended
        Whether the source is resolved, shape (n,).
    profile
        Sérsic index of the profile, one of `PROFILES`, shape (n,).
    radius
        Half width of the stamp that holds the source, shape (n,).
    """

    x: Floats
    y: Floats
    x_error: Floats
    y_error: Floats
    shape: Floats
    size_error: Floats
    inflation: Floats
    extended: Bools
    profile: Floats
    radius: Ints

    def __len__(self) -> int:
        return len(self.x)


def join(first: Models, second: Models) -> Models:
    """Put two sets of models into one."""
    return Models(
        *(np.concatenate([getattr(first, f.name), getattr(second, f.name)]) for f in fields(Models))
    )


def initial_models(x: Floats, y: Floats, moments: Floats, area: Floats, psf: PsfModel) -> Models:
    """Guess models from detections.

    Parameters
    ----------
    x, y
        Positions in pixels, shape (n,).
    moments
        Second moments of the light above the threshold: xx, yy, xy, shape (n, 3).
    area
        Pixels above the threshold, shape (n,).
    psf
        PSF of the image.
    """
    count = len(x)
    seen = moments - np.array([1.0, 1.0, 0.0]) * psf.sigma**2 * 0.8
    need = 1.4 * np.sqrt(area / np.pi) + 2.0 * psf.sigma + 2.0
    radii = np.array(_RADII)
    radius = radii[np.minimum(np.searchsorted(radii, need), len(radii) - 1)]
    return Models(
        x=np.asarray(x, np.float64),
        y=np.asarray(y, np.float64),
        x_error=np.full(count, np.nan),
        y_error=np.full(count, np.nan),
        shape=valid_shape(1.4 * seen, psf.sigma, radius),
        size_error=np.full(count, np.nan),
        inflation=np.ones(count),
        extended=np.ones(count, dtype=bool),
        profile=np.full(count, PROFILES[0]),
        radius=radius.astype(np.intp),
    )


def draw_templates(models: Models, psf: PsfModel, mixture: PsfMixture) -> list[Templates]:
    """Draw unit-flux templates of all sources as one image with this PSF shows them.

    Parameters
    ----------
    models
        The sources.
    psf
        PSF for the point sources.
    mixture
        The same PSF as Gaussians, for the galaxies.
    """
    ix, dx = split_position(models.x)
    iy, dy = split_position(models.y)
    groups = []
    for radius in np.unique(models.radius):
        here = models.radius == radius
        points = np.flatnonzero(here & ~models.extended)
        if points.size:
            stamps = psf.draw(models.x[points], models.y[points], int(radius))
            groups.append(Templates(points, ix[points], iy[points], stamps))
        for index in PROFILES:
            galaxies = np.flatnonzero(here & models.extended & (models.profile == index))
            if galaxies.size:
                stamps = draw_galaxies(
                    sersic(index),
                    mixture,
                    dx[galaxies],
                    dy[galaxies],
                    models.shape[galaxies],
                    int(radius),
                )
                groups.append(Templates(galaxies, ix[galaxies], iy[galaxies], stamps))
    return groups


def resolved(models: Models, psf: PsfModel, significance: float = 3.0) -> Bools:
    """Say which sources are larger than noise and the errors of the PSF explain.

    Parameters
    ----------
    models
        Fitted models.
    psf
        PSF of the image.
    significance
        Standard errors by which the size must exceed zero.
    """
    size = 0.5 * (models.shape[:, 0] + models.shape[:, 1])
    # An error of 1 % of the PSF's width looks like this much extent.
    systematic = 0.05 * psf.sigma**2
    larger: Bools = size > systematic + significance * models.size_error
    return larger


def valid_shape(shape: Floats, sigma: float, radius: Ints) -> Floats:
    """Bring shape matrices back to sizes above zero, within the stamp, and not too flat."""
    xx, yy, xy = shape[:, 0], shape[:, 1], shape[:, 2]
    mean = 0.5 * (xx + yy)
    half = 0.5 * (xx - yy)
    spread = np.hypot(half, xy)
    least, most = (0.1 * sigma) ** 2, (0.8 * radius) ** 2
    major = np.clip(mean + spread, least, most)
    minor = np.clip(mean - spread, np.maximum(least, 0.02 * major), most)
    with np.errstate(divide="ignore", invalid="ignore"):
        c = np.where(spread > 0, half / spread, 1.0)
        s = np.where(spread > 0, xy / spread, 0.0)
    mean, spread = 0.5 * (major + minor), 0.5 * (major - minor)
    return np.column_stack([mean + spread * c, mean - spread * c, spread * s])

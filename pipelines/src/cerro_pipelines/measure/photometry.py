"""All fluxes, shapes and flags of known sources on one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cerro_pipelines.measure.apertures import (
    adaptive_moments,
    aperture_flux,
    kron_flux,
    kron_radius,
)
from cerro_pipelines.measure.fluxes import LinearFit, Templates, fit_fluxes
from cerro_pipelines.measure.profiles import psf_mixture
from cerro_pipelines.measure.psf import PsfModel
from cerro_pipelines.measure.sources import Models, draw_templates
from cerro_pipelines.measure.stamps import Bools, Floats, cut, split_position

APERTURES = (6, 9, 12, 17)  # pixels
_LEAST_RADIUS = 18  # of a stamp that holds the largest aperture


@dataclass(frozen=True)
class Kron:
    """Kron apertures, to be used in all bands alike.

    Attributes
    ----------
    moments
        Second moments xx, yy, xy that give the ellipses, shape (n, 3).
    radius
        Circularized radii in pixels, shape (n,).
    guessed
        True where the radius could not be measured, shape (n,).
    """

    moments: Floats
    radius: Floats
    guessed: Bools


@dataclass(frozen=True)
class Photometry:
    """Measurements of n sources on one image. Fluxes are in the unit of the image.

    Attributes
    ----------
    psf_flux, psf_error
        Flux from a fit of the PSF, shape (n,).
    model_flux, model_error
        Flux of the galaxy model that fits the source best (cModel-like), shape (n,).
    aperture_flux, aperture_error
        Fluxes within the circles of `APERTURES`, shape (n, 4).
    aperture_bad
        True where the largest aperture reaches over pixels that do not count, shape (n,).
    kron_flux, kron_error, kron_bad
        Flux within the Kron ellipse, shape (n,).
    kron
        The ellipses.
    moments, moments_failed
        Adaptive second moments xx, yy, xy, shape (n, 3).
    coverage
        Share of the source's pixels that count, shape (n,).
    blendedness
        Share of the light at the source that belongs to others, shape (n,).
    """

    psf_flux: Floats
    psf_error: Floats
    model_flux: Floats
    model_error: Floats
    aperture_flux: Floats
    aperture_error: Floats
    aperture_bad: Bools
    kron_flux: Floats
    kron_error: Floats
    kron_bad: Bools
    kron: Kron
    moments: Floats
    moments_failed: Bools
    coverage: Floats
    blendedness: Floats


def measure(
    image: Floats,
    variance: Floats,
    good: Bools,
    models: Models,
    psf: PsfModel,
    kron: Kron | None = None,
) -> Photometry:
    """Measure sources at given positions, each freed from its neighbours.

    Parameters
    ----------
    image, variance
        Background-subtracted image and its variance.
    good
        Pixels that count.
    models
        The sources.
    psf
        PSF of the image.
    kron
        Apertures of the reference band; measured on this image if omitted.
    """
    count = len(models)
    mixture = psf_mixture(psf)
    templates = draw_templates(models, psf, mixture)
    fit = fit_fluxes(image, variance, good, templates)
    residual = np.where(good, image - fit.model, 0.0).astype(np.float32)
    result = _Arrays.empty(count, kron)
    for group in templates:
        radius = group.stamps.shape[1] // 2
        half = max(radius, _LEAST_RADIUS)
        clean = cut(residual, group.ix, group.iy, half).astype(np.float32)
        inner = slice(half - radius, half + radius + 1)
        own = np.nan_to_num(fit.flux[group.members]).astype(np.float32)
        clean[:, inner, inner] += own[:, None, None] * group.stamps
        _measure_group(result, clean, variance, good, models, group, psf, fit, kron)
    return result.finish(fit, models, kron)


@dataclass
class _Arrays:
    """What `measure` fills group by group."""

    psf: Floats
    psf_error: Floats
    model: Floats
    model_error: Floats
    aperture: Floats
    aperture_error: Floats
    aperture_bad: Bools
    kron: Floats
    kron_error: Floats
    kron_bad: Bools
    kron_radius: Floats
    kron_guessed: Bools
    moments: Floats
    failed: Bools

    @classmethod
    def empty(cls, count: int, kron: Kron | None) -> _Arrays:
        def nan() -> Floats:
            return np.full(count, np.nan)

        def no() -> Bools:
            return np.zeros(count, dtype=bool)

        many = (count, len(APERTURES))
        return cls(
            nan(), nan(), nan(), nan(), np.full(many, np.nan), np.full(many, np.nan), no(),
            nan(), nan(), no(), nan() if kron is None else kron.radius,
            no() if kron is None else kron.guessed, np.full((count, 3), np.nan), no(),
        )  # fmt: skip

    def finish(self, fit: LinearFit, models: Models, kron: Kron | None) -> Photometry:
        shapes = Kron(self.moments, self.kron_radius, self.kron_guessed) if kron is None else kron
        return Photometry(
            psf_flux=self.psf,
            psf_error=self.psf_error,
            model_flux=self.model,
            model_error=self.model_error * np.where(models.extended, models.inflation, 1.0),
            aperture_flux=self.aperture,
            aperture_error=self.aperture_error,
            aperture_bad=self.aperture_bad,
            kron_flux=self.kron,
            kron_error=self.kron_error,
            kron_bad=self.kron_bad,
            kron=shapes,
            moments=self.moments,
            moments_failed=self.failed,
            coverage=fit.coverage,
            blendedness=fit.blendedness,
        )


def _measure_group(
    result: _Arrays,
    clean: Floats,
    variance: Floats,
    good: Bools,
    models: Models,
    group: Templates,
    psf: PsfModel,
    fit: LinearFit,
    kron: Kron | None,
) -> None:
    m = group.members
    half = clean.shape[1] // 2
    dx, dy = split_position(models.x[m])[1], split_position(models.y[m])[1]
    spread = cut(variance, group.ix, group.iy, half).astype(np.float32)
    result.model[m], result.model_error[m] = fit.flux[m], fit.error[m]
    if models.extended[m[0]]:
        stamps = psf.draw(models.x[m], models.y[m], half)
        flux, error = _amplitude(clean, spread, stamps)
        missing = np.isnan(fit.flux[m])
        result.psf[m] = np.where(missing, np.nan, flux)
        result.psf_error[m] = np.where(missing, np.nan, error)
    else:
        result.psf[m], result.psf_error[m] = fit.flux[m], fit.error[m]
    for k, radius in enumerate(APERTURES):
        result.aperture[m, k], result.aperture_error[m, k] = aperture_flux(
            clean, spread, dx, dy, float(radius)
        )
    outside = ~cut(good, group.ix, group.iy, APERTURES[-1])
    height, width = good.shape
    reach = APERTURES[-1]
    result.aperture_bad[m] = (
        outside.any(axis=(1, 2))
        | (group.ix < reach)
        | (group.iy < reach)
        | (group.ix >= width - reach)
        | (group.iy >= height - reach)
    )
    moments, failed = adaptive_moments(clean, dx, dy, 1.1 * psf.sigma)
    result.moments[m], result.failed[m] = moments, failed
    if kron is None:
        result.kron_radius[m], result.kron_guessed[m] = kron_radius(clean, dx, dy, moments)
        shapes = moments
    else:
        shapes = kron.moments[m]
    ellipse = kron_flux(
        clean, spread, dx, dy, shapes, result.kron_radius[m], result.kron_guessed[m]
    )
    result.kron[m], result.kron_error[m] = ellipse.flux, ellipse.error
    result.kron_bad[m] = ellipse.bad


def _amplitude(clean: Floats, spread: Floats, stamps: Floats) -> tuple[Floats, Floats]:
    """Least-squares amplitude of templates and its standard error."""
    half, radius = clean.shape[1] // 2, stamps.shape[1] // 2
    inner = slice(half - radius, half + radius + 1)
    data, noise = clean[:, inner, inner], spread[:, inner, inner]
    power = np.einsum("nij,nij->n", stamps, stamps).astype(np.float64)
    flux = np.einsum("nij,nij->n", stamps, data).astype(np.float64) / power
    error = np.sqrt(np.einsum("nij,nij,nij->n", stamps, stamps, noise).astype(np.float64)) / power
    return flux, error

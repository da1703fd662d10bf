"""Fit a model to every source of an image: position, shape and flux, neighbours included.

Each source is an exponential or de Vaucouleurs galaxy of any ellipticity seen through the PSF, or a
point source where the data show no extent. All are fitted together: a Gauss-Newton step for each on
the image from which all others are subtracted, between simultaneous linear fits of the fluxes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cerro_pipelines.measure.fluxes import Templates, fit_fluxes
from cerro_pipelines.measure.profiles import PsfMixture, draw_galaxies, psf_mixture, sersic
from cerro_pipelines.measure.psf import PsfModel
from cerro_pipelines.measure.sources import (
    PROFILES,
    Models,
    draw_templates,
    initial_models,
    resolved,
    valid_shape,
)
from cerro_pipelines.measure.stamps import Bools, Floats, Ints, cut, pixel_indices, split_position


def fit_models(
    image: Floats,
    variance: Floats,
    good: Bools,
    guess: Models,
    psf: PsfModel,
    *,
    rounds: int = 3,
) -> Models:
    """Fit all sources of an image, and tell point sources from galaxies and galaxies' profiles.

    Parameters
    ----------
    image, variance
        Background-subtracted image and its variance.
    good
        Pixels that count.
    guess
        First guess.
    psf
        PSF of the image.
    rounds
        Times that all sources take a step.

    Returns
    -------
    Models
        Sources that show no extent have become point sources.
    """
    if len(guess) == 0:
        return guess
    models = refine_models(image, variance, good, guess, psf, rounds=rounds)
    return _choose_profiles(image, variance, good, models, psf, psf_mixture(psf))


def refine_models(
    image: Floats,
    variance: Floats,
    good: Bools,
    models: Models,
    psf: PsfModel,
    *,
    rounds: int = 3,
) -> Models:
    """Let sources of known kind take further steps; those that lose their extent become points.

    Parameters
    ----------
    image, variance, good, models, psf, rounds
        As for `fit_models`.
    """
    if len(models) == 0:
        return models
    guess, mixture = models, psf_mixture(psf)
    for _ in range(rounds):
        models = _round(image, variance, good, models, guess, psf, mixture)
    # Any extent is enough to be drawn as a galaxy: a faint one taken for a star would lose a third
    # of its flux, while a star drawn as a tiny galaxy is still a star.
    return replace(models, extended=models.extended & resolved(models, psf, 0.0))


def fit_points(
    image: Floats,
    variance: Floats,
    good: Bools,
    x: Floats,
    y: Floats,
    psf: PsfModel,
    *,
    radius: int = 6,
    rounds: int = 2,
) -> tuple[Floats, Floats, Floats, Floats, Bools]:
    """Refine the positions of sources by fitting point sources, neighbours included.

    Parameters
    ----------
    image, variance
        Background-subtracted image and its variance.
    good
        Pixels that count.
    x, y
        First guess in pixels, shape (n,).
    psf
        PSF of the image.
    radius
        Half width of the fitted stamps.
    rounds
        Times that all sources take a step.

    Returns
    -------
    tuple
        x, y, their standard errors, and whether the centre went astray (the guess is given back).
    """
    count = len(x)
    point = np.full(count, radius, dtype=np.intp)
    guess = replace(
        initial_models(x, y, np.zeros((count, 3)), np.ones(count), psf),
        extended=np.zeros(count, dtype=bool),
        radius=point,
    )
    models = guess
    for _ in range(rounds if count else 0):
        models = _round(image, variance, good, models, guess, psf, None)
    astray = np.hypot(models.x - x, models.y - y) > 1.4 * psf.sigma
    return (
        np.where(astray, x, models.x),
        np.where(astray, y, models.y),
        models.x_error,
        models.y_error,
        astray,
    )


def _draw_gradients(
    models: Models, members: Ints, radius: int, psf: PsfModel, mixture: PsfMixture | None
) -> Floats:
    """Templates and their derivatives of sources of one kind, shape (3 or 6, n, s, s)."""
    x, y = models.x[members], models.y[members]
    if mixture is None or not models.extended[members[0]]:
        return psf.draw(x, y, radius, gradient=True)
    return draw_galaxies(
        sersic(float(models.profile[members[0]])),
        mixture,
        split_position(x)[1],
        split_position(y)[1],
        models.shape[members],
        radius,
        gradient=True,
    )


def _kinds(models: Models) -> list[Ints]:
    """Group sources that are drawn alike: same stamp, same kind, same profile."""
    key = models.radius * 100.0 + models.profile * 10.0 + models.extended
    return [np.flatnonzero(key == k) for k in np.unique(key)]


def _round(
    image: Floats,
    variance: Floats,
    good: Bools,
    models: Models,
    guess: Models,
    psf: PsfModel,
    mixture: PsfMixture | None,
) -> Models:
    """Fit the fluxes together, then let each source take one Gauss-Newton step."""
    ix, iy = split_position(models.x)[0], split_position(models.y)[0]
    drawn = [
        (m, _draw_gradients(models, m, int(models.radius[m[0]]), psf, mixture))
        for m in _kinds(models)
    ]
    templates = [Templates(m, ix[m], iy[m], t[0]) for m, t in drawn]
    fit = fit_fluxes(image, variance, good, templates, errors=False)
    flux = np.nan_to_num(fit.flux)
    residual = np.where(good, image - fit.model, 0.0).astype(np.float32)
    new = replace(
        models,
        x=models.x.copy(),
        y=models.y.copy(),
        x_error=models.x_error.copy(),
        y_error=models.y_error.copy(),
        shape=models.shape.copy(),
        size_error=models.size_error.copy(),
        inflation=models.inflation.copy(),
    )
    for members, stamps in drawn:
        step, covariance, inflation = _newton(
            residual, variance, good, models, guess, members, stamps, flux[members], psf.sigma
        )
        _advance(new, guess, members, step, covariance, psf.sigma)
        if stamps.shape[0] == 6:
            new.inflation[members] = inflation
    return new


def _newton(
    residual: Floats,
    variance: Floats,
    good: Bools,
    models: Models,
    guess: Models,
    members: Ints,
    stamps: Floats,
    flux: Floats,
    sigma: float,
) -> tuple[Floats, Floats, Floats]:
    """Solve for steps of flux, x, y (and shape) of each source, covariances, flux inflation."""
    shape = (residual.shape[0], residual.shape[1])
    ix, iy = split_position(models.x[members])[0], split_position(models.y[members])[0]
    indices, inside = pixel_indices(shape, ix, iy, stamps.shape[2] // 2)
    use = inside & good.reshape(-1)[indices]
    count, parameters = len(members), stamps.shape[0]
    noise = np.median(cut(variance, ix, iy, 1).reshape(count, -1), axis=1).astype(np.float64)
    weight = use.reshape(count, -1)
    jacobian = stamps.reshape(parameters, count, -1) * weight
    jacobian[1:] *= flux.astype(np.float32)[None, :, None]
    jacobian = jacobian.transpose(1, 0, 2)
    normal = (jacobian @ jacobian.transpose(0, 2, 1)).astype(np.float64) / noise[:, None, None]
    data = residual.reshape(-1)[indices].reshape(count, -1, 1)
    rhs = (jacobian @ data)[:, :, 0].astype(np.float64) / noise[:, None]
    # Weak priors hold faint sources near their detection and keep the matrix regular.
    prior = np.zeros((count, parameters))
    prior[:, 1:3] = 1.0
    pull = np.zeros((count, parameters))
    pull[:, 1] = guess.x[members] - models.x[members]
    pull[:, 2] = guess.y[members] - models.y[members]
    if parameters == 6:
        width = 3.0 * (guess.shape[members, 0] + guess.shape[members, 1] + sigma**2)
        prior[:, 3:] = 1.0 / width[:, None] ** 2
        pull[:, 3:] = guess.shape[members] - models.shape[members]
    rhs += prior * pull
    diagonal = np.arange(parameters)
    normal[:, diagonal, diagonal] += prior
    normal[:, 0, 0] += 1e-12 + 1e-9 * normal[:, 0, 0]
    covariance = np.linalg.inv(normal)
    inflation = np.sqrt(np.maximum(covariance[:, 0, 0] * normal[:, 0, 0], 1.0))
    return np.einsum("nij,nj->ni", covariance, rhs), covariance, inflation


def _advance(
    new: Models, guess: Models, members: Ints, step: Floats, covariance: Floats, sigma: float
) -> None:
    new.x[members] += np.clip(step[:, 1], -0.6, 0.6)
    new.y[members] += np.clip(step[:, 2], -0.6, 0.6)
    # A source never leaves the pixels that it was detected on.
    reach = 1.5 * sigma
    new.x[members] = np.clip(new.x[members], guess.x[members] - reach, guess.x[members] + reach)
    new.y[members] = np.clip(new.y[members], guess.y[members] - reach, guess.y[members] + reach)
    new.x_error[members] = np.sqrt(covariance[:, 1, 1])
    new.y_error[members] = np.sqrt(covariance[:, 2, 2])
    if step.shape[1] == 6:
        old = new.shape[members]
        most = 0.7 * (old[:, 0] + old[:, 1] + 2.0 * sigma**2) / 2.0
        largest = np.abs(step[:, 3:]).max(axis=1)
        scale = np.minimum(1.0, most / np.maximum(largest, 1e-30))
        new.shape[members] = valid_shape(
            old + scale[:, None] * step[:, 3:], sigma, new.radius[members]
        )
        trace = covariance[:, 3, 3] + covariance[:, 4, 4] + 2.0 * covariance[:, 3, 4]
        new.size_error[members] = 0.5 * np.sqrt(np.maximum(trace, 0.0))


def _choose_profiles(
    image: Floats,
    variance: Floats,
    good: Bools,
    models: Models,
    psf: PsfModel,
    mixture: PsfMixture,
) -> Models:
    """Give those galaxies a steeper profile whose light says so."""
    fluxes = fit_fluxes(image, variance, good, draw_templates(models, psf, mixture), errors=False)
    residual = np.where(good, image - fluxes.model, 0.0).astype(np.float32)
    size = 0.5 * (models.shape[:, 0] + models.shape[:, 1])
    trial = np.flatnonzero(models.extended & (size > 8.0 * models.size_error))
    profile, shape = models.profile.copy(), models.shape.copy()
    for radius in np.unique(models.radius[trial]):
        m = trial[models.radius[trial] == radius]
        flux = np.nan_to_num(fluxes.flux[m])
        ix, dx = split_position(models.x[m])
        iy, dy = split_position(models.y[m])
        own = draw_galaxies(sersic(PROFILES[0]), mixture, dx, dy, models.shape[m], int(radius))
        data = cut(residual, ix, iy, int(radius)) + flux[:, None, None].astype(np.float32) * own
        noise = np.median(cut(variance, ix, iy, 1).reshape(len(m), -1), axis=1)
        best = np.square(data - flux[:, None, None] * own).sum(axis=(1, 2)) / noise
        for index in PROFILES[1:]:
            for stretch in (0.75, 1.0, 1.35, 1.8):
                trial_shape = models.shape[m] * stretch**2
                other = draw_galaxies(sersic(index), mixture, dx, dy, trial_shape, int(radius))
                amplitude = (data * other).sum(axis=(1, 2)) / np.square(other).sum(axis=(1, 2))
                left = np.square(data - amplitude[:, None, None] * other).sum(axis=(1, 2)) / noise
                better = left < best - 4.0
                profile[m[better]] = index
                shape[m[better]] = trial_shape[better]
                best = np.where(better, left, best)
    return replace(models, profile=profile, shape=valid_shape(shape, psf.sigma, models.radius))

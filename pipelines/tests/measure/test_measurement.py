"""Detection and measurement give back what was put into an image."""

from __future__ import annotations

import galsim
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from cerro_pipelines.exposure import Plane
from cerro_pipelines.measure.apertures import adaptive_moments
from cerro_pipelines.measure.background import masked_background
from cerro_pipelines.measure.detect import detect
from cerro_pipelines.measure.detrend import flag_pixels, noise_model
from cerro_pipelines.measure.fluxes import Templates, fit_fluxes
from cerro_pipelines.measure.models import fit_models
from cerro_pipelines.measure.photometry import measure
from cerro_pipelines.measure.profiles import draw_galaxies, psf_mixture, sersic
from cerro_pipelines.measure.psf import PsfModel, moffat_psf
from cerro_pipelines.measure.psf_fit import PsfError
from cerro_pipelines.measure.sources import initial_models
from cerro_pipelines.measure.stamps import split_position
from cerro_pipelines.measure.visit import estimate_psf, measure_sources

FWHM, NOISE = 4.0, 5.0


def sky_of_stars(
    x: np.ndarray, y: np.ndarray, flux: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Draw stars with GalSim: another code than the one under test."""
    psf = galsim.Kolmogorov(fwhm=FWHM)
    image = galsim.ImageF(shape[1], shape[0], scale=1.0)
    image.setOrigin(0, 0)
    for px, py, f in zip(x, y, flux, strict=True):
        ix, iy = round(px), round(py)
        box = galsim.BoundsI(ix - 40, ix + 40, iy - 40, iy + 40)
        stamp = galsim.ImageF(box, scale=1.0)
        (psf * f).drawImage(stamp, offset=(px - ix, py - iy))
        both = box & image.bounds
        image[both] += stamp[both]
    return image.array.copy()


@pytest.fixture(scope="module")
def star_field() -> dict[str, np.ndarray]:
    """Sixty stars on a grid with jitter, 500 x 500 pixels, white noise."""
    rng = np.random.default_rng(5)
    gx, gy = np.meshgrid(np.arange(30, 490, 56), np.arange(30, 490, 56))
    x = gx.ravel() + rng.uniform(-6, 6, gx.size)
    y = gy.ravel() + rng.uniform(-6, 6, gx.size)
    flux = 10 ** rng.uniform(3.2, 5.2, gx.size)
    true = sky_of_stars(x, y, flux, (500, 500))
    image = (true + rng.normal(0, NOISE, true.shape)).astype(np.float32)
    variance = np.full(image.shape, NOISE**2, np.float32)
    return {"image": image, "variance": variance, "x": x, "y": y, "flux": flux}


@pytest.mark.req("PIPE-5")
def test_the_psf_is_found_from_the_stars_and_fluxes_and_places_agree_within_their_errors(
    star_field: dict[str, np.ndarray],
) -> None:
    image, variance = star_field["image"], star_field["variance"]
    good = np.ones(image.shape, bool)
    found = detect(image, variance, ~good, moffat_psf(FWHM).image(2))
    fit = estimate_psf(image, variance, good, found, fwhm=FWHM)
    assert fit.psf.fwhm == pytest.approx(FWHM, rel=0.05)
    sources = measure_sources(image, variance, good, found, fit.psf)
    truth = cKDTree(np.column_stack([star_field["x"], star_field["y"]]))
    distance, which = truth.query(np.column_stack([sources.x, sources.y]))
    assert len(set(which[distance < 1.0])) == len(star_field["x"])
    assert np.count_nonzero(distance > 2.0) == 0
    flux = star_field["flux"][which]
    pull = (sources.psf_flux - flux) / np.hypot(sources.psf_error, 0.005 * flux)
    assert abs(np.median(pull)) < 0.5
    assert np.std(pull) < 1.5
    place = (sources.x - star_field["x"][which]) / sources.x_error
    assert np.std(place) < 1.5
    assert np.nanmean(sources.extendedness) < 0.1


@pytest.mark.req("PIPE-5")
def test_an_image_without_stars_has_no_psf() -> None:
    image = np.random.default_rng(1).normal(0, 1, (100, 100)).astype(np.float32)
    variance, good = np.ones_like(image), np.ones(image.shape, bool)
    found = detect(image, variance, ~good, moffat_psf(FWHM).image(2))
    with pytest.raises(PsfError, match="at least 3"):
        estimate_psf(image, variance, good, found, fwhm=FWHM)


@settings(max_examples=25, deadline=None)
@given(
    separation=st.floats(2.5, 12.0),
    angle=st.floats(0.0, 6.28),
    ratio=st.floats(0.05, 1.0),
    shift=st.floats(-0.5, 0.5),
)
@pytest.mark.req("PIPE-5")
def test_fluxes_of_two_overlapping_stars_come_apart(
    separation: float, angle: float, ratio: float, shift: float
) -> None:
    psf = moffat_psf(FWHM)
    x = np.array([30.0 + shift, 30.0 + shift + separation * np.cos(angle)])
    y = np.array([30.0, 30.0 + separation * np.sin(angle)])
    flux = np.array([1000.0, 1000.0 * ratio])
    image = np.zeros((61, 61))
    rows, columns = np.mgrid[0:61, 0:61]
    for px, py, f in zip(x, y, flux, strict=True):
        image += f * psf._spline.ev(rows - py, columns - px)
    ix, iy = split_position(x)[0], split_position(y)[0]
    templates = [Templates(np.arange(2), ix, iy, psf.draw(x, y, 10))]
    good = np.ones(image.shape, bool)
    fit = fit_fluxes(image, np.ones(image.shape), good, templates)
    assert fit.flux == pytest.approx(flux, rel=0.01, abs=3.0)
    assert (fit.error > 0).all()


@pytest.mark.req("PIPE-5")
def test_errors_of_fluxes_are_the_scatter_over_many_noises() -> None:
    psf = moffat_psf(FWHM)
    x, y = np.array([20.0, 25.2]), np.array([20.0, 21.0])
    stamps = psf.draw(x, y, 9)
    ix, iy = split_position(x)[0], split_position(y)[0]
    templates = [Templates(np.arange(2), ix, iy, stamps)]
    rng = np.random.default_rng(3)
    good = np.ones((41, 46), bool)
    fits = [
        fit_fluxes(rng.normal(0, 2.0, good.shape), np.full(good.shape, 4.0), good, templates)
        for _ in range(400)
    ]
    scatter = np.std([f.flux for f in fits], axis=0)
    assert fits[0].error == pytest.approx(scatter, rel=0.12)


@pytest.mark.req("PIPE-5")
def test_a_galaxy_gets_its_total_flux_and_counts_as_extended_and_a_star_does_not() -> None:
    kolmogorov = galsim.Kolmogorov(fwhm=FWHM)
    exponential = galsim.Exponential(half_light_radius=4.0).shear(g1=0.2, g2=0.1)
    image = galsim.ImageF(141, 81, scale=1.0)
    image.setOrigin(0, 0)
    for profile, at in ((exponential, 40.3), (galsim.DeltaFunction(), 100.7)):
        part = galsim.ImageF(galsim.BoundsI(0, 140, 0, 80), scale=1.0)
        galsim.Convolve(profile, kolmogorov * 20_000.0).drawImage(
            part, center=galsim.PositionD(at, 40.4)
        )
        image += part
    rng = np.random.default_rng(2)
    pixels = (image.array + rng.normal(0, NOISE, image.array.shape)).astype(np.float32)
    variance, good = np.full(pixels.shape, NOISE**2, np.float32), np.ones(pixels.shape, bool)
    sharp = kolmogorov.drawImage(nx=49, ny=49, scale=1.0 / 3.0, method="no_pixel")
    box = galsim.Convolve(kolmogorov, galsim.Pixel(1.0))
    samples = box.drawImage(nx=151, ny=151, scale=1.0 / 3.0, method="no_pixel").array * 9.0
    assert sharp.array.sum() > 0
    psf = PsfModel(samples, 3)
    x, y = np.array([40.5, 100.5]), np.array([40.0, 40.6])
    guess = initial_models(x, y, np.tile([9.0, 9.0, 0.0], (2, 1)), np.array([400.0, 200.0]), psf)
    models = fit_models(pixels, variance, good, guess, psf)
    result = measure(pixels, variance, good, models, psf)
    assert models.extended.tolist() == [True, False]
    assert models.x == pytest.approx([40.3, 100.7], abs=0.1)
    assert result.model_flux[0] == pytest.approx(20_000.0, rel=0.04)
    assert result.kron_flux[0] == pytest.approx(20_000.0, rel=0.12)
    assert result.psf_flux[0] < 0.8 * result.model_flux[0]
    assert result.psf_flux[1] == pytest.approx(20_000.0, rel=0.02)


@pytest.mark.req("PIPE-5")
def test_gaussian_mixtures_hold_the_light_of_a_galaxy_seen_through_the_psf() -> None:
    psf = moffat_psf(FWHM)
    shape = np.array([[16.0, 9.0, 2.0]])
    zero = np.zeros(1)
    for index in (1.0, 2.5, 4.0):
        image = draw_galaxies(sersic(index), psf_mixture(psf), zero, zero, shape, 45)[0]
        assert float(image.sum()) == pytest.approx(1.0, abs=0.04)


@pytest.mark.req("PIPE-5")
def test_the_gradient_of_a_drawn_galaxy_is_its_derivative() -> None:
    mixture = psf_mixture(moffat_psf(FWHM))
    shape, zero, step = np.array([[9.0, 6.0, 1.0]]), np.zeros(1), 0.01
    drawn = draw_galaxies(sersic(1.0), mixture, zero, zero, shape, 12, gradient=True)
    right = draw_galaxies(sersic(1.0), mixture, zero + step, zero, shape, 12)
    left = draw_galaxies(sersic(1.0), mixture, zero - step, zero, shape, 12)
    assert drawn[1] == pytest.approx((right - left) / (2 * step), abs=2e-5)
    wider_shape = np.add(shape, [[step, 0, 0]])
    wider = draw_galaxies(sersic(1.0), mixture, zero, zero, wider_shape, 12)
    assert drawn[3] == pytest.approx((wider - drawn[0]) / step, abs=2e-5)


@settings(max_examples=20, deadline=None)
@given(sigma=st.floats(1.5, 3.0), flat=st.floats(0.7, 1.0), dx=st.floats(-0.5, 0.5))
@pytest.mark.req("PIPE-5")
def test_adaptive_moments_of_a_gaussian_are_its_own(sigma: float, flat: float, dx: float) -> None:
    rows, columns = np.mgrid[-15:16, -15:16]
    minor = sigma * flat
    image = np.exp(-0.5 * (((columns - dx) / sigma) ** 2 + (rows / minor) ** 2))
    moments, failed = adaptive_moments(
        image[None].astype(np.float32), np.array([dx]), np.zeros(1), 2.0, iterations=40
    )
    assert not failed[0]
    assert moments[0] == pytest.approx([sigma**2, minor**2, 0.0], rel=0.02, abs=0.02)


@pytest.mark.req("PIPE-5")
def test_the_background_between_sources_is_the_mean_of_the_sky() -> None:
    rng = np.random.default_rng(4)
    sky = rng.poisson(50.0, (400, 400)).astype(np.float32)
    sources = np.zeros(sky.shape, bool)
    sources[180:220, 180:220] = True
    sky[sources] += 500.0
    model = masked_background(sky, np.zeros(sky.shape, bool), sources)
    assert float(model.level.mean()) == pytest.approx(50.0, abs=0.1)
    assert model.rms == pytest.approx(np.sqrt(50.0), rel=0.05)


@pytest.mark.req("PIPE-5")
def test_dead_and_saturated_pixels_are_flagged() -> None:
    raw = np.full((20, 20), 100.0, np.float32)
    raw[3, 4], raw[10, 10] = np.nan, 60_000.0
    mask = flag_pixels(raw, 60_000.0)
    assert mask[3, 4] == int(Plane.BAD)
    assert mask[10, 10] & int(Plane.SAT)
    assert mask[9, 11] & int(Plane.SAT)
    assert mask[0, 0] == 0


@pytest.mark.req("PIPE-5")
def test_the_noise_model_counts_photons_and_read_noise() -> None:
    variance = noise_model(np.full((5, 5), 90.0, np.float32), sky=10.0, gain=2.0, read_noise=6.0)
    assert variance == pytest.approx(np.full((5, 5), 100.0 / 2.0 + 9.0))

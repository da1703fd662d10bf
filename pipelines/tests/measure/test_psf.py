"""The PSF is drawn where a star is, and is recovered from the stars of an image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines.tests.support import (
    BETA,
    galaxies,
    lattice,
    moffat_stars,
    noisy,
    tan_wcs,
    visit_exposure,
)

from cerro_pipelines.measure.detect import Detections, detect
from cerro_pipelines.measure.psf import PsfModel, moffat_psf
from cerro_pipelines.measure.psf_fit import PsfError, PsfFit, select_stars
from cerro_pipelines.measure.psf_store import attach_psf, find_psf
from cerro_pipelines.measure.visit import estimate_psf


def fit(image: np.ndarray, variance: np.ndarray, guess: float) -> tuple[PsfFit, Detections]:
    good = np.ones(image.shape, dtype=bool)
    found = detect(image, variance, ~good, moffat_psf(guess, radius=6).image(2))
    return estimate_psf(image, variance, good, found, fwhm=guess), found


@pytest.mark.req("PIPE-5")
@settings(max_examples=20, deadline=None)
@given(
    fwhm=st.floats(2.5, 7.0), dx=st.floats(-0.5, 0.499), dy=st.floats(-0.5, 0.499)
)  # fmt: skip
def test_a_drawn_star_lies_at_its_position_to_a_thousandth_of_its_peak(
    fwhm: float, dx: float, dy: float
) -> None:
    stamp = moffat_psf(fwhm, BETA).draw(np.array([40.0 + dx]), np.array([7.0 + dy]), 10)[0]
    truth = moffat_stars((21, 21), np.array([10 + dx]), np.array([10 + dy]), np.ones(1), fwhm)
    np.testing.assert_allclose(stamp, truth, rtol=0, atol=2e-3 * truth.max())


@pytest.mark.req("PIPE-5")
def test_the_gradient_of_a_star_is_that_of_its_image() -> None:
    psf = moffat_psf(4.0, BETA)
    x, y, step = np.array([5.21]), np.array([9.93]), 0.01
    _, by_x, by_y = psf.draw(x, y, 8, gradient=True)[:, 0]
    across = (psf.draw(x + step, y, 8) - psf.draw(x - step, y, 8))[0] / (2 * step)
    along = (psf.draw(x, y + step, 8) - psf.draw(x, y - step, 8))[0] / (2 * step)
    scale = np.abs(across).max()
    np.testing.assert_allclose(by_x, across, rtol=0, atol=0.02 * scale)
    np.testing.assert_allclose(by_y, along, rtol=0, atol=0.02 * scale)


@pytest.mark.req("PIPE-5")
@pytest.mark.parametrize("fwhm", [2.8, 4.0, 6.0])
def test_widths_of_a_psf_are_those_of_its_profile(fwhm: float) -> None:
    psf = moffat_psf(fwhm, BETA, radius=24)
    stamp = moffat_stars((49, 49), np.array([24.0]), np.array([24.0]), np.ones(1), fwhm)
    assert psf.fwhm == pytest.approx(fwhm, rel=0.01)
    assert psf.effective_area == pytest.approx(1.0 / np.sum(stamp**2), rel=1e-3)


@pytest.mark.req("PIPE-5")
@pytest.mark.parametrize(("fwhm", "guess"), [(3.0, 4.0), (4.2, 4.2), (5.5, 4.0)])
def test_the_psf_of_an_image_is_found_though_the_seeing_was_guessed_wrong(
    fwhm: float, guess: float
) -> None:
    rng = np.random.default_rng(11)
    x, y = lattice((300, 300), 40, rng)
    flux = np.geomspace(2e4, 4e5, x.size)
    image, variance = noisy(moffat_stars((300, 300), x, y, flux, fwhm), 10.0, 2.0, rng)
    result, _ = fit(image, variance, guess)
    assert result.psf.fwhm == pytest.approx(fwhm, rel=0.02)
    truth = moffat_stars((15, 15), np.array([7.0]), np.array([7.0]), np.ones(1), fwhm)
    np.testing.assert_allclose(result.psf.image(7), truth, rtol=0, atol=0.02 * truth.max())


@pytest.mark.req("PIPE-5")
def test_galaxies_do_not_enter_the_psf() -> None:
    rng = np.random.default_rng(12)
    x, y = lattice((300, 300), 40, rng)
    flux = rng.permutation(np.geomspace(4e4, 4e5, x.size))
    star = rng.permutation(np.arange(x.size) % 2 == 0)
    light = moffat_stars((300, 300), x[star], y[star], flux[star], 4.0)
    light += galaxies((300, 300), x[~star], y[~star], flux[~star], 4.0, 4.0)
    image, variance = noisy(light, 10.0, 2.0, rng)
    result, found = fit(image, variance, 4.0)
    used_x, used_y = found.x[result.stars], found.y[result.stars]
    nearest = np.hypot(used_x[:, None] - x, used_y[:, None] - y).argmin(axis=1)
    assert len(nearest) >= 10
    assert star[nearest].all()
    assert result.psf.fwhm == pytest.approx(4.0, rel=0.03)


@pytest.mark.req("PIPE-5")
def test_an_elliptical_psf_keeps_its_direction() -> None:
    rng = np.random.default_rng(13)
    x, y = lattice((300, 300), 40, rng)
    light = np.zeros((300, 300))
    model = moffat_psf(4.0, BETA)
    # Stretched along x by sampling the round profile more closely there.
    wide = PsfModel(model.samples, model.oversample)
    for one_x, one_y in zip(x, y, strict=True):
        column = 150 + (np.arange(300) - one_x) / 1.1
        row = 150 + (np.arange(300) - one_y) * 1.1
        r = np.hypot((column - 150)[None, :], (row - 150)[:, None])
        profile = np.interp(r, np.arange(64) / 4.0, wide.samples[64, 64:128], right=0.0)
        light += 2e5 * profile
    image, variance = noisy(light, 10.0, 2.0, rng)
    result, _ = fit(image, variance, 4.0)
    # a/b = 1.21, thus (a^2 - b^2) / (a^2 + b^2) = 0.19 along x.
    assert result.e1 == pytest.approx(0.189, abs=0.02)
    assert result.e2 == pytest.approx(0.0, abs=0.02)


@pytest.mark.req("PIPE-5")
def test_an_image_with_two_stars_has_no_psf_and_says_so() -> None:
    rng = np.random.default_rng(14)
    light = moffat_stars((100, 100), np.array([30.0, 70.0]), np.array([40.0, 60.0]), 1e5, 4.0)
    image, variance = noisy(light, 10.0, 2.0, rng)
    with pytest.raises(PsfError, match="2 sources in the image; a PSF needs at least 3"):
        fit(image, variance, 4.0)


@pytest.mark.req("PIPE-5")
def test_stars_are_the_narrow_ridge_among_the_sizes() -> None:
    rng = np.random.default_rng(15)
    size = np.concatenate([rng.normal(2.3, 0.01, 40), rng.uniform(2.6, 6.0, 60)])
    flux = rng.uniform(1e4, 1e5, size.size)
    clean = np.ones(size.size, dtype=bool)
    clean[3] = False
    chosen = select_stars(size, flux, flux / 100.0, clean)
    assert set(chosen) <= set(range(40)) - {3}
    assert len(chosen) >= 35
    np.testing.assert_array_equal(flux[chosen], np.sort(flux[chosen])[::-1])


@pytest.mark.req("PIPE-5")
def test_a_psf_survives_on_the_exposure_that_is_stored() -> None:
    psf = moffat_psf(3.7, BETA, radius=20)
    exposure = attach_psf(visit_exposure(np.zeros((60, 50)), 1.0, 4.0, tan_wcs()), psf)
    again = find_psf(type(exposure).from_masked_image(exposure.to_masked_image()))
    assert again.oversample == psf.oversample
    np.testing.assert_allclose(again.samples, psf.samples, rtol=1e-6)
    assert exposure.psf is not None
    assert exposure.psf.array.sum() == pytest.approx(1.0, abs=1e-6)

"""Sources of one image come back with their position and fluxes, within the errors stated."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from pipelines.tests.support import (
    BETA,
    galaxies,
    lattice,
    match,
    moffat_stars,
    moffat_within,
    noisy,
)

from cerro_pipelines.measure.detect import Detections, detect
from cerro_pipelines.measure.photometry import APERTURES
from cerro_pipelines.measure.psf import moffat_psf
from cerro_pipelines.measure.visit import VisitSources, measure_sources

FWHM = 4.0
SHAPE = (330, 330)


def run(
    image: np.ndarray, variance: np.ndarray, good: np.ndarray | None = None
) -> tuple[VisitSources, Detections]:
    psf = moffat_psf(FWHM, BETA, radius=24)
    fine = np.ones(image.shape, dtype=bool) if good is None else good
    found = detect(image, variance, ~fine, psf.image(2), deblend_contrast=0.0003)
    return measure_sources(image, variance, fine, found, psf), found


def normal(pull: np.ndarray, *, width: float = 1.0) -> None:
    """Check that pulls have no mean and the width given, as far as so many can tell."""
    count = pull.size
    assert abs(pull.mean()) < 3.5 * width / np.sqrt(count)
    assert pull.std() == pytest.approx(width, rel=3.5 / np.sqrt(2 * count))


@pytest.fixture(scope="module")
def stars() -> dict[str, np.ndarray]:
    """Some 260 stars, 20 to 300 times above the noise."""
    rng = np.random.default_rng(21)
    x, y = lattice(SHAPE, 18, rng)
    flux = rng.permutation(np.geomspace(1500.0, 4e4, x.size))
    image, variance = noisy(moffat_stars(SHAPE, x, y, flux, FWHM), 10.0, 2.0, rng)
    return {"image": image, "variance": variance, "x": x, "y": y, "flux": flux}


@pytest.fixture(scope="module")
def measured(stars: dict[str, np.ndarray]) -> VisitSources:
    sources, _ = run(stars["image"], stars["variance"])
    index = match(stars["x"], stars["y"], sources.x, sources.y).index
    assert len(set(index.tolist())) == len(stars["x"])
    assert len(sources.x) == len(stars["x"])
    return VisitSources(**{f.name: getattr(sources, f.name)[index] for f in fields(sources)})


@pytest.mark.req("PIPE-5")
def test_psf_fluxes_scatter_about_the_truth_by_their_errors(
    stars: dict[str, np.ndarray], measured: VisitSources
) -> None:
    normal((measured.psf_flux - stars["flux"]) / measured.psf_error)


@pytest.mark.req("PIPE-5")
def test_positions_scatter_about_the_truth_by_their_errors(
    stars: dict[str, np.ndarray], measured: VisitSources
) -> None:
    assert not measured.centroid_bad.any()
    normal((measured.x - stars["x"]) / measured.x_error)
    normal((measured.y - stars["y"]) / measured.y_error)


@pytest.mark.req("PIPE-5")
def test_an_aperture_sums_the_light_within_it_with_its_error(
    stars: dict[str, np.ndarray], measured: VisitSources
) -> None:
    # The neighbours' wings are within the aperture too: exactly known, they are taken off here.
    truth = moffat_stars(SHAPE, stars["x"], stars["y"], stars["flux"], FWHM)
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for k, radius in enumerate(APERTURES[:2]):
        inside = np.array(
            [
                (truth * np.clip(radius + 0.5 - np.hypot(column - x, row - y), 0, 1)).sum()
                for x, y in zip(stars["x"], stars["y"], strict=True)
            ]
        )
        normal((measured.aperture_flux[:, k] - inside) / measured.aperture_error[:, k])


@pytest.mark.req("PIPE-5")
def test_kron_fluxes_hold_the_same_share_of_every_star() -> None:
    rng = np.random.default_rng(22)
    x, y = lattice(SHAPE, 44, rng, margin=30)
    flux = rng.permutation(np.geomspace(1e4, 1e6, x.size))
    image, variance = noisy(moffat_stars(SHAPE, x, y, flux, FWHM), 10.0, 2.0, rng)
    sources, _ = run(image, variance)
    index = match(x, y, sources.x, sources.y).index
    share = sources.kron_flux[index] / flux
    assert not sources.kron_bad.any()
    bright = flux > 1e5
    assert np.all((share[bright] > 0.9) & (share[bright] < 1.01))
    pull = (sources.kron_flux[index] - np.median(share[bright]) * flux) / np.hypot(
        sources.kron_error[index], 0.02 * flux
    )
    assert abs(np.median(pull)) < 0.5
    assert np.abs(pull).max() < 4.0


@pytest.mark.req("PIPE-5")
@pytest.mark.parametrize(("distance", "faint"), [(6.5, 3e4), (8.0, 1e4), (10.0, 3e3)])
def test_a_neighbour_is_told_from_the_brighter_star_beside_it(
    distance: float, faint: float
) -> None:
    rng = np.random.default_rng(23)
    x, y = lattice(SHAPE, 40, rng, margin=30)
    angle = rng.uniform(0, 2 * np.pi, x.size)
    near_x, near_y = x + distance * np.cos(angle), y + distance * np.sin(angle)
    light = moffat_stars(SHAPE, x, y, np.full(x.size, 4e4), FWHM)
    light += moffat_stars(SHAPE, near_x, near_y, np.full(x.size, faint), FWHM)
    image, variance = noisy(light, 10.0, 5.0, rng)
    sources, _ = run(image, variance)
    assert len(sources.x) == 2 * x.size
    assert sources.blended.all()
    for own_x, own_y, flux in ((x, y, 4e4), (near_x, near_y, faint)):
        near = match(own_x, own_y, sources.x, sources.y)
        error = np.hypot(sources.x_error, sources.y_error)[near.index]
        assert np.all(near.distance < 5.0 * error + 0.02)
        # The light of a neighbour beyond the fitted stamps is left in: a few per cent of the faint.
        spread = np.hypot(sources.psf_error[near.index], 0.03 * flux)
        pull = (sources.psf_flux[near.index] - flux) / spread
        assert abs(pull.mean()) < 0.6
        assert pull.std() < 1.6


@pytest.mark.req("PIPE-5")
def test_galaxies_are_extended_and_stars_are_not() -> None:
    rng = np.random.default_rng(24)
    x, y = lattice(SHAPE, 36, rng, margin=24)
    star = np.arange(x.size) % 2 == 0
    flux = np.geomspace(2e4, 2e5, x.size)
    light = moffat_stars(SHAPE, x[star], y[star], flux[star], FWHM)
    light += galaxies(SHAPE, x[~star], y[~star], flux[~star], 2.5, FWHM)
    image, variance = noisy(light, 10.0, 2.0, rng)
    sources, _ = run(image, variance)
    index = match(x, y, sources.x, sources.y).index
    assert np.all(sources.extendedness[index[star]] == 0)
    assert np.all(sources.extendedness[index[~star]] == 1)
    size = sources.moments[:, 0] + sources.moments[:, 1]
    own = 2 * moffat_psf(FWHM, BETA).sigma ** 2
    np.testing.assert_allclose(size[index[star]], own, rtol=0.1)


@pytest.mark.req("PIPE-5")
def test_a_star_on_a_dead_column_keeps_its_psf_flux_and_its_aperture_is_flagged() -> None:
    rng = np.random.default_rng(25)
    x, y = lattice(SHAPE, 60, rng, margin=45)
    light = moffat_stars(SHAPE, x, y, np.full(x.size, 3e4), FWHM)
    image, variance = noisy(light, 10.0, 2.0, rng)
    good = np.ones(SHAPE, dtype=bool)
    hit = np.arange(x.size) % 3 == 0
    for one_x, one_y in zip(x[hit], y[hit], strict=True):
        rows = slice(int(one_y) - 8, int(one_y) + 9)
        good[rows, round(one_x) + 3] = False
        image[rows, round(one_x) + 3] = -5e4
    sources, _ = run(image, variance, good)
    near = match(x, y, sources.x, sources.y)
    assert near.distance.max() < 0.1
    np.testing.assert_array_equal(sources.aperture_bad[near.index], hit)
    pull = (sources.psf_flux[near.index] - 3e4) / sources.psf_error[near.index]
    assert np.abs(pull).max() < 4.0
    assert sources.psf_error[near.index][hit].min() > sources.psf_error[near.index][~hit].max()


@pytest.mark.req("PIPE-5")
def test_an_aperture_over_the_edge_is_flagged() -> None:
    rng = np.random.default_rng(26)
    x, y = np.array([12.0, 150.0, 313.4]), np.array([150.0, 150.0, 40.0])
    light = moffat_stars(SHAPE, x, y, np.full(3, 3e4), FWHM)
    sources, _ = run(*noisy(light, 10.0, 2.0, rng))
    index = match(x, y, sources.x, sources.y).index
    assert sources.aperture_bad[index].tolist() == [True, False, True]


@pytest.mark.req("PIPE-5")
def test_the_light_of_a_star_beyond_its_largest_aperture_is_what_the_profile_says() -> None:
    x, y = np.array([100.3]), np.array([99.8])
    light = moffat_stars((200, 200), x, y, np.array([1e6]), FWHM)
    sources, _ = run(light.astype(np.float32), np.ones((200, 200), np.float32))
    assert sources.psf_flux[0] == pytest.approx(1e6, rel=2e-3)
    for k, radius in enumerate(APERTURES):
        expected = 1e6 * moffat_within(radius, FWHM)
        assert sources.aperture_flux[0, k] == pytest.approx(expected, rel=2e-3)


@pytest.mark.req("PIPE-5")
def test_an_image_without_sources_gives_empty_columns() -> None:
    noise = np.random.default_rng(27).normal(0, 1, (80, 80)).astype(np.float32)
    sources, found = run(noise, np.ones((80, 80), np.float32))
    assert len(found) == 0
    assert {len(getattr(sources, f.name)) for f in fields(sources)} == {0}


@pytest.mark.req("PIPE-5")
def test_the_same_image_gives_the_same_numbers(stars: dict[str, np.ndarray]) -> None:
    first, _ = run(stars["image"].copy(), stars["variance"].copy())
    second, _ = run(stars["image"].copy(), stars["variance"].copy())
    for field in fields(first):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name))

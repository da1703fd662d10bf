"""The mean of many images: less noise as stated, nothing that one image alone shows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines.tests.support import lattice, moffat_stars, noisy, tan_wcs, visit_exposure

from cerro_pipelines.coadd.build import build_coadd, coadd_inputs
from cerro_pipelines.coadd.stack import stack
from cerro_pipelines.coadd.warp import Warp
from cerro_pipelines.exposure import Exposure, Plane
from cerro_pipelines.skymap import Patch, Tract

SHAPE = (120, 120)
REJECT = int(Plane.BAD | Plane.SAT | Plane.CR | Plane.NO_DATA)


def whole(image: np.ndarray, variance: float, mask: np.ndarray | None = None) -> Warp:
    """An image that covers the whole patch."""
    bits = np.zeros(SHAPE, np.uint8) if mask is None else mask
    full = slice(0, SHAPE[0]), slice(0, SHAPE[1])
    spread = np.full(SHAPE, variance, np.float32)
    return Warp(*full, image.astype(np.float32), spread, bits, np.ones(SHAPE, dtype=bool))


@pytest.fixture(scope="module")
def patch() -> Patch:
    return Tract("sim", 0, 30.0, -5.0, 0.2, 220, 10, 1, 1).patch(0)


def visits(
    patch: Patch, count: int, *, sigma: float = 20.0, seeing: float = 4.0
) -> tuple[list[Exposure], np.ndarray, np.ndarray, np.ndarray]:
    """Turned and shifted images of the same stars; the stars' places on the patch and fluxes."""
    rng = np.random.default_rng(51)
    x, y = lattice(patch.shape, 45, rng, margin=30)
    flux = np.geomspace(5e3, 1e5, x.size)
    ra, dec = patch.wcs.all_pix2world(x, y, 0)
    images = []
    for k in range(count):
        fwhm = seeing + 0.2 * (k % 3)
        wcs = tan_wcs(shape=(280, 280), rotation=7.0 * k, shift=(3.1 * k % 5, 1.7 * k % 4))
        light = moffat_stars((280, 280), *wcs.wcs_world2pix(ra, dec, 0), flux, fwhm)
        image, variance = noisy(light, sigma, 50.0, rng)
        images.append(visit_exposure(image, variance, fwhm, wcs, visit=k, mjd=60000.0 + k))
    return images, x, y, flux


@pytest.mark.req("PIPE-6")
@settings(max_examples=12, deadline=None)
@given(
    sigma=st.lists(st.floats(1.0, 20.0), min_size=1, max_size=6), seed=st.integers(0, 1000)
)  # fmt: skip
def test_the_mean_is_weighted_by_noise_and_its_variance_is_its_scatter(
    sigma: list[float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    warps = [whole(100.0 + rng.normal(0, s, SHAPE), s**2) for s in sigma]
    result = stack(warps, [s**-2 for s in sigma], SHAPE, reject=REJECT, clip=8.0)
    best = 1.0 / sum(s**-2 for s in sigma)
    np.testing.assert_allclose(result.variance, best, rtol=1e-4)
    assert result.image.std() == pytest.approx(np.sqrt(best), rel=0.03)
    assert result.image.mean() == pytest.approx(100.0, abs=5 * np.sqrt(best / result.image.size))
    assert np.all(result.count == len(sigma))
    assert not result.clipped.any()


@pytest.mark.req("PIPE-6")
@pytest.mark.parametrize("number", [3, 4, 8])
def test_a_cosmic_ray_is_left_out_and_the_variance_knows_one_image_less(number: int) -> None:
    rng = np.random.default_rng(number)
    images = [rng.normal(0, 5.0, SHAPE) for _ in range(number)]
    track = np.arange(40, 60)
    images[1][track, track + 5] += 2000.0
    result = stack([whole(i, 25.0) for i in images], [0.04] * number, SHAPE, reject=REJECT)
    hit = (track, track + 5)
    assert np.abs(result.image[hit]).max() < 5 * 5.0 / np.sqrt(number - 1)
    assert result.clipped[hit].all()
    assert result.clipped.sum() <= 3 * len(track)
    np.testing.assert_array_equal(result.count[hit], number - 1)
    np.testing.assert_allclose(result.variance[hit], 25.0 / (number - 1), rtol=1e-5)
    assert result.variance[5, 5] == pytest.approx(25.0 / number)


@pytest.mark.req("PIPE-6")
def test_stars_are_not_clipped_when_the_seeing_changes(patch: Patch) -> None:
    rng = np.random.default_rng(52)
    x, y = lattice(SHAPE, 40, rng, margin=25)
    images = [
        noisy(moffat_stars(SHAPE, x, y, np.full(x.size, 1e5), fwhm), 10.0, 50.0, rng)
        for fwhm in (3.5, 4.0, 4.4, 4.8, 4.2)
    ]
    lit = moffat_stars(SHAPE, x, y, np.full(x.size, 1e5), 4.0) > 30.0
    warps = []
    for image, variance in images:
        bits = np.where(lit, np.uint8(int(Plane.DETECTED)), np.uint8(0))
        full = slice(0, SHAPE[0]), slice(0, SHAPE[1])
        warps.append(Warp(*full, image, variance, bits, np.ones(SHAPE, dtype=bool)))
    result = stack(warps, [0.01] * 5, SHAPE, reject=REJECT)
    assert np.count_nonzero(result.clipped) == 0
    expected = np.mean([i for i, _ in images], axis=0)
    np.testing.assert_allclose(result.image, expected, rtol=1e-4, atol=1e-2)


@pytest.mark.req("PIPE-6")
def test_bad_pixels_give_way_to_good_ones_and_are_told_where_there_are_none() -> None:
    first, second = np.full(SHAPE, 10.0), np.full(SHAPE, 20.0)
    masks = np.zeros((2, *SHAPE), np.uint8)
    masks[0, 10] = int(Plane.SAT)
    masks[:, 30] = int(Plane.SAT)
    first[10] = 1e6
    warps = [whole(first, 4.0, masks[0]), whole(second, 4.0, masks[1])]
    result = stack(warps, [0.25, 0.25], SHAPE, reject=REJECT)
    np.testing.assert_allclose(result.image[10], 20.0)
    np.testing.assert_allclose(result.variance[10], 4.0)
    assert not result.touched[10].any()
    np.testing.assert_allclose(result.image[30], 15.0)
    assert np.all(result.touched[30] == int(Plane.SAT))
    assert np.all(result.count[30] == 0)
    np.testing.assert_allclose(result.image[50], 15.0)


@pytest.mark.req("PIPE-6")
def test_coadded_stars_have_their_flux_on_average_and_their_noise_as_stated(patch: Patch) -> None:
    images, x, y, flux = visits(patch, 5)
    coadd = build_coadd(patch, "r", images)
    assert coadd is not None
    assert coadd.unit == "nJy"
    near = np.hypot(*(np.mgrid[:220, :220][:, None] - np.stack([y, x])[:, :, None, None])).min(
        axis=0
    )
    empty = (near > 18) & ~coadd.has(Plane.NO_DATA)
    # Interpolation smooths single pixels; squares of 10 pixels tell the noise that counts.
    blocks = empty.reshape(22, 10, 22, 10).all(axis=(1, 3))
    sums = coadd.array.reshape(22, 10, 22, 10).sum(axis=(1, 3), dtype=float)[blocks]
    noise = np.sqrt(coadd.variance.reshape(22, 10, 22, 10).sum(axis=(1, 3), dtype=float)[blocks])
    light = moffat_stars(patch.shape, x, y, flux, 4.2)
    wings = light.reshape(22, 10, 22, 10).sum(axis=(1, 3))[blocks]
    pull = (sums - wings) / noise
    assert abs(pull.mean()) < 0.4
    assert pull.std() == pytest.approx(1.0, abs=0.2)
    assert np.median(coadd.variance[empty]) == pytest.approx(20.0**2 / 5, rel=0.05)
    for one_x, one_y, one in zip(x, y, flux, strict=True):
        left, low = round(float(one_x)) - 12, round(float(one_y)) - 12
        box = (slice(low, low + 25), slice(left, left + 25))
        error = np.sqrt(coadd.variance[box].sum(dtype=float))
        share = light[box].sum() / one
        assert coadd.array[box].sum() == pytest.approx(share * one, abs=4 * error + 0.01 * one)


@pytest.mark.req("PIPE-6")
def test_a_coadd_knows_its_visits_and_the_time_between_them(patch: Patch) -> None:
    coadd = build_coadd(patch, "r", visits(patch, 3)[0])
    assert coadd is not None
    assert [i.visit for i in coadd_inputs(coadd)] == [0, 1, 2]
    assert coadd.info.mjd_mid == pytest.approx(60001.0, abs=0.1)
    assert (coadd.info.tract, coadd.info.patch, coadd.info.visit) == (0, 0, None)
    stored = Exposure.from_masked_image(coadd.to_masked_image())
    assert coadd_inputs(stored) == coadd_inputs(coadd)


@pytest.mark.req("PIPE-6")
def test_pixels_that_no_image_covers_are_no_data(patch: Patch) -> None:
    wcs = tan_wcs(shape=(100, 100))
    image = np.full((100, 100), 5.0)
    coadd = build_coadd(patch, "r", [visit_exposure(image, 1.0, 4.0, wcs)])
    assert coadd is not None
    nothing = coadd.has(Plane.NO_DATA)
    # The outermost pixel centres lie on the line itself, where rounding decides.
    assert 98**2 <= np.count_nonzero(~nothing) <= 100**2
    assert not nothing[110, 110]
    assert np.all(coadd.array[nothing] == 0.0)
    assert np.isfinite(coadd.variance).all()


@pytest.mark.req("PIPE-6")
def test_images_of_another_field_make_no_coadd(patch: Patch) -> None:
    elsewhere = visit_exposure(np.zeros((100, 100)), 1.0, 4.0, tan_wcs(ra=31.0, shape=(100, 100)))
    assert build_coadd(patch, "r", [elsewhere]) is None


@pytest.mark.req("PIPE-6")
def test_the_same_images_give_the_same_coadd(patch: Patch) -> None:
    first, second = (build_coadd(patch, "r", visits(patch, 3)[0]) for _ in range(2))
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.array, second.array)
    np.testing.assert_array_equal(first.variance, second.variance)
    assert first.extra == second.extra

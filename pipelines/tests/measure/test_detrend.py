"""Raw counts become nJy above no background, with honest variance and mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pipelines.tests.support import lattice, match, moffat_stars, tan_wcs
from scipy import ndimage

from cerro_pipelines.exposure import Exposure, ExposureInfo, Plane
from cerro_pipelines.measure.detrend import Detrended, detrend, flag_pixels, noise_model

SHAPE = (256, 256)
ZERO_POINT, GAIN, READ_NOISE, SKY = 28.9, 2.0, 8.0, 900.0
NANOJANSKY = 10 ** (0.4 * (31.4 - ZERO_POINT))


def raw(array: np.ndarray, **circumstances: Any) -> Exposure:
    info = ExposureInfo(
        band="r", visit=7, detector=0, zero_point=ZERO_POINT, gain=GAIN, read_noise=READ_NOISE,
        saturation=60_000.0, sky_level=0.0, seeing=0.8, pixel_scale=0.2,
    ).replace(**circumstances)  # fmt: skip
    return Exposure.from_arrays(array, tan_wcs(shape=SHAPE), info, unit="adu")


def counts(light: np.ndarray, seed: int) -> np.ndarray:
    """Photons and read noise on sky and sources, in adu."""
    rng = np.random.default_rng(seed)
    electrons = rng.poisson((light + SKY) * GAIN) + rng.normal(0, READ_NOISE, light.shape)
    return (electrons / GAIN).astype(np.float32)


def reduce(exposure: Exposure, *, rescale_variance: bool = False) -> Detrended:
    return detrend(
        exposure, box=64, threshold=5.0, min_area=3, deblend_contrast=0.0003,
        rescale_variance=rescale_variance,
    )  # fmt: skip


@pytest.mark.req("PIPE-5")
def test_fluxes_come_out_in_nanojansky_above_no_background() -> None:
    rng = np.random.default_rng(1)
    x, y = lattice(SHAPE, 40, rng)
    light = moffat_stars(SHAPE, x, y, np.full(x.size, 2e4), 4.0)
    result = reduce(raw(counts(light, 2)))
    assert result.exposure.unit == "nJy"
    assert result.exposure.info.zero_point == 31.4
    assert result.exposure.info.nanojansky_per_adu == pytest.approx(1.0)
    np.testing.assert_allclose(result.background, SKY * NANOJANSKY, rtol=0.005)
    difference = result.exposure.array - light * NANOJANSKY
    pull = difference / np.sqrt(result.exposure.variance)
    assert abs(pull.mean()) < 0.02
    assert pull.std() == pytest.approx(1.0, abs=0.03)


@pytest.mark.req("PIPE-5")
def test_every_star_is_detected_once_and_marked() -> None:
    rng = np.random.default_rng(3)
    x, y = lattice(SHAPE, 40, rng)
    result = reduce(raw(counts(moffat_stars(SHAPE, x, y, np.full(x.size, 1e4), 4.0), 4)))
    near = match(x, y, result.detections.x, result.detections.y)
    assert near.distance.max() < 0.5
    assert len(result.detections) == x.size
    marked = result.exposure.has(Plane.DETECTED)
    assert marked[np.rint(y).astype(int), np.rint(x).astype(int)].all()
    assert 0.0 < marked.mean() < 0.2


@pytest.mark.req("PIPE-5")
def test_an_empty_sky_has_next_to_no_detections() -> None:
    found = sum(len(reduce(raw(counts(np.zeros(SHAPE), seed))).detections) for seed in range(5))
    assert found <= 1


@pytest.mark.req("PIPE-5")
def test_pixels_without_value_are_bad_and_full_ones_saturated_with_their_neighbours() -> None:
    array = np.full((50, 60), 100.0, np.float32)
    array[:, 20] = np.nan
    array[30, 40] = 60_000.0
    mask = flag_pixels(array, 60_000.0)
    assert np.all(mask[:, 20] == Plane.BAD)
    assert np.argwhere(mask & Plane.SAT).min(axis=0).tolist() == [29, 39]
    assert np.argwhere(mask & Plane.SAT).max(axis=0).tolist() == [31, 41]
    assert np.count_nonzero(mask) == 50 + 9
    assert np.count_nonzero(flag_pixels(array, None)) == 50


@pytest.mark.req("PIPE-5")
def test_a_dead_column_and_a_full_star_spoil_nothing_else() -> None:
    light = moffat_stars(SHAPE, np.array([60.0, 180.0]), np.array([70.0, 180.0]),
                         np.array([3e6, 2e4]), 4.0)  # fmt: skip
    array = np.minimum(counts(light, 5), 60_000.0)
    array[:, 120] = np.nan
    result = reduce(raw(array))
    exposure = result.exposure
    assert np.isfinite(exposure.array).all()
    assert np.isfinite(exposure.variance).all()
    assert (exposure.variance > 0).all()
    assert exposure.has(Plane.SAT)[70, 60]
    assert not exposure.has(Plane.SAT)[180, 180]
    assert exposure.has(Plane.BAD)[:, 120].all()
    assert (exposure.array[:, 120] == 0).all()
    far = np.hypot(*(np.mgrid[:256, :256] - np.array([70, 60])[:, None, None])) > 80
    fine = far & ~exposure.has(Plane.BAD)
    pull = ((exposure.array - light * NANOJANSKY) / np.sqrt(exposure.variance))[fine]
    assert abs(pull.mean()) < 0.1


@pytest.mark.req("PIPE-5")
def test_the_rim_of_the_image_is_marked() -> None:
    edge = reduce(raw(counts(np.zeros(SHAPE), 6))).exposure.has(Plane.EDGE)
    assert edge[:3].all()
    assert edge[:, -3:].all()
    assert not edge[3:-3, 3:-3].any()


@pytest.mark.req("PIPE-5")
def test_the_variance_counts_photons_and_read_noise_also_of_a_sky_removed_earlier() -> None:
    array = np.array([[0.0, 100.0], [-950.0, np.nan]], np.float32)
    variance = noise_model(array, sky=900.0, gain=2.0, read_noise=8.0)
    assert variance[0, 0] == pytest.approx(900 / 2 + 16)
    assert variance[0, 1] == pytest.approx(1000 / 2 + 16)
    assert variance[1, 0] == pytest.approx(16)
    assert variance[1, 1] > 0


@pytest.mark.req("PIPE-9")
def test_the_variance_of_a_resampled_image_is_that_on_the_scale_of_stars() -> None:
    # Averaging four neighbours halves the noise of a pixel, not that of a star's flux.
    rng = np.random.default_rng(7)
    white = rng.normal(0.0, 10.0, (300, 300))
    smooth = ndimage.uniform_filter(white, 2)[:256, :256].astype(np.float32)
    result = reduce(
        raw(smooth, sky_level=None, saturation=None, read_noise=None), rescale_variance=True
    )
    scatter = np.sqrt(np.median(result.exposure.variance)) / NANOJANSKY
    assert scatter == pytest.approx(10.0, rel=0.15)


@pytest.mark.req("PIPE-5")
def test_the_same_counts_give_the_same_image() -> None:
    rng = np.random.default_rng(9)
    x, y = lattice(SHAPE, 40, rng)
    array = counts(moffat_stars(SHAPE, x, y, np.full(x.size, 1e4), 4.0), 10)
    first, second = reduce(raw(array.copy())), reduce(raw(array.copy()))
    np.testing.assert_array_equal(first.exposure.array, second.exposure.array)
    np.testing.assert_array_equal(first.exposure.mask, second.exposure.mask)
    np.testing.assert_array_equal(first.detections.x, second.detections.x)

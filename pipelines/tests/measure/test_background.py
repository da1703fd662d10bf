"""The background is recovered under a crowd of sources, and is the sky's mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines.tests.support import moffat_stars

from cerro_pipelines.measure.background import estimate_background, masked_background
from cerro_pipelines.measure.detrend import grow

SHAPE = (256, 256)


def plane(level: float, by_x: float, by_y: float) -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] / 256.0
    return level + by_x * x + by_y * y


@pytest.mark.req("PIPE-5")
@settings(max_examples=8, deadline=None)
@given(
    level=st.floats(-500.0, 5000.0),
    by_x=st.floats(-40.0, 40.0),
    by_y=st.floats(-40.0, 40.0),
    seed=st.integers(0, 1000),
)
def test_a_sloping_sky_is_recovered_between_sources(
    level: float, by_x: float, by_y: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 256, (2, 25))
    stars = moffat_stars(SHAPE, x, y, rng.uniform(1e3, 1e5, 25), 4.0)
    sky = plane(level, by_x, by_y)
    image = (sky + stars + rng.normal(0, 10, SHAPE)).astype(np.float32)
    sources = grow(stars > 3.0, 5)
    bad = np.zeros(SHAPE, dtype=bool)
    found = masked_background(image, bad, sources, box=64)
    inner = (slice(32, -32), slice(32, -32))
    error = found.level[inner] - sky[inner]
    # Of a slope of up to 10 a box, what the masked pixels of a box leave lopsided.
    assert np.abs(error).mean() < 1.5
    assert np.abs(error).max() < 6.0
    # The slope within a box of a quarter of the image counts as scatter.
    scatter = np.sqrt(10.0**2 + (by_x**2 + by_y**2) / 4**2 / 12)
    assert found.rms == pytest.approx(scatter, rel=0.04)


@pytest.mark.req("PIPE-5")
@pytest.mark.parametrize(("by_x", "by_y"), [(40.0, 40.0), (40.0, -40.0), (-80.0, 20.0)])
def test_a_gradient_reaches_into_the_corners(by_x: float, by_y: float) -> None:
    sky = plane(100.0, by_x, by_y)
    image = (sky + np.random.default_rng(8).normal(0, 1, SHAPE)).astype(np.float32)
    empty = np.zeros(SHAPE, dtype=bool)
    found = masked_background(image, empty, empty, box=64)
    centres = np.ix_([32, 223], [32, 223])
    np.testing.assert_allclose(found.level[centres], sky[centres], rtol=0, atol=0.5)


@pytest.mark.req("PIPE-5")
def test_sources_not_yet_known_lift_the_background_by_less_than_a_tenth_of_the_noise() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.uniform(0, 256, (2, 12))
    sky = plane(1000.0, 40.0, -20.0)
    stars = moffat_stars(SHAPE, x, y, rng.uniform(1e3, 5e4, 12), 4.0)
    image = (sky + stars + rng.normal(0, 10, SHAPE)).astype(np.float32)
    found = estimate_background(image, np.zeros(SHAPE, dtype=bool), box=64)
    assert abs(np.median(found.level - sky)) < 1.0
    assert found.rms == pytest.approx(10.0, rel=0.1)


@pytest.mark.req("PIPE-5")
def test_the_level_is_the_mean_of_the_counts_of_a_dark_sky_not_their_mode() -> None:
    counts = np.random.default_rng(4).poisson(20.0, SHAPE).astype(np.float32)
    empty = np.zeros(SHAPE, dtype=bool)
    found = masked_background(counts, empty, empty, box=64)
    assert found.level.mean() == pytest.approx(20.0, abs=0.15)


@pytest.mark.req("PIPE-5")
def test_a_box_without_sky_takes_the_level_around_it() -> None:
    rng = np.random.default_rng(5)
    sky = plane(200.0, 10.0, 0.0)
    image = (sky + rng.normal(0, 2, SHAPE)).astype(np.float32)
    sources = np.zeros(SHAPE, dtype=bool)
    sources[64:128, 64:128] = True
    image[64:128, 64:128] += 5000.0
    found = masked_background(image, np.zeros(SHAPE, dtype=bool), sources, box=64)
    assert np.abs(found.level - sky)[64:128, 64:128].max() < 5.0


@pytest.mark.req("PIPE-5")
def test_an_image_full_of_sources_still_gets_a_background() -> None:
    rng = np.random.default_rng(6)
    image = rng.normal(50.0, 2.0, SHAPE).astype(np.float32)
    everywhere = np.ones(SHAPE, dtype=bool)
    found = masked_background(image, ~everywhere, everywhere, box=64)
    assert found.level.mean() == pytest.approx(50.0, abs=0.5)

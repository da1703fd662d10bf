"""Resampling keeps the flux and the place of a star, whatever the projection."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines.tests.support import BETA, lattice, moffat_stars, tan_wcs, zpn_wcs

from cerro_pipelines.coadd.mapping import PixelMapping
from cerro_pipelines.coadd.warp import Warp, warp, warp_psf
from cerro_pipelines.exposure import Plane
from cerro_pipelines.measure.models import fit_points
from cerro_pipelines.measure.psf import moffat_psf

FWHM, FLUX = 4.0, 1e5
SHAPE, PATCH_SHAPE = (200, 200), (240, 240)
PATCH = tan_wcs(shape=PATCH_SHAPE)

PROJECTIONS = {
    "shifted": tan_wcs(shape=SHAPE, shift=(0.37, -0.21)),
    "turned by 30 degrees": tan_wcs(shape=SHAPE, rotation=30.0),
    "upside down": tan_wcs(shape=SHAPE, rotation=180.0),
    "with finer pixels": tan_wcs(shape=SHAPE, pixel=0.18, rotation=-12.0),
    "ZPN off its centre": zpn_wcs(shape=SHAPE),
}


def field(wcs: WCS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stars on the image, without noise; their places on the patch."""
    x, y = lattice(SHAPE, 32, np.random.default_rng(41), margin=36)
    image = moffat_stars(SHAPE, x, y, np.full(x.size, FLUX), FWHM).astype(np.float32)
    there_x, there_y = PATCH.wcs_world2pix(*wcs.all_pix2world(x, y, 0), 0)
    return image, there_x, there_y


def resample(
    image: np.ndarray, wcs: WCS, mask: np.ndarray | None = None
) -> tuple[Warp, np.ndarray]:
    bits = np.zeros(image.shape, np.uint8) if mask is None else mask
    mapping = PixelMapping.between(PATCH, PATCH_SHAPE, wcs)
    warped = warp(image, np.full_like(image, 9.0), bits, (bits & 1) != 0, mapping)
    assert warped is not None
    full = np.zeros(PATCH_SHAPE, np.float32)
    full[warped.rows, warped.columns] = np.where(warped.covered, warped.image, 0.0)
    return warped, full


@pytest.mark.req("PIPE-6")
@pytest.mark.parametrize("name", list(PROJECTIONS))
def test_a_resampled_star_lies_within_a_fiftieth_of_a_pixel_and_keeps_its_flux(name: str) -> None:
    wcs = PROJECTIONS[name]
    image, x, y = field(wcs)
    _, full = resample(image, wcs)
    mapping = PixelMapping.between(PATCH, PATCH_SHAPE, wcs)
    psf = warp_psf(moffat_psf(FWHM, BETA, radius=24), mapping, 120.0, 120.0)
    good, variance = np.ones(PATCH_SHAPE, dtype=bool), np.ones(PATCH_SHAPE, np.float32)
    found_x, found_y, *_ = fit_points(full, variance, good, x, y, psf, rounds=4)
    assert np.abs(found_x - x).max() < 0.02
    assert np.abs(found_y - y).max() < 0.02
    side = np.arange(-14, 15)
    for one_x, one_y in zip(x, y, strict=True):
        rows, columns = np.rint(one_y).astype(int) + side, np.rint(one_x).astype(int) + side
        scale = np.sqrt(mapping.area(slice(0, 1), slice(0, 1))[0, 0])
        own = moffat_stars(PATCH_SHAPE, x, y, np.full(x.size, FLUX), FWHM / scale)
        box = np.ix_(rows, columns)
        assert full[box].sum() == pytest.approx(own[box].sum(), rel=0.004)


@pytest.mark.req("PIPE-6")
@pytest.mark.parametrize("name", list(PROJECTIONS))
def test_the_resampled_psf_is_what_a_resampled_star_looks_like(name: str) -> None:
    wcs = PROJECTIONS[name]
    image, x, y = field(wcs)
    _, full = resample(image, wcs)
    mapping = PixelMapping.between(PATCH, PATCH_SHAPE, wcs)
    psf = warp_psf(moffat_psf(FWHM, BETA, radius=24), mapping, 120.0, 120.0)
    residual = full.astype(float)
    for one_x, one_y in zip(x, y, strict=True):
        column, row = round(float(one_x)), round(float(one_y))
        box = (slice(row - 20, row + 21), slice(column - 20, column + 21))
        residual[box] -= FLUX * psf.draw_one(float(one_x), float(one_y), 20)
    inner = (slice(50, 190), slice(50, 190))
    assert np.abs(residual[inner]).max() < 0.015 * full.max()


@pytest.mark.req("PIPE-9")
@pytest.mark.parametrize("name", list(PROJECTIONS))
def test_the_mapping_and_its_area_are_those_of_the_projections(name: str) -> None:
    wcs = PROJECTIONS[name]
    mapping = PixelMapping.between(PATCH, PATCH_SHAPE, wcs)
    x, y = np.random.default_rng(42).uniform(0, 239, (2, 200))
    truth = np.array(wcs.wcs_world2pix(*PATCH.all_pix2world(x, y, 0), 0))
    np.testing.assert_allclose(mapping(x, y), truth, rtol=0, atol=1e-5)
    x0, y0 = 77, 140
    corners = np.array(
        [[x0 - 0.5, x0 + 0.5, x0 + 0.5, x0 - 0.5], [y0 - 0.5, y0 - 0.5, y0 + 0.5, y0 + 0.5]]
    )
    px, py = wcs.wcs_world2pix(*PATCH.all_pix2world(*corners, 0), 0)
    area = 0.5 * abs(np.sum(px * np.roll(py, -1) - np.roll(px, -1) * py))
    assert mapping.area(slice(y0, y0 + 1), slice(x0, x0 + 1))[0, 0] == pytest.approx(area, rel=1e-5)


@pytest.mark.req("PIPE-6")
@settings(max_examples=15, deadline=None)
@given(
    rotation=st.floats(-180.0, 180.0), dx=st.floats(-30.0, 30.0), dy=st.floats(-30.0, 30.0)
)  # fmt: skip
def test_the_pixels_covered_are_those_on_the_image(rotation: float, dx: float, dy: float) -> None:
    wcs = tan_wcs(shape=SHAPE, rotation=rotation, shift=(dx, dy))
    warped, _ = resample(np.ones(SHAPE, np.float32), wcs)
    covered = np.zeros(PATCH_SHAPE, dtype=bool)
    covered[warped.rows, warped.columns] = warped.covered
    row, column = np.mgrid[: PATCH_SHAPE[0], : PATCH_SHAPE[1]]
    x, y = wcs.wcs_world2pix(*PATCH.all_pix2world(column.ravel(), row.ravel(), 0), 0)
    # How far inside the outermost pixel centres; on the line itself rounding decides.
    depth = np.minimum(np.minimum(x, 199 - x), np.minimum(y, 199 - y)).reshape(PATCH_SHAPE)
    clear = np.abs(depth) > 1e-3
    np.testing.assert_array_equal(covered[clear], (depth > 0)[clear])


@pytest.mark.req("PIPE-6")
def test_a_defect_marks_the_pixels_it_touches_and_its_value_reaches_none() -> None:
    wcs = PROJECTIONS["turned by 30 degrees"]
    image, mask = np.full(SHAPE, 7.0, np.float32), np.zeros(SHAPE, np.uint8)
    image[100, 100], mask[100, 100] = 1e9, int(Plane.BAD)
    warped, _ = resample(image, wcs, mask)
    assert np.abs(warped.image[warped.covered] - 7.0).max() < 1e-3
    hit = (warped.mask & int(Plane.BAD)) != 0
    assert 4 <= np.count_nonzero(hit) <= 16
    x, y = PATCH.wcs_world2pix(*wcs.all_pix2world([100.0], [100.0], 0), 0)
    rows, columns = np.nonzero(hit)
    far = np.hypot(columns + warped.columns.start - x[0], rows + warped.rows.start - y[0])
    assert far.max() < 2.5


@pytest.mark.req("PIPE-6")
def test_the_variance_tells_the_noise_of_a_sum_over_many_pixels() -> None:
    rng = np.random.default_rng(43)
    wcs = tan_wcs(shape=SHAPE, pixel=0.15, rotation=-12.0)
    pulls = []
    for _ in range(6):
        warped, full = resample(rng.normal(0, 3.0, SHAPE).astype(np.float32), wcs)
        variance = np.zeros(PATCH_SHAPE)
        variance[warped.rows, warped.columns] = warped.variance
        inner = (slice(60, 180), slice(60, 180))
        sums = full[inner].reshape(8, 15, 8, 15).sum(axis=(1, 3), dtype=float)
        noise = np.sqrt(variance[inner].reshape(8, 15, 8, 15).sum(axis=(1, 3)))
        pulls.append(sums / noise)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.1)

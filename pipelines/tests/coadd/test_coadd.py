"""Coadds: exact mappings, conserved flux, and what appears once only is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from reproject import reproject_interp

from cerro_pipelines.coadd.build import build_coadd, coadd_inputs
from cerro_pipelines.coadd.mapping import PixelMapping
from cerro_pipelines.coadd.warp import fill_bad, warp, warp_psf
from cerro_pipelines.exposure import Exposure, ExposureInfo, Plane
from cerro_pipelines.measure.psf import moffat_psf
from cerro_pipelines.measure.psf_store import attach_psf, find_psf
from cerro_pipelines.skymap import Tract

SIZE = 240


def tangent(ra: float, dec: float, scale: float, size: int, rotation: float = 0.0) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [ra, dec], [(size + 1) / 2, (size + 1) / 2]
    c, s = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    wcs.wcs.cd = np.array([[-c, s], [s, c]]) * scale / 3600.0
    wcs.wcs.set()
    return wcs


def visit(number: int, *, rotation: float, fwhm: float = 4.0, extra_star: bool = False) -> Exposure:
    """A visit image with one star of 50,000 nJy at the tangent point, and noise of 10 nJy."""
    wcs = tangent(60.0 + 2e-5 * number, -30.0, 0.2, SIZE, rotation)
    psf = moffat_psf(fwhm)
    rng = np.random.default_rng(number)
    image = rng.normal(0, 10.0, (SIZE, SIZE)).astype(np.float32)
    stars = [(60.0, -30.0, 50_000.0)]
    if extra_star:
        stars.append((60.0025, -30.002, 20_000.0))
    for ra, dec, flux in stars:
        x, y = wcs.wcs_world2pix(ra, dec, 0)
        ix, iy = round(float(x)), round(float(y))
        stamp = psf.draw_one(float(x), float(y))
        image[iy - 15 : iy + 16, ix - 15 : ix + 16] += (flux * stamp).astype(np.float32)
    info = ExposureInfo("r", visit=number, detector=0, mjd_mid=60000.0 + number)
    exposure = Exposure.from_arrays(image, wcs, info, variance=100.0)
    return attach_psf(exposure, psf)


@pytest.fixture(scope="module")
def tract() -> Tract:
    return Tract("test", 0, 60.0, -30.0, 0.2, 200, 20, 1, 1)


@pytest.mark.req("PIPE-6")
def test_the_mapping_follows_the_projections_to_a_thousandth_of_a_pixel() -> None:
    source, target = tangent(60.0, -30.0, 0.2, 900), tangent(60.01, -30.01, 0.25, 900, 33.0)
    mapping = PixelMapping.between(source, (900, 900), target)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 899, (2, 500))
    expected = target.wcs_world2pix(*source.all_pix2world(x, y, 0), 0)
    assert np.abs(np.array(mapping(x, y)) - expected).max() < 1e-3
    assert mapping.area(slice(0, 10), slice(0, 10)) == pytest.approx(0.64, rel=1e-4)


@pytest.mark.req("PIPE-9")
def test_the_mapping_follows_vistas_zpn_projection(vista_files: list[Path]) -> None:
    with fits.open(vista_files[0]) as hdus:
        target = WCS(next(h.header for h in hdus if h.header["NAXIS"] == 2))
    source = tangent(36.896, -5.19, 0.34, 2200)
    mapping = PixelMapping.between(source, (2200, 2200), target)
    x, y = np.random.default_rng(0).uniform(0, 2199, (2, 500))
    expected = target.wcs_world2pix(*source.all_pix2world(x, y, 0), 0)
    assert np.abs(np.array(mapping(x, y)) - expected).max() < 1e-3


@pytest.mark.req("PIPE-6")
def test_resampling_agrees_with_reproject() -> None:
    rng = np.random.default_rng(1)
    image = rng.normal(0, 1, (120, 120)).astype(np.float32)
    source, target = tangent(60.0, -30.0, 0.2, 120, 5.0), tangent(60.0005, -30.0004, 0.2, 100)
    expected, _ = reproject_interp((image, source), target, shape_out=(100, 100), order="bicubic")
    mapping = PixelMapping.between(target, (100, 100), source)
    none = np.zeros(image.shape, bool)
    warped = warp(image, np.ones_like(image), none.astype(np.uint8), none, mapping)
    assert warped is not None
    ours = np.full((100, 100), np.nan)
    ours[warped.rows, warped.columns] = np.where(warped.covered, warped.image, np.nan)
    inner = (slice(15, 85), slice(15, 85))
    assert np.nanmax(np.abs(ours[inner] - expected[inner])) < 0.01


@pytest.mark.req("PIPE-6")
def test_an_image_elsewhere_gives_no_warp() -> None:
    mapping = PixelMapping.between(
        tangent(60.0, -30.0, 0.2, 50), (50, 50), tangent(60.1, -30.0, 0.2, 50)
    )
    image, none = np.ones((50, 50), np.float32), np.zeros((50, 50), bool)
    assert warp(image, image, none.astype(np.uint8), none, mapping) is None


@pytest.mark.req("PIPE-6")
def test_bad_pixels_are_continued_from_their_surroundings() -> None:
    image = np.full((9, 9), 5.0, np.float32)
    bad = np.zeros(image.shape, bool)
    bad[4, 3:6] = True
    image[bad] = np.nan
    assert fill_bad(image, bad) == pytest.approx(np.full((9, 9), 5.0))


@pytest.mark.req("PIPE-6")
def test_a_coadd_keeps_flux_lowers_noise_and_knows_its_psf_and_inputs(tract: Tract) -> None:
    images = [visit(k, rotation=0.5 * k, fwhm=f) for k, f in enumerate((3.5, 4.0, 4.5, 5.0), 1)]
    coadd = build_coadd(tract.patch(0), "r", images)
    assert coadd is not None
    x, y = (float(v) for v in coadd.sky_to_pixel(60.0, -30.0))
    psf = find_psf(coadd)
    ix, iy = round(x), round(y)
    stamp = coadd.array[iy - 12 : iy + 13, ix - 12 : ix + 13]
    model = psf.draw_one(x, y, 12)
    assert (stamp * model).sum() / (model**2).sum() == pytest.approx(50_000.0, rel=0.01)
    assert np.median(coadd.variance) == pytest.approx(25.0, rel=0.1)
    inputs = coadd_inputs(coadd)
    assert [i.visit for i in inputs] == [1, 2, 3, 4]
    inside = inputs[0].contains(np.array([x, -500.0]), np.array([y, 0.0]))
    assert inside.tolist() == [True, False]


@pytest.mark.req("PIPE-6")
def test_the_coadds_wcs_is_that_of_the_tract(tract: Tract) -> None:
    coadd = build_coadd(tract.patch(0), "r", [visit(1, rotation=0.0)])
    assert coadd is not None
    ra, dec = coadd.pixel_to_sky([0.0, 50.0], [0.0, 120.0])
    expected = tract.wcs.all_pix2world([coadd.x0, coadd.x0 + 50.0], [coadd.y0, coadd.y0 + 120.0], 0)
    assert np.array([ra, dec]) == pytest.approx(np.array(expected), abs=1e-10)


@pytest.mark.req("PIPE-6")
def test_what_one_image_shows_alone_is_clipped_and_flagged(tract: Tract) -> None:
    images = [visit(k, rotation=0.2 * k, extra_star=k == 3) for k in range(1, 7)]
    coadd = build_coadd(tract.patch(0), "r", images)
    assert coadd is not None
    x, y = (round(float(v)) for v in coadd.sky_to_pixel(60.0025, -30.002))
    assert abs(coadd.array[y - 2 : y + 3, x - 2 : x + 3].mean()) < 10.0
    assert coadd.mask[y, x] & int(Plane.CLIPPED)


@pytest.mark.req("PIPE-6")
def test_the_psf_goes_through_the_same_resampling() -> None:
    psf = moffat_psf(3.5)
    mapping = PixelMapping.between(
        tangent(60.0, -30.0, 0.25, 100), (100, 100), tangent(60.0, -30.0, 0.2, 120)
    )
    smaller = warp_psf(psf, mapping, 50.0, 50.0, radius=11)
    assert smaller.fwhm == pytest.approx(3.5 * 0.2 / 0.25, rel=0.03)
    assert smaller.image().sum() == pytest.approx(1.0, abs=0.03)

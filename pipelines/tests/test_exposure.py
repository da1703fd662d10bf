"""An exposure keeps pixels, mask, WCS, PSF and circumstances through Rubin's types."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from lsst.images import Box

from cerro_pipelines.exposure import Exposure, ExposureInfo, Plane, Psf
from cerro_pipelines.skymap import Tract


@pytest.fixture
def exposure() -> Exposure:
    rng = np.random.default_rng(1)
    wcs = Tract("s", 0, 60.0, -30.0, 0.2, 120, 0, 1, 1).wcs
    info = ExposureInfo(
        band="r",
        physical_filter="r_sim",
        instrument="SimCam",
        visit=7,
        detector=0,
        mjd_mid=61000.25,
        zero_point=27.0,
    )
    result = Exposure.from_arrays(
        rng.normal(0, 1, (120, 110)), wcs, info, variance=2.0, psf=Psf.moffat(3.5), unit="adu"
    )
    result.mask[5, 9] = int(Plane.SAT | Plane.CLIPPED)
    result.extra["source_file"] = "a.fits"
    return result


@pytest.mark.req("PIPE-3")
def test_an_exposure_survives_the_trip_through_a_masked_image(exposure: Exposure) -> None:
    back = Exposure.from_masked_image(exposure.to_masked_image())
    np.testing.assert_array_equal(back.array, exposure.array)
    np.testing.assert_array_equal(back.variance, exposure.variance)
    np.testing.assert_array_equal(back.mask, exposure.mask)
    assert back.info == exposure.info
    assert back.unit == "adu"
    assert back.extra == {"source_file": "a.fits"}
    assert back.psf is not None
    assert exposure.psf is not None
    np.testing.assert_array_equal(back.psf.array, exposure.psf.array)
    assert back.psf.fwhm == exposure.psf.fwhm


@pytest.mark.req("PIPE-3")
def test_a_cut_out_knows_where_it_lies(exposure: Exposure) -> None:
    part = Exposure.from_masked_image(exposure.to_masked_image()[Box.factory[20:60, 30:90]])
    assert (part.x0, part.y0, part.shape) == (30, 20, (40, 60))
    np.testing.assert_allclose(part.pixel_to_sky(3, 4), exposure.pixel_to_sky(33, 24), atol=1e-11)


@pytest.mark.req("PIPE-3")
def test_mask_planes_are_told_apart(exposure: Exposure) -> None:
    assert exposure.has(Plane.SAT).sum() == 1
    assert exposure.has(Plane.SAT | Plane.BAD)[5, 9]
    assert not exposure.has(Plane.BAD).any()


@pytest.mark.req("PIPE-3")
def test_adu_become_nanojansky_by_the_zero_point(exposure: Exposure) -> None:
    # Magnitude 27.0 is 10^(0.4 * 4.4) nJy.
    assert exposure.info.nanojansky_per_adu == pytest.approx(57.5440, rel=1e-5)


@pytest.mark.req("PIPE-3")
def test_fluxes_without_a_zero_point_are_refused(exposure: Exposure) -> None:
    with pytest.raises(ValueError, match="no zero point"):
        _ = exposure.info.replace(zero_point=None).nanojansky_per_adu


@pytest.mark.req("PIPE-5")
def test_a_moffat_psf_has_its_fwhm_and_unit_flux() -> None:
    psf = Psf.moffat(4.0, beta=3.0)
    middle = psf.array.shape[0] // 2
    row = psf.array[middle, middle:]
    half = np.interp(-row[0] / 2, -row, np.arange(len(row)))
    assert psf.array.sum() == pytest.approx(1.0, abs=1e-5)
    # Integration over pixels widens it a little.
    assert 2 * half == pytest.approx(4.0, rel=0.04)


@pytest.mark.req("PIPE-9")
def test_the_zpn_projection_of_vista_is_kept_to_a_thousandth_of_a_mas(
    vista_files: list[Path],
) -> None:
    for path in vista_files[:3]:
        header = fits.getheader(path, 1)
        with pytest.warns(FITSFixedWarning):
            wcs = WCS(header)
        shape = (header["NAXIS2"], header["NAXIS1"])
        info = ExposureInfo(band="H", instrument="VIRCAM", visit=1, detector=13)
        exposure = Exposure.from_arrays(np.zeros(shape), wcs, info, unit="adu")
        image = exposure.to_masked_image()
        y, x = (v.ravel().astype(float) for v in np.mgrid[0 : shape[0] : 97, 0 : shape[1] : 97])
        ra, dec = wcs.all_pix2world(x, y, 0)
        from lsst.images import XY

        sky = image.sky_projection.pixel_to_sky(XY(x, y))
        again = Exposure.from_masked_image(image)
        kept_ra, kept_dec = again.pixel_to_sky(x, y)
        for other_ra, other_dec in ((sky.ra.deg, sky.dec.deg), (kept_ra, kept_dec)):
            assert np.abs((other_ra - ra) * np.cos(np.radians(dec))).max() * 3.6e6 < 1e-3
            assert np.abs(other_dec - dec).max() * 3.6e6 < 1e-3
        px, py = again.sky_to_pixel(ra, dec)
        assert max(np.abs(px - x).max(), np.abs(py - y).max()) < 1e-6

"""Objects of a patch: found on all bands, measured in each, listed by the patch that owns them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from astropy.table import Table
from pipelines.tests.support import (
    BETA,
    Match,
    galaxies,
    lattice,
    match,
    moffat_stars,
    noisy,
    tan_wcs,
)

from cerro_pipelines.exposure import Exposure, ExposureInfo, Plane
from cerro_pipelines.measure.forced import force
from cerro_pipelines.measure.object_table import magnitudes, merge_patches, patch_table
from cerro_pipelines.measure.objects import Objects, measure_objects
from cerro_pipelines.measure.psf import moffat_psf
from cerro_pipelines.measure.psf_store import attach_psf
from cerro_pipelines.skymap import Patch, Tract

FWHM = {"g": 4.6, "r": 4.0}
COLOUR = {"g": 0.5, "r": 1.0}
RADIUS = 2.5


@dataclass(frozen=True)
class Field:
    patch: Patch
    coadds: dict[str, Exposure]
    objects: Objects
    table: Table
    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    star: np.ndarray

    def near(self) -> Match:
        return match(self.x, self.y, self.objects.models.x, self.objects.models.y)


@pytest.fixture(scope="module")
def field() -> Field:
    """Stars and galaxies in two bands on one patch, with a corner that no image covers."""
    tract = Tract("sim", 3, 30.0, -5.0, 0.2, 210, 60, 2, 1)
    patch = tract.patch(0)
    rng = np.random.default_rng(31)
    x, y = lattice(patch.shape, 36, rng)
    star = np.arange(x.size) % 2 == 0
    flux = rng.permutation(np.geomspace(5e3, 2e5, x.size))
    keep = np.hypot(x, y) > 75
    x, y, star, flux = x[keep], y[keep], star[keep], flux[keep]
    coadds = {}
    for band, fwhm in FWHM.items():
        light = moffat_stars(patch.shape, x[star], y[star], COLOUR[band] * flux[star], fwhm)
        light += galaxies(patch.shape, x[~star], y[~star], COLOUR[band] * flux[~star], RADIUS, fwhm)
        image, variance = noisy(light, 6.0, 20.0, rng)
        mask = np.zeros(patch.shape, np.uint8)
        mask[:40, :40] = int(Plane.NO_DATA)
        image[:40, :40] = 0.0
        info = ExposureInfo(band, skymap="sim", tract=3, patch=0, zero_point=31.4, pixel_scale=0.2)
        coadd = Exposure.from_arrays(
            image, patch.wcs, info, variance=variance, mask=mask, x0=patch.x0, y0=patch.y0
        )
        coadds[band] = attach_psf(coadd, moffat_psf(fwhm, BETA, radius=24))
    objects = measure_objects(coadds)
    return Field(patch, coadds, objects, patch_table(patch, objects, coadds), x, y, flux, star)


@pytest.mark.req("PIPE-5")
def test_every_source_is_one_object_at_its_place(field: Field) -> None:
    near = field.near()
    assert len(set(near.index.tolist())) == field.x.size
    assert len(field.objects.models) <= field.x.size + 1
    models = field.objects.models
    pull = (models.x[near.index] - field.x) / models.x_error[near.index]
    assert abs(np.median(pull)) < 0.6
    assert np.percentile(np.abs(pull), 68) < 1.7


@pytest.mark.req("PIPE-5")
@pytest.mark.parametrize("band", ["g", "r"])
def test_stars_have_their_psf_flux_in_each_band(field: Field, band: str) -> None:
    index, truth = field.near().index[field.star], COLOUR[band] * field.flux[field.star]
    measured = field.objects.bands[band]
    pull = (measured.psf_flux[index] - truth) / np.hypot(measured.psf_error[index], 0.002 * truth)
    assert abs(pull.mean()) < 3.5 / np.sqrt(pull.size)
    assert pull.std() < 1.6


@pytest.mark.req("PIPE-5")
@pytest.mark.parametrize("band", ["g", "r"])
def test_galaxies_have_their_total_flux_in_each_band_and_more_than_a_psf_flux(
    field: Field, band: str
) -> None:
    index, truth = field.near().index[~field.star], COLOUR[band] * field.flux[~field.star]
    measured = field.objects.bands[band]
    ratio = measured.model_flux[index] / truth
    assert np.median(ratio) == pytest.approx(1.0, abs=0.03)
    assert np.abs(ratio - 1.0).max() < 0.2
    assert np.all(measured.psf_flux[index] < 0.9 * truth)
    assert np.all(
        (measured.kron_flux[index] / truth > 0.8) & (measured.kron_flux[index] / truth < 1.1)
    )


@pytest.mark.req("PIPE-5")
def test_a_star_hidden_in_the_wings_of_a_brighter_one_is_an_object_of_its_own() -> None:
    rng = np.random.default_rng(34)
    x, y = lattice((240, 240), 40, rng, margin=30)
    angle = rng.uniform(0, 2 * np.pi, x.size)
    near_x, near_y = x + 5.5 * np.cos(angle), y + 5.5 * np.sin(angle)
    light = moffat_stars((240, 240), x, y, np.full(x.size, 4e4), 4.0)
    light += moffat_stars((240, 240), near_x, near_y, np.full(x.size, 1e4), 4.0)
    image, variance = noisy(light, 10.0, 5.0, rng)
    coadd = Exposure.from_arrays(
        image, tan_wcs(shape=(240, 240)), ExposureInfo("r"), variance=variance
    )
    found = measure_objects({"r": attach_psf(coadd, moffat_psf(4.0, BETA, radius=24))})
    near = match(near_x, near_y, found.models.x, found.models.y)
    host = match(x, y, found.models.x, found.models.y)
    apart = (near.distance < 0.7) & (near.index != host.index)
    assert apart.mean() > 0.9
    flux = found.bands["r"].psf_flux
    assert np.median(flux[near.index[apart]]) == pytest.approx(1e4, rel=0.05)
    assert np.median(flux[host.index[apart]]) == pytest.approx(4e4, rel=0.02)


@pytest.mark.req("PIPE-5")
def test_the_colour_of_galaxies_from_kron_fluxes_is_true_in_spite_of_two_seeings(
    field: Field,
) -> None:
    index = field.near().index[~field.star]
    kron = {b: field.objects.bands[b].kron_flux[index] for b in ("g", "r")}
    assert np.median(kron["g"] / kron["r"]) == pytest.approx(0.5, rel=0.04)


@pytest.mark.req("PIPE-5")
def test_stars_are_points_and_galaxies_are_extended(field: Field) -> None:
    index = field.near().index
    assert not field.objects.extended[index[field.star]].any()
    assert field.objects.extended[index[~field.star]].all()
    assert np.all(field.objects.extendedness["r"][index[field.star]] == 0)
    assert np.all(field.objects.extendedness["r"][index[~field.star]] == 1)


@pytest.mark.req("PIPE-7")
def test_a_patch_lists_the_objects_it_owns_with_sky_positions_and_magnitudes(field: Field) -> None:
    table = field.table
    owned = field.patch.owns(field.objects.models.x, field.objects.models.y)
    assert 0 < owned.sum() < len(owned)
    assert len(table) == owned.sum()
    assert len(set(table["objectId"])) == len(table)
    assert set(table["patch"]) == {0}
    assert set(table["tract"]) == {3}
    x, y = field.patch.wcs.all_world2pix(table["coord_ra"], table["coord_dec"], 0)
    np.testing.assert_allclose(x + field.patch.x0, table["x"], atol=1e-6)
    np.testing.assert_allclose(y + field.patch.y0, table["y"], atol=1e-6)
    np.testing.assert_allclose(
        table["r_psfMag"], 31.4 - 2.5 * np.log10(table["r_psfFlux"]), atol=1e-5
    )
    assert set(table["refBand"]) == {"r"}


@pytest.mark.req("PIPE-7")
def test_tables_of_patches_join_though_one_lacks_a_band(field: Field) -> None:
    red = {"r": field.coadds["r"]}
    other = patch_table(field.patch, measure_objects(red), red)
    other["objectId"] += 10**9
    merged = merge_patches([field.table, other])
    assert len(merged) == len(field.table) + len(other)
    ids = np.asarray(merged["objectId"])
    np.testing.assert_array_equal(ids, np.sort(ids))
    lacking = np.isin(ids, np.asarray(other["objectId"]))
    assert np.isnan(np.ma.filled(merged["g_psfFlux"][lacking], np.nan)).all()
    assert np.asarray(merged["g_psfFlux_flag"][lacking]).all()
    assert np.isfinite(np.asarray(merged["g_psfFlux"][~lacking])).all()


@pytest.mark.req("PIPE-7")
def test_forced_fluxes_on_a_visit_are_those_of_the_objects_within_their_errors(
    field: Field,
) -> None:
    x, y = field.x[field.star], field.y[field.star]
    flux = field.flux[field.star]
    rng = np.random.default_rng(33)
    image, variance = noisy(moffat_stars(field.patch.shape, x, y, flux, 5.0), 20.0, 20.0, rng)
    info = ExposureInfo("r", visit=5, detector=0, mjd_mid=60001.5, zero_point=31.4)
    mask = np.zeros(field.patch.shape, np.uint8)
    hit = int(np.argmax(x))
    mask[round(y[hit]), round(x[hit])] = int(Plane.SAT)
    visit = attach_psf(
        Exposure.from_arrays(image, field.patch.wcs, info, variance=variance, mask=mask),
        moffat_psf(5.0, BETA, radius=24),
    )
    owned = np.flatnonzero(field.patch.owns(x, y))
    table = field.table[:0].copy()
    ra, dec = field.patch.wcs.all_pix2world(x, y, 0)
    for number in range(len(x)):
        table.add_row(field.table[0])
        table["objectId"][-1], table["coord_ra"][-1] = number + 1, ra[number]
        table["coord_dec"][-1] = dec[number]
    forced = force(visit, None, table)
    assert owned.size > 0
    np.testing.assert_array_equal(forced["objectId"], np.arange(len(x)) + 1)
    assert set(forced["visit"]) == {5}
    assert set(forced["expMidptMJD"]) == {60001.5}
    saturated = np.asarray(forced["pixelFlags_saturated"])
    assert np.flatnonzero(saturated).tolist() == [hit]
    pull = ((np.asarray(forced["psfFlux"]) - flux) / np.asarray(forced["psfFluxErr"]))[~saturated]
    assert abs(pull.mean()) < 3.5 / np.sqrt(pull.size)
    assert 0.6 < pull.std() < 1.5
    assert np.isnan(np.ma.filled(forced["psfDiffFlux"], np.nan)).all()


@pytest.mark.req("PIPE-7")
def test_an_object_outside_a_visit_is_not_measured_on_it(field: Field) -> None:
    info = ExposureInfo("r", visit=6, detector=0, mjd_mid=60002.5, zero_point=31.4)
    blank = np.zeros((30, 30), np.float32)
    visit = Exposure.from_arrays(blank, field.patch.wcs, info, variance=1.0)
    forced = force(attach_psf(visit, moffat_psf(4.0)), None, field.table[field.table["x"] > 100])
    assert len(forced) == 0
    assert forced.colnames[0] == "objectId"


@pytest.mark.req("PIPE-7")
def test_magnitudes_are_ab_and_unknown_where_nothing_shines() -> None:
    magnitude, error = magnitudes(np.array([3631e9, 0.0, -5.0]), np.array([36.31e9, 1.0, 1.0]))
    assert magnitude[0] == pytest.approx(0.0, abs=1e-4)
    assert error[0] == pytest.approx(0.010857, abs=1e-5)
    assert np.isnan(magnitude[1:]).all()
    assert np.isnan(error[1:]).all()

"""What changed on the sky is found on a visit with its flux and sign; what did not is not."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table, vstack
from lsst.images import MaskedImage
from pipelines.tests.support import (
    BETA,
    lattice,
    match,
    moffat_stars,
    noisy,
    tan_wcs,
    visit_exposure,
    zpn_wcs,
)

from cerro_pipelines.coadd.build import build_coadd
from cerro_pipelines.difference.detect import detect_differences, psf_amplitudes
from cerro_pipelines.difference.link import link
from cerro_pipelines.difference.subtract import Difference, subtract
from cerro_pipelines.difference.template import make_template
from cerro_pipelines.exposure import Exposure, Plane
from cerro_pipelines.measure.psf import moffat_psf
from cerro_pipelines.schema.columns import empty
from cerro_pipelines.skymap import Tract
from cerro_pipelines.tasks.associate import AssociateTask
from cerro_pipelines.tasks.subtract_images import SubtractImagesTask

SIZE = 300
SHAPE = (SIZE, SIZE)
SIGMA, TEMPLATE_SIGMA = 10.0, 4.0


def pair(
    new_fwhm: float, template_fwhm: float, change: np.ndarray | None = None, seed: int = 61
) -> tuple[Difference, np.ndarray]:
    """Subtract two images of the same stars; ``change`` has columns x, y and flux."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, SIZE, (2, 40))
    flux = np.geomspace(500.0, 5e4, 40)
    light = moffat_stars(SHAPE, x, y, flux, new_fwhm)
    if change is not None:
        light += moffat_stars(SHAPE, *change.T, new_fwhm)
    new, new_variance = noisy(light, SIGMA, 50.0, rng)
    old, variance = noisy(
        moffat_stars(SHAPE, x, y, flux, template_fwhm), TEMPLATE_SIGMA, 300.0, rng
    )
    psfs = [moffat_psf(f, BETA, radius=24) for f in (new_fwhm, template_fwhm)]
    good = np.ones(SHAPE, dtype=bool)
    return subtract(new, new_variance, psfs[0], old, variance, psfs[1], good), old


SEEINGS = [(3.5, 4.5), (4.0, 4.0), (4.8, 3.6)]


@pytest.mark.req("PIPE-8")
@pytest.mark.parametrize("seeing", SEEINGS)
def test_two_seeings_of_one_sky_differ_by_noise_only(seeing: tuple[float, float]) -> None:
    result, template = pair(*seeing)
    inner = (slice(20, -20), slice(20, -20))
    pull = (result.image / np.sqrt(result.variance))[inner]
    assert abs(pull.mean()) < 0.02
    assert np.abs(pull).max() < 7.0
    # Nearly white: frequencies that neither PSF passes are left out.
    neighbours = np.mean(pull[:, :-1] * pull[:, 1:]) / pull.var()
    assert 0.0 <= neighbours < 0.16
    # What counts is the noise of a flux: forced fluxes on nothing scatter by their errors.
    y, x = (v.ravel() + 0.3 for v in np.mgrid[25:275:12, 25:275:12])
    stamps = result.psf.draw(x, y, 8)
    good = np.ones(SHAPE, dtype=bool)
    flux, error, _ = psf_amplitudes(result.image, result.variance, good, stamps, x, y)
    assert abs(np.mean(flux / error)) < 3.5 / np.sqrt(x.size)
    assert np.std(flux / error) == pytest.approx(1.0, abs=0.15)
    found = detect_differences(result, template, np.ones(SHAPE, dtype=bool))
    assert len(found.x) == 0


@pytest.mark.req("PIPE-8")
@pytest.mark.parametrize("seeing", SEEINGS)
def test_the_psf_of_the_difference_is_what_a_new_star_looks_like(
    seeing: tuple[float, float],
) -> None:
    empty_sky = np.zeros(SHAPE, np.float32)
    new = moffat_stars(SHAPE, np.array([150.3]), np.array([149.6]), np.array([1e4]), seeing[0])
    psfs = [moffat_psf(f, BETA, radius=24) for f in seeing]
    variance = [np.full(SHAPE, s**2, np.float32) for s in (SIGMA, TEMPLATE_SIGMA)]
    good = np.ones(SHAPE, dtype=bool)
    result = subtract(
        new.astype(np.float32), variance[0], psfs[0], empty_sky, variance[1], psfs[1], good
    )
    model = 1e4 * result.psf.draw_one(150.3, 149.6, 12)
    seen = result.image[150 - 12 : 150 + 13, 150 - 12 : 150 + 13]
    assert np.abs(seen - model).max() < 0.01 * model.max()


@pytest.mark.req("PIPE-8")
@pytest.mark.parametrize("seeing", SEEINGS)
def test_changes_of_both_signs_scatter_about_the_truth_by_their_errors(
    seeing: tuple[float, float],
) -> None:
    rng = np.random.default_rng(62)
    pulls, places = [], []
    for seed in range(3):
        x, y = lattice(SHAPE, 40, rng, margin=30)
        flux = rng.permutation(np.geomspace(1200.0, 8000.0, x.size))
        flux *= np.where(np.arange(x.size) % 2, 1.0, -1.0)
        result, template = pair(*seeing, np.column_stack([x, y, flux]), seed=70 + seed)
        found = detect_differences(result, template, np.ones(SHAPE, dtype=bool))
        near = match(x, y, found.x, found.y)
        seen = near.distance < 1.0
        assert seen.mean() > 0.85  # the others lie on bright stars
        assert np.count_nonzero(match(found.x, found.y, x, y).distance > 2.0) == 0
        own = near.index[seen]
        assert np.all(np.sign(found.flux[own]) == np.sign(flux[seen]))
        pulls.append((found.flux[own] - flux[seen]) / found.flux_error[own])
        places.append((found.x[own] - x[seen]) / found.x_error[own])
        assert np.all(found.signal_to_noise[own] > 5.5)
    pull, place = np.concatenate(pulls), np.concatenate(places)
    assert abs(np.median(pull)) < 0.35
    assert np.percentile(np.abs(pull), 68) == pytest.approx(1.0, abs=0.3)
    assert np.percentile(np.abs(place), 68) == pytest.approx(1.0, abs=0.4)


@pytest.mark.req("PIPE-8")
def test_a_star_that_moved_by_half_a_pixel_is_no_transient() -> None:
    rng = np.random.default_rng(63)
    x, y = lattice(SHAPE, 60, rng, margin=40)
    psf = moffat_psf(4.0, BETA, radius=24)
    new, variance = noisy(moffat_stars(SHAPE, x + 0.5, y, np.full(x.size, 3e4), 4.0), 10, 50, rng)
    old, noise = noisy(moffat_stars(SHAPE, x, y, np.full(x.size, 3e4), 4.0), 4, 300, rng)
    good = np.ones(SHAPE, dtype=bool)
    result = subtract(new, variance, psf, old, noise, psf, good)
    assert len(detect_differences(result, old, good).x) == 0


@pytest.mark.req("PIPE-8")
def test_a_cosmic_ray_on_the_visit_is_no_transient() -> None:
    rng = np.random.default_rng(64)
    psf = moffat_psf(4.0, BETA, radius=24)
    new, variance = noisy(np.zeros(SHAPE), SIGMA, 50.0, rng)
    old, noise = noisy(np.zeros(SHAPE), TEMPLATE_SIGMA, 300.0, rng)
    new[100:112, 80] += 1500.0
    new[200, 200] += 4000.0
    good = np.ones(SHAPE, dtype=bool)
    result = subtract(new, variance, psf, old, noise, psf, good)
    assert len(detect_differences(result, old, good).x) == 0


class Night:
    """Seven visits of one field: constant stars, a supernova, a fading star and an asteroid."""

    supernova = (110.3, 95.7)
    fading = (60.2, 150.4)
    asteroid = ((40.0, 40.0), (18.0, 11.0))

    def __init__(self) -> None:
        self.patch = Tract("sim", 2, 30.0, -5.0, 0.2, 240, 10, 1, 1).patch(0)
        rng = np.random.default_rng(65)
        x, y = lattice(self.patch.shape, 38, rng, margin=22)
        flux = rng.permutation(np.geomspace(2e3, 6e4, x.size))
        self.images: list[Exposure] = []
        self.added: list[float] = []
        for k in range(7):
            new = 9000.0 if k in {4, 5, 6} else 0.0
            faded = 3000.0 if k in {1, 5} else 15000.0
            path = np.array(self.asteroid[0]) + k * np.array(self.asteroid[1])
            own = np.array([(*self.supernova, new), (*self.fading, faded), (*path, 8000.0)])
            fwhm = 3.8 + 0.25 * (k % 4)
            shape = (280, 280)
            wcs = (
                zpn_wcs(shape=shape)
                if k == 3
                else tan_wcs(shape=shape, rotation=3.0 * k, shift=(0.3 * k, -0.4 * k))
            )
            where = self.patch.wcs.all_pix2world(np.r_[x, own[:, 0]], np.r_[y, own[:, 1]], 0)
            place = wcs.wcs_world2pix(*where, 0)
            light = moffat_stars(shape, *place, np.r_[flux, own[:, 2]], fwhm)
            image, variance = noisy(light, 15.0, 50.0, rng)
            mask = np.where(light > 45.0, np.uint8(int(Plane.DETECTED)), np.uint8(0))
            self.images.append(
                visit_exposure(image, variance, fwhm, wcs, visit=k, mjd=60000.0 + k, mask=mask)
            )
            self.added.append(new)
        coadd = build_coadd(self.patch, "r", self.images)
        assert coadd is not None
        self.coadd = coadd

    def place(self, x: float, y: float) -> tuple[float, float]:
        ra, dec = self.patch.wcs.all_pix2world(x, y, 0)
        return float(ra), float(dec)

    def at(self, table: Table, where: tuple[float, float], radius: float = 0.4) -> Table:
        ra, dec = self.place(*where)
        east = (np.asarray(table["ra"]) - ra) * np.cos(np.radians(dec))
        return table[np.hypot(east, np.asarray(table["dec"]) - dec) * 3600.0 < radius]


@pytest.fixture(scope="module")
def night() -> Night:
    return Night()


@pytest.fixture(scope="module")
def tables(night: Night) -> list[Table]:
    task = SubtractImagesTask()
    coadd = night.coadd.to_masked_image()
    results = [task.run(image.to_masked_image(), [coadd]) for image in night.images]
    assert all(isinstance(r.difference_image, MaskedImage) for r in results)
    return [r.dia_source_visit for r in results]


@pytest.fixture(scope="module")
def linked(tables: list[Table]) -> tuple[Table, Table]:
    done = AssociateTask().run(tables, empty("Object", ["r"]), 2)
    return done.dia_source, done.dia_object


@pytest.mark.req("PIPE-8")
def test_a_template_is_the_coadd_on_the_pixels_of_the_visit(night: Night) -> None:
    visit = night.images[0]
    template = make_template(visit, [night.coadd])
    assert template is not None
    assert template.image.shape == visit.shape
    assert template.share == pytest.approx(1 / 7, abs=0.01)
    assert 0.6 < template.good.mean() < 1.0
    difference = (visit.array - template.image)[template.good]
    assert abs(np.median(difference)) < 1.0
    elsewhere = visit_exposure(visit.array, 1.0, 4.0, tan_wcs(ra=40.0))
    assert make_template(elsewhere, [night.coadd]) is None


@pytest.mark.req("PIPE-8")
def test_a_supernova_is_one_object_with_its_visits_and_their_flux(
    night: Night, linked: tuple[Table, Table]
) -> None:
    sources, objects = linked
    (row,) = night.at(objects, night.supernova)
    own = sources[np.asarray(sources["diaObjectId"]) == row["diaObjectId"]]
    bright = own[np.asarray(own["psfFlux"]) > 0]
    assert sorted(bright["visit"]) == [4, 5, 6]
    assert row["nDiaSources"] == len(own)
    assert row["lastDiaSourceMjdTai"] == 60006.0
    # The template holds at most what the mean of the visits shows of it.
    template = 9000.0 * 3 / 7
    low, high = 9000.0 - template - 500.0, 9000.0 + 500.0
    assert np.all((np.asarray(bright["psfFlux"]) > low) & (np.asarray(bright["psfFlux"]) < high))
    science = np.asarray(bright["scienceFlux"])
    assert np.all(np.abs(science - 9000.0) < 5 * np.asarray(bright["scienceFluxErr"]))


@pytest.mark.req("PIPE-8")
def test_a_star_that_fades_is_negative(night: Night, linked: tuple[Table, Table]) -> None:
    sources, objects = linked
    (row,) = night.at(objects, night.fading)
    own = sources[np.asarray(sources["diaObjectId"]) == row["diaObjectId"]]
    down = np.isin(np.asarray(own["visit"]), [1, 5])
    assert np.count_nonzero(down) == 2
    assert np.all(np.asarray(own["isNegative"])[down])
    assert not np.any(np.asarray(own["isNegative"])[~down])
    assert row["r_psfFluxMin"] < -5000.0


@pytest.mark.req("PIPE-8")
def test_an_asteroid_is_seen_on_every_visit_and_linked_on_none(
    night: Night, linked: tuple[Table, Table]
) -> None:
    sources, objects = linked
    start, step = (np.array(v) for v in night.asteroid)
    ids = []
    for k in range(7):
        here = night.at(sources[np.asarray(sources["visit"]) == k], tuple(start + k * step))
        if len(here) == 0:
            continue
        assert len(here) == 1
        assert here["psfFlux"][0] == pytest.approx(8000.0, rel=0.15)
        ids.append(int(here["diaObjectId"][0]))
    assert len(ids) >= 6
    assert len(set(ids)) == len(ids)
    alone = objects[np.isin(np.asarray(objects["diaObjectId"]), ids)]
    assert set(alone["nDiaSources"]) == {1}


@pytest.mark.req("PIPE-8")
def test_nothing_else_changed(night: Night, linked: tuple[Table, Table]) -> None:
    sources, _ = linked
    start, step = (np.array(v) for v in night.asteroid)
    places = [night.supernova, night.fading, *(tuple(start + k * step) for k in range(7))]
    # Within 5 pixels: the coadd clips the core of what comes and goes, not all of its skirt.
    known = vstack([night.at(sources, p, 1.0) for p in places], metadata_conflicts="silent")
    assert len(set(sources["diaSourceId"]) - set(known["diaSourceId"])) == 0
    assert len(set(sources["diaSourceId"])) == len(sources)


@pytest.mark.req("PIPE-8")
def test_the_same_images_give_the_same_detections(night: Night, tables: list[Table]) -> None:
    task, coadd = SubtractImagesTask(), night.coadd.to_masked_image()
    again = task.run(night.images[5].to_masked_image(), [coadd]).dia_source_visit
    for name in again.colnames:
        np.testing.assert_array_equal(np.ma.getdata(again[name]), np.ma.getdata(tables[5][name]))


@pytest.mark.req("PIPE-8")
def test_the_order_of_detections_does_not_change_their_links() -> None:
    rng = np.random.default_rng(66)
    ra, dec = 10.0 + rng.uniform(0, 0.002, 60), rng.uniform(0, 0.002, 60)
    order = rng.permutation(60)
    np.testing.assert_array_equal(link(ra, dec, 0.5)[order], link(ra[order], dec[order], 0.5))

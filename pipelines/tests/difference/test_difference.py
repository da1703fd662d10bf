"""Difference imaging: a change keeps its flux, no change leaves nothing, detections are linked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerro_pipelines.difference.detect import detect_differences
from cerro_pipelines.difference.link import dia_object_id, link, make_dia_objects
from cerro_pipelines.difference.subtract import subtract
from cerro_pipelines.measure.object_table import object_id
from cerro_pipelines.measure.psf import moffat_psf
from cerro_pipelines.schema.columns import conform, empty, table_model

SIZE, NOISE = 300, 10.0


def scene(
    fwhm: float, noise: float, extra: list[tuple[float, float, float]], seed: int
) -> np.ndarray:
    """Thirty constant stars and some extra ones, with noise."""
    rng = np.random.default_rng(99)
    stars = [(*rng.uniform(25, SIZE - 25, 2), 10 ** rng.uniform(3, 4.7)) for _ in range(30)]
    psf = moffat_psf(fwhm)
    image = np.random.default_rng(seed).normal(0, noise, (SIZE, SIZE))
    for x, y, flux in [*stars, *extra]:
        ix, iy = round(x), round(y)
        image[iy - 15 : iy + 16, ix - 15 : ix + 16] += flux * psf.draw_one(x, y)
    return image.astype(np.float32)


@pytest.mark.parametrize(("new_fwhm", "reference_fwhm"), [(3.5, 4.5), (4.5, 3.5), (4.0, 4.0)])
@pytest.mark.req("PIPE-8")
def test_changes_of_either_sign_are_found_with_their_flux_and_nothing_else(
    new_fwhm: float, reference_fwhm: float
) -> None:
    changes = [(60.3, 200.6, 4000.0), (220.7, 80.2, -3000.0)]
    new = scene(new_fwhm, NOISE, changes, 1)
    reference = scene(reference_fwhm, NOISE / 3, [], 2)
    good = np.ones(new.shape, bool)
    result = subtract(
        new, np.full(new.shape, NOISE**2, np.float32), moffat_psf(new_fwhm),
        reference, np.full(new.shape, (NOISE / 3) ** 2, np.float32), moffat_psf(reference_fwhm),
        good,
    )  # fmt: skip
    assert np.std(result.image[120:180, 5:40]) == pytest.approx(NOISE * 1.05, rel=0.15)
    found = detect_differences(result, reference, good)
    order = np.argsort(-found.flux)
    assert len(order) == 2
    for row, (x, y, flux) in zip(order, changes, strict=True):
        assert np.hypot(found.x[row] - x, found.y[row] - y) < 0.5
        assert found.flux[row] == pytest.approx(
            flux, abs=4 * found.flux_error[row] + 0.01 * abs(flux)
        )
        assert not found.dipole[row]


@pytest.mark.req("PIPE-8")
def test_pixels_that_mean_nothing_do_not_become_detections() -> None:
    new, reference = scene(4.0, NOISE, [], 1), scene(4.0, NOISE / 3, [], 2)
    good = np.ones(new.shape, bool)
    good[100:110, 50:60] = False
    new[~good] = 1e6
    variance = np.full(new.shape, NOISE**2, np.float32)
    psf = moffat_psf(4.0)
    result = subtract(new, variance, psf, reference, variance / 9, psf, good)
    assert len(detect_differences(result, reference, good).x) == 0


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(1, 5)),
        min_size=1,
        max_size=12,
        unique_by=lambda t: t[:2],
    )
)
@pytest.mark.req("PIPE-8")
def test_detections_at_one_place_are_one_object_and_apart_are_two(
    places: list[tuple[int, int, int]],
) -> None:
    # Places lie 2 arcsec apart on a grid; detections scatter by 0.05 arcsec.
    rng = np.random.default_rng(0)
    ra, dec, own = [], [], []
    for index, (i, j, times) in enumerate(places):
        for _ in range(times):
            ra.append((10.0 + (2.0 * i + rng.uniform(-0.05, 0.05)) / 3600.0) % 360.0)
            dec.append((2.0 * j + rng.uniform(-0.05, 0.05)) / 3600.0)
            own.append(index)
    groups = link(np.array(ra), np.array(dec), 0.5)
    assert groups.max() + 1 == len(places)
    assert len({(g, o) for g, o in zip(groups.tolist(), own, strict=True)}) == len(places)


@pytest.mark.req("PIPE-8")
def test_linking_works_across_right_ascension_zero_and_on_nothing() -> None:
    groups = link(np.array([359.99999, 0.00001]), np.array([0.0, 0.0]), 0.5)
    assert groups.tolist() == [0, 0]
    assert link(np.zeros(0), np.zeros(0), 0.5).size == 0


@pytest.mark.req("PIPE-8")
def test_dia_objects_sum_up_their_light_curves() -> None:
    model = table_model("DiaSource")
    values = {
        c.name: np.zeros(3, {"boolean": bool, "long": int}.get(c.datatype, float))
        for c in model.columns
    }
    values |= {
        "diaSourceId": np.arange(3) + 1,
        "diaObjectId": dia_object_id(0, np.array([0, 0, 1])),
        "band": np.array(["g", "g", "r"]),
        "midpointMjdTai": np.array([10.0, 12.0, 11.0]),
        "ra": np.array([60.0, 60.0, 61.0]),
        "dec": np.array([-30.0, -30.0, -31.0]),
        "decErr": np.full(3, 1e-6),
        "psfFlux": np.array([100.0, 300.0, -50.0]),
        "psfFluxErr": np.array([10.0, 10.0, 5.0]),
        "scienceFluxErr": np.ones(3),
    }
    objects = make_dia_objects(
        conform("DiaSource", values), empty("Object", ["g", "r"]), 0, ["g", "r"]
    )
    assert objects["nDiaSources"].tolist() == [2, 1]
    assert objects["g_psfFluxMean"][0] == pytest.approx(200.0)
    assert objects["g_psfFluxMax"][0] == pytest.approx(300.0)
    assert objects["g_psfFluxChi2"][0] == pytest.approx(200.0)
    assert np.isnan(objects["g_psfFluxMean"][1])
    assert objects["r_psfFluxMean"][1] == pytest.approx(-50.0)
    assert (objects["firstDiaSourceMjdTai"][0], objects["lastDiaSourceMjdTai"][0]) == (10.0, 12.0)


@settings(deadline=None)
@given(
    first=st.tuples(st.integers(0, 999), st.integers(0, 9999)),
    second=st.tuples(st.integers(0, 999), st.integers(0, 9999)),
)
@pytest.mark.req("PIPE-8")
def test_identifiers_never_collide(first: tuple[int, int], second: tuple[int, int]) -> None:
    mine, other = object_id(*first, 3), object_id(*second, 3)
    assert (mine > 0).all()
    assert first == second or not set(mine.tolist()) & set(other.tolist())
    assert not set(mine.tolist()) & set(dia_object_id(first[0], np.arange(3)).tolist())

"""The simulated survey is the same every time, and has what it promises."""

from __future__ import annotations

from pathlib import Path

import galsim
import numpy as np
import pytest
from astropy.table import Table

from cerro_pipelines import repository
from cerro_pipelines.execute import Progress
from cerro_pipelines.exposure import Exposure
from cerro_pipelines.repository import RepositoryError
from cerro_pipelines.simulate.config import BANDS, SurveyConfig
from cerro_pipelines.simulate.plan import visit_wcs
from cerro_pipelines.simulate.survey import TRUTH_RUN, make_tables, simulate
from cerro_pipelines.simulate.task import SimulateConfig, SimulateTask


@pytest.fixture(scope="module")
def demo_tables() -> dict[str, Table]:
    return make_tables(SurveyConfig())


def observe(config: SurveyConfig, visit: int) -> np.ndarray:
    tables = make_tables(config)
    settings = SimulateConfig()
    settings.seed = config.seed
    settings.n_pixels = config.n_pixels
    result = SimulateTask(config=settings).run(
        visit=visit,
        plan=tables["survey_plan"],
        truth=tables["truth_object"],
        truth_visit=tables["truth_visit"],
        truth_moving=tables["truth_moving"],
    )
    return np.asarray(result.raw.array)


@pytest.mark.req("PIPE-1")
def test_the_same_seed_gives_the_same_truth(tiny_survey: SurveyConfig) -> None:
    first, second = make_tables(tiny_survey), make_tables(tiny_survey)
    for name, table in first.items():
        assert table.colnames == second[name].colnames
        for column in table.colnames:
            assert table[column].tolist() == second[name][column].tolist() or np.array_equal(
                np.asarray(table[column]), np.asarray(second[name][column]), equal_nan=True
            )


@pytest.mark.req("PIPE-1")
def test_pixels_do_not_depend_on_order_or_process(
    tiny_survey: SurveyConfig, survey_root: Path
) -> None:
    butler = repository.open_repository(survey_root)
    for visit in (11, 3):
        stored = butler.get(
            "raw", instrument="SimCam", exposure=visit, detector=0, collections="SimCam/raw"
        )
        np.testing.assert_array_equal(stored.array, observe(tiny_survey, visit))


@pytest.mark.req("PIPE-1")
def test_another_seed_gives_another_survey(tiny_survey: SurveyConfig) -> None:
    other = tiny_survey.model_copy(update={"seed": 5})
    assert not np.array_equal(observe(tiny_survey, 1), observe(other, 1), equal_nan=True)


@pytest.mark.req("PIPE-2")
def test_each_band_has_its_visits_on_different_nights(demo_tables: dict[str, Table]) -> None:
    plan = demo_tables["survey_plan"]
    for band in BANDS:
        nights = np.floor(plan["mjd"][plan["band"] == band])
        assert len(nights) >= 6
        assert len(set(nights)) == len(nights)


@pytest.mark.req("PIPE-2")
def test_nine_tenths_of_the_field_are_in_every_visit(demo_tables: dict[str, Table]) -> None:
    config = SurveyConfig()
    plan = demo_tables["survey_plan"]
    first = visit_wcs(config, config.ra, config.dec, 0.0)
    grid = np.arange(5.0, config.n_pixels, 20.0)
    x, y = (v.ravel() for v in np.meshgrid(grid, grid))
    ra, dec = first.all_pix2world(x, y, 0)
    covered = np.ones(len(x), bool)
    for row in plan:
        px, py = visit_wcs(config, row["ra"], row["dec"], row["rotation"]).all_world2pix(ra, dec, 0)
        covered &= (np.minimum(px, py) >= 0) & (np.maximum(px, py) <= config.n_pixels - 1)
    assert covered.mean() >= 0.9


@pytest.mark.req("PIPE-2")
def test_the_sky_holds_variables_of_every_kind(demo_tables: dict[str, Table]) -> None:
    truth = demo_tables["truth_object"]
    variable = truth[truth["isVariable"]]
    assert len(variable) >= 150
    periodic = variable[~np.ma.getmaskarray(variable["period"])]
    assert len(periodic) >= 60
    assert set(variable["variableType"]) == {
        "rrlyrae",
        "eclipsing",
        "sinusoidal",
        "irregular",
        "supernova",
    }
    # Some are bright enough for a light curve by eye: a hundredth of a magnitude in one visit.
    assert np.sum((periodic["r_mag"] > 17) & (periodic["r_mag"] < 19)) >= 20


@pytest.mark.req("PIPE-2")
def test_true_fluxes_of_variables_vary_with_their_period(demo_tables: dict[str, Table]) -> None:
    truth = demo_tables["truth_object"]
    per_visit = demo_tables["truth_visit"]
    star = truth[np.asarray(truth["variableType"].filled("")) == "rrlyrae"][0]
    curve = per_visit[(per_visit["truthId"] == star["truthId"]) & (per_visit["band"] == "g")]
    magnitude = 31.4 - 2.5 * np.log10(np.asarray(curve["flux"]))
    assert 0.3 * star["amplitude"] < np.ptp(magnitude) <= 1.01 * star["amplitude"]
    phase = ((np.asarray(curve["expMidptMJD"]) - star["epoch"]) / star["period"]) % 1.0
    order = np.argsort(phase)
    steps = np.abs(np.diff(magnitude[order]))
    assert np.median(steps) < 0.5 * star["amplitude"]


@pytest.mark.req("PIPE-2")
def test_supernovae_rise_and_fall_on_galaxies(demo_tables: dict[str, Table]) -> None:
    truth = demo_tables["truth_object"]
    per_visit = demo_tables["truth_visit"]
    galaxies = set(truth["truthId"][truth["truthType"] == "galaxy"])
    novae = truth[truth["truthType"] == "transient"]
    assert len(novae) >= 5
    for nova in novae:
        assert nova["hostId"] in galaxies
        curve = per_visit[(per_visit["truthId"] == nova["truthId"]) & (per_visit["band"] == "r")]
        flux = np.asarray(curve["flux"])[np.argsort(np.asarray(curve["expMidptMJD"]))]
        assert flux[0] < 0.2 * flux.max()
        assert flux[-1] < 0.8 * flux.max()


@pytest.mark.req("PIPE-2")
def test_something_moves_through_the_field(demo_tables: dict[str, Table]) -> None:
    moving = demo_tables["truth_moving"]
    seen = moving[moving["inImage"]]
    assert len(set(seen["movingId"])) >= 1
    one = seen[seen["movingId"] == seen["movingId"][0]]
    assert len(one) >= 2
    assert np.ptp(np.asarray(one["dec"])) + np.ptp(np.asarray(one["ra"])) > 2.0 / 3600.0


@pytest.mark.req("PIPE-2")
def test_stars_appear_where_and_as_bright_as_the_truth_says(
    survey_root: Path,
) -> None:
    butler = repository.open_repository(survey_root)
    truth = butler.get("truth_object", instrument="SimCam", collections=TRUTH_RUN)
    raw = Exposure.from_image(
        butler.get("raw", instrument="SimCam", exposure=5, detector=0, collections="SimCam/raw")
    )
    x, y = raw.sky_to_pixel(truth["ra"], truth["dec"])
    apart = np.hypot(x[:, None] - x, y[:, None] - y)
    band = raw.info.band
    flux = np.asarray(truth[f"{band}_flux"])
    # Neighbours matter by their light: nothing within 25 pixels with 2 % of the star's own.
    near = (apart < 25) & (apart > 0) & (flux[None, :] > 0.02 * flux[:, None])
    good = (
        ~near.any(axis=1)
        & np.asarray(truth["isPointSource"] & ~truth["isVariable"])
        & raw.contains(x, y, border=25)
        & (np.asarray(truth[f"{band}_mag"]) < 21.0)
        & (np.asarray(truth[f"{band}_mag"]) > 16.5)
    )
    assert good.sum() >= 3
    grid = np.arange(-20, 21)
    radius = np.hypot(*np.meshgrid(grid, grid))
    core, ring = radius < 8, (radius > 15) & (radius < 20)
    psf = galsim.Kolmogorov(fwhm=raw.info.seeing).drawImage(nx=41, ny=41, scale=0.2).array
    inside = psf[core].sum() - psf[ring].mean() * core.sum()
    ratios = []
    for px, py, true in zip(x[good], y[good], flux[good], strict=True):
        ix, iy = round(float(px)), round(float(py))
        stamp = raw.array[iy - 20 : iy + 21, ix - 20 : ix + 21]
        if not np.isfinite(stamp).all():
            continue
        stamp = stamp - np.median(stamp[ring])
        ratios.append(stamp[core].sum() * raw.info.nanojansky_per_adu / (true * inside))
        weight = np.where(radius < 5, np.clip(stamp, 0, None), 0.0)
        assert abs((weight * grid[None, :]).sum() / weight.sum() - (px - ix)) < 0.25
        assert abs((weight * grid[:, None]).sum() / weight.sum() - (py - iy)) < 0.25
    assert len(ratios) >= 3
    assert np.median(ratios) == pytest.approx(1.0, abs=0.04)


@pytest.mark.req("PIPE-3")
def test_a_second_simulation_finds_everything_there(
    tiny_survey: SurveyConfig, survey_root: Path
) -> None:
    seen: list[Progress] = []
    summary = simulate(survey_root, tiny_survey, progress=seen.append)
    assert summary.quanta == {}
    assert seen == []


@pytest.mark.req("PIPE-1")
def test_a_repository_of_another_seed_is_refused(
    tiny_survey: SurveyConfig, survey_root: Path
) -> None:
    with pytest.raises(RepositoryError, match="another seed"):
        simulate(survey_root, tiny_survey.model_copy(update={"seed": 5}))

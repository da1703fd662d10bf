"""From raw images to every table, on a tiny simulated survey and on two real exposures."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from lsst.daf.butler import Butler
from scipy.spatial import cKDTree

from cerro_pipelines.exposure import Exposure
from cerro_pipelines.reduce import reduce
from cerro_pipelines.schema.columns import table_model

BANDS = ["g", "r", "i"]
MIDDLE = np.cos(np.radians(-30.0))
TABLES = {
    "object": "Object",
    "forced_source": "ForcedSource",
    "dia_source": "DiaSource",
    "dia_object": "DiaObject",
    "visit_table": "Visit",
    "source": "Source",
}


def table(butler: Butler, name: str) -> Table:
    refs = butler.query_datasets(name)
    assert len(refs) == 1, name
    found: Table = butler.get(refs[0])
    return found


def separations(here: Table, there: Table) -> np.ndarray:
    """Distance in arcsec from each true source to the nearest row (tangent plane at dec -30)."""

    def plane(t: Table) -> np.ndarray:
        ra, dec = (t["ra"], t["dec"]) if "ra" in t.colnames else (t["coord_ra"], t["coord_dec"])
        return 3600.0 * np.column_stack([np.asarray(ra) * MIDDLE, np.asarray(dec)])

    distance: np.ndarray = cKDTree(plane(here)).query(plane(there))[0]
    return distance


@pytest.fixture(scope="module")
def reduced(survey_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("reduction") / "repo"
    shutil.copytree(survey_root, root)
    reduce(root, output="one", jobs=1)
    return root


@pytest.fixture(scope="module")
def butler(reduced: Path) -> Butler:
    return Butler.from_config(str(reduced), collections="one")


@pytest.mark.req("PIPE-7")
@pytest.mark.parametrize("dataset", list(TABLES))
def test_every_table_has_exactly_the_columns_of_its_model(butler: Butler, dataset: str) -> None:
    bands = BANDS if dataset in ("object", "dia_object") else []
    model = table_model(TABLES[dataset], bands)
    for ref in butler.query_datasets(dataset):
        found = butler.get(ref)
        assert tuple(found.colnames) == model.names
        assert len(found) > 0
        key = [found[c].tolist() for c in model.primary_key]
        assert len(set(zip(*key, strict=True))) == len(found)


@pytest.mark.req("PIPE-7")
def test_objects_are_where_and_as_bright_as_the_truth_says(butler: Butler) -> None:
    objects, truth = table(butler, "object"), table(butler, "truth_object")
    ra, dec = np.asarray(objects["coord_ra"]), np.asarray(objects["coord_dec"])
    inside = (
        (truth["ra"] > ra.min()) & (truth["ra"] < ra.max())
        & (truth["dec"] > dec.min()) & (truth["dec"] < dec.max())
    )  # fmt: skip
    stars = truth[
        np.asarray(inside) & np.asarray(truth["isPointSource"]) & ~np.asarray(truth["isVariable"])
    ]
    bright = stars[(stars["r_mag"] > 18.0) & (stars["r_mag"] < 22.5)]
    distance = separations(objects, bright)
    assert np.mean(distance < 0.3) > 0.9
    assert np.median(distance) < 0.02
    tree = cKDTree(np.column_stack([ra * MIDDLE, dec]))
    _, row = tree.query(np.column_stack([np.asarray(bright["ra"]) * MIDDLE, bright["dec"]]))
    for band in BANDS:
        ratio = np.asarray(objects[f"{band}_psfFlux"][row]) / np.asarray(bright[f"{band}_flux"])
        # Stars saturated in every visit of a band have no PSF flux there.
        assert np.nanmedian(ratio[distance < 0.3]) == pytest.approx(1.0, abs=0.03)


@pytest.mark.req("PIPE-7")
def test_every_object_is_measured_in_every_visit_that_sees_it(butler: Butler) -> None:
    objects, forced = table(butler, "object"), table(butler, "forced_source")
    visits = table(butler, "visit_table")
    assert set(np.unique(forced["visit"])) == set(visits["visit"])
    assert set(np.unique(forced["objectId"])) <= set(objects["objectId"])
    good = ~np.asarray(forced["psfFlux_flag"]) & ~np.asarray(forced["psfDiffFlux_flag"])
    assert good.mean() > 0.8
    _, times = np.unique(np.asarray(forced["objectId"]), return_counts=True)
    assert np.median(times) == len(visits)


@pytest.mark.req("PIPE-8")
def test_strong_variables_are_found_on_the_difference_images(butler: Butler) -> None:
    truth, changes = table(butler, "truth_object"), table(butler, "truth_visit")
    dia, sources = table(butler, "dia_object"), table(butler, "dia_source")
    assert set(sources["diaObjectId"]) == set(dia["diaObjectId"])
    error = float(np.median(sources["psfFluxErr"]))
    identity = np.asarray(changes["truthId"])
    flux = np.asarray(changes["flux"], float)
    strong = [t for t in np.unique(identity) if np.ptp(flux[identity == t]) > 15.0 * error]
    rows = truth[np.isin(np.asarray(truth["truthId"]), strong)]
    ra, dec = np.asarray(sources["ra"]), np.asarray(sources["dec"])
    inside = (
        (rows["ra"] > ra.min()) & (rows["ra"] < ra.max())
        & (rows["dec"] > dec.min()) & (rows["dec"] < dec.max())
    )  # fmt: skip
    rows = rows[np.asarray(inside)]
    assert len(rows) >= 2
    assert np.mean(separations(dia, rows) < 0.5) >= 0.8


@pytest.mark.req("PIPE-6")
def test_coadds_lie_on_patches_with_their_psf_and_reach_deeper_than_visits(butler: Butler) -> None:
    coadd = Exposure.from_masked_image(butler.get(butler.query_datasets("deep_coadd")[0]))
    assert coadd.info.patch is not None
    assert coadd.psf is not None
    image = Exposure.from_masked_image(
        butler.get(butler.query_datasets("visit_image", where=f"band = '{coadd.info.band}'")[0])
    )
    assert np.median(coadd.variance) < 0.5 * np.median(image.variance)


@pytest.mark.req("PIPE-7")
def test_the_same_exposures_give_the_same_tables_to_the_last_bit(
    reduced: Path, butler: Butler
) -> None:
    reduce(reduced, output="two", jobs=2)
    again = Butler.from_config(str(reduced), collections="two")
    for name in ("object", "forced_source", "dia_object", "dia_source", "visit_table"):
        first, second = table(butler, name), table(again, name)
        for column in first.colnames:
            a, b = first[column], second[column]
            assert np.array_equal(np.ma.getmaskarray(a), np.ma.getmaskarray(b))
            assert np.ma.getdata(a).tobytes() == np.ma.getdata(b).tobytes(), (name, column)


@pytest.mark.req("PIPE-9")
def test_vista_exposures_become_a_coadd_and_tables(vista_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "repo"
    shutil.copytree(vista_root, root)
    reduce(root, jobs=2)
    butler = Butler.from_config(str(root), collections="reduced")
    objects, forced = table(butler, "object"), table(butler, "forced_source")
    assert len(objects) > 500
    assert {ref.dataId["band"] for ref in butler.query_datasets("deep_coadd")} == {"H"}
    # Stars keep their flux from one exposure to the other, within the zero points' few per cent.
    bright = np.asarray(objects["objectId"])[
        (np.asarray(objects["H_psfFlux"]) > 50.0 * np.asarray(objects["H_psfFluxErr"]))
        & (np.asarray(objects["refExtendedness"]) == 0)
    ]
    fine = ~np.asarray(forced["psfFlux_flag"]) & ~np.asarray(forced["pixelFlags_edge"])
    first, second = np.unique(np.asarray(forced["visit"]))
    flux = {
        v: {
            i: f
            for i, f, k, ok in zip(
                forced["objectId"], forced["psfFlux"], forced["visit"], fine, strict=True
            )
            if ok and k == v
        }
        for v in (first, second)
    }
    both = [i for i in bright if i in flux[first] and i in flux[second]]
    assert len(both) >= 5
    ratio = np.array([flux[first][i] / flux[second][i] for i in both])
    assert np.median(ratio) == pytest.approx(1.0, abs=0.06)

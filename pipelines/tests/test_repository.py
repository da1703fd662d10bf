"""The records of a repository let Butler answer by time, by place and by tract."""

from __future__ import annotations

from pathlib import Path

import pytest
from lsst.sphgeom import LonLat, UnitVector3d

from cerro_pipelines import instruments, repository
from cerro_pipelines.repository import RepositoryError
from cerro_pipelines.simulate.config import SurveyConfig
from cerro_pipelines.skymap_records import define_sky_map


@pytest.mark.req("PIPE-3")
def test_exposures_are_found_by_place_and_time(
    survey_root: Path, tiny_survey: SurveyConfig
) -> None:
    butler = repository.open_repository(survey_root)
    here = f"visit_detector_region.region OVERLAPS POINT({tiny_survey.ra}, {tiny_survey.dec})"
    with butler.query() as query:
        inside = list(query.data_ids(["visit", "detector"]).where(here, instrument="SimCam"))
        outside = list(
            query.data_ids(["visit", "detector"]).where(
                here.replace(str(tiny_survey.ra), "70.5"), instrument="SimCam"
            )
        )
    assert len(inside) == 18
    assert outside == []
    records = list(butler.registry.queryDimensionRecords("exposure", instrument="SimCam"))
    assert {r.physical_filter for r in records} == {"g_sim", "r_sim", "i_sim"}
    assert all(
        (r.timespan.end - r.timespan.begin).sec == pytest.approx(30.0, abs=1e-3) for r in records
    )


@pytest.mark.req("PIPE-6")
def test_a_sky_map_holds_every_exposure_and_is_made_once(tmp_path: Path, vista_files) -> None:
    from cerro_pipelines.ingest import ingest

    root = tmp_path / "repo"
    camera = instruments.load("vircam")
    ingest(root, vista_files[:1], camera)
    butler = repository.open_repository(root, writeable=True)
    first = define_sky_map(butler, camera)
    assert define_sky_map(butler, camera) == first
    (record,) = butler.registry.queryDimensionRecords("visit_detector_region")
    assert first[1][0].region.contains(record.region)
    # Other patches are another sky map.
    assert define_sky_map(butler, camera, patch_size=500)[0] == "vircam_2"
    # The next exposure is offset: the sky map that it needs is a new one.
    ingest(root, vista_files[5:6], camera)
    second = define_sky_map(repository.open_repository(root, writeable=True), camera)
    assert (first[0], second[0]) == ("vircam_1", "vircam_3")


@pytest.mark.req("PIPE-9")
def test_the_region_of_a_vista_visit_is_its_footprint(vista_root: Path) -> None:
    butler = repository.open_repository(vista_root)
    from cerro_pipelines.exposure import Exposure

    ref = butler.query_datasets("raw", collections="VIRCAM/raw")[0]
    image = Exposure.from_image(butler.get(ref))
    (record,) = (
        r
        for r in butler.registry.queryDimensionRecords("visit_detector_region")
        if r.visit == ref.dataId["exposure"]
    )
    ny, nx = image.shape
    for x, y, inside in ((2, 2, True), (nx - 3, ny - 3, True), (-4, 5, False), (5, ny + 3, False)):
        ra, dec = image.pixel_to_sky(x, y)
        point = UnitVector3d(LonLat.fromDegrees(float(ra), float(dec)))
        assert record.region.contains(point) is inside


@pytest.mark.req("PIPE-3")
def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RepositoryError, match="no Butler repository"):
        repository.create(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]

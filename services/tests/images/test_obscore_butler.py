"""The index of images that lie in a Butler repository."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from services.tests.images.pictures import FIELDS, write

from cerro_services.release.obscore import build
from cerro_services.release.progress import Progress


def _repository(draft: Path, runs: dict[str, str]) -> dict[str, str]:
    """Put the same picture into a Butler, as one dataset type in each run; give the UUIDs."""
    from lsst.daf.butler import Butler, DatasetRef, DatasetType, FileDataset
    from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

    file = write(draft, FIELDS[0])
    butler = Butler.from_config(Butler.makeRepo(str(draft / "butler")), writeable=True)
    around = ((59.9, -30.1), (60.1, -30.1), (60.1, -29.9), (59.9, -29.9))
    corners = [UnitVector3d(LonLat.fromDegrees(*corner)) for corner in around]
    whole = {"skymap": "map", "tract": 0, "region": ConvexPolygon(corners)}
    butler.registry.insertDimensionData(
        "skymap",
        {"name": "map", "hash": b"1", "tract_max": 1, "patch_nx_max": 1, "patch_ny_max": 1},
    )
    butler.registry.insertDimensionData("tract", {**whole, "id": 0})
    butler.registry.insertDimensionData("patch", {**whole, "id": 0, "cell_x": 0, "cell_y": 0})
    made = {}
    for run, kind in runs.items():
        butler.collections.register(run)
        known = DatasetType(
            kind, ["skymap", "tract", "patch"], "ExposureF", universe=butler.dimensions
        )
        butler.registry.registerDatasetType(known)
        place = butler.registry.expandDataId(skymap="map", tract=0, patch=0)
        ref = DatasetRef(known, place, run)
        formatter = "lsst.images.formatters.GenericFormatter"
        butler.ingest(FileDataset(str(file), [ref], formatter=formatter), transfer="copy")
        made[kind] = str(ref.id)
    butler.close()
    return made


@pytest.mark.req("API-OBS-4")
def test_the_images_of_a_butler_are_indexed_and_those_left_out_go(tmp_path: Path) -> None:
    ids = _repository(tmp_path, {"first": "deep_coadd", "second": "template_coadd"})
    assert build(tmp_path, "pix", Progress()) == {"deep_coadd": 1, "template_coadd": 1}
    (row,) = pq.read_table(tmp_path / "obscore/deep_coadd.parquet").to_pylist()
    assert row["obs_publisher_did"] == f"ivo://cerro/pix?repo=pix&id={ids['deep_coadd']}"
    assert (row["lsst_tract"], row["calib_level"], row["s_xel1"]) == (0, 3, FIELDS[0].size[0])
    assert (tmp_path / row["_path"]).is_file()
    assert build(tmp_path, "pix", Progress(), collections=["first"]) == {"deep_coadd": 1}
    assert [p.name for p in (tmp_path / "obscore").iterdir()] == ["deep_coadd.parquet"]

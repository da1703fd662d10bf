"""ObsCore: the index of a release's images, in TAP and for the other services."""

from __future__ import annotations

from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
import pyvo
from click.testing import CliRunner
from services.tests.images.pictures import FIELDS, SCALE, Field, write
from services.tests.serving import Served

from cerro_services.access import PUBLIC, Caller
from cerro_services.context import Context
from cerro_services.images import Images
from cerro_services.release import ReleaseStore
from cerro_services.release.cli import release
from cerro_services.release.errors import ReleaseError
from cerro_services.release.obscore import build
from cerro_services.release.progress import Progress

MEMBER = Caller("vera", frozenset({"data-rights"}), frozenset({"custom:read:image"}))


@pytest.mark.req("API-OBS-1")
def test_pyvo_finds_images_at_a_position(gallery: Served) -> None:
    found = pyvo.dal.TAPService(gallery.tap).search(
        "SELECT obs_id, lsst_band, s_xel1, s_xel2, s_pixel_scale, t_min, em_min, access_url "
        "FROM ivoa.ObsCore WHERE 1 = CONTAINS(POINT(60.001, -30.001), s_region) ORDER BY obs_id"
    )
    assert list(found["obs_id"]) == ["green", "infra", "middle"]
    assert list(found["lsst_band"]) == ["g", "i", "r"]
    assert set(found["s_xel1"]) == {300}
    assert set(found["s_xel2"]) == {200}
    assert found["s_pixel_scale"][0] == pytest.approx(SCALE * 3600, rel=1e-6)
    assert set(found["t_min"]) == {61000.5}
    assert found["em_min"][0] < found["em_min"][2] < found["em_min"][1]
    assert all(
        url.startswith(f"{gallery.url}/api/datalink/links?ID=") for url in found["access_url"]
    )


@pytest.mark.req("API-OBS-1")
@pytest.mark.parametrize("field", [f for f in FIELDS if f.kind == "coadd"], ids=lambda f: f.name)
def test_regions_hold_the_corners_and_nothing_beyond(gallery: Served, field: Field) -> None:
    nx, ny = field.size
    for x, y, inside in ((1, 1, 1), (nx - 2, ny - 2, 1), (-3, 5, 0), (5, ny + 2, 0)):
        ra, dec = field.wcs.pixel_to_world_values(x, y)
        found = pyvo.dal.TAPService(gallery.tap).search(
            "SELECT COUNT(*) AS n FROM ivoa.ObsCore WHERE 1 = CONTAINS(POINT("
            f"{float(ra)!r}, {float(dec)!r}), s_region) AND obs_id = '{field.name}'"
        )
        assert found["n"][0] == inside


@pytest.mark.req("API-OBS-1")
def test_capabilities_tell_of_the_data_model(gallery: Served) -> None:
    told = httpx.get(f"{gallery.tap}/capabilities").text
    assert '<dataModel ivo-id="ivo://ivoa.net/std/ObsCore#core-1.1">ObsCore-1.1</' in told


@pytest.mark.req("API-OBS-2")
def test_dataset_types_are_seen_by_their_groups(gallery: Served, pictures: ReleaseStore) -> None:
    query = "SELECT DISTINCT dataproduct_subtype AS kind FROM ivoa.ObsCore"
    assert list(pyvo.dal.TAPService(gallery.tap).search(query)["kind"]) == ["coadd"]
    hidden = next(field.id for field in FIELDS if field.kind == "raw")
    images = Images(Context.build(gallery.settings))
    assert images.find([hidden, "ivo://cerro/pix?repo=pix&id=none"], PUBLIC) == {}
    assert images.find([hidden], MEMBER)[hidden].dataset_type == "raw"
    assert {i.dataset_type for i in images.overlapping(PUBLIC, 60, -30, 0.01)} == {"coadd"}
    assert "raw" in {i.dataset_type for i in images.overlapping(MEMBER, 60, -30, 0.01)}


@pytest.mark.req("API-OBS-3")
@pytest.mark.parametrize(
    ("ra", "dec", "names"),
    [
        (359.9999, 0.0, {"wrap"}),
        (0.0001, 0.0, {"wrap"}),
        (200.0, 89.9995, {"pole"}),
        (60.0, -30.0, {"middle"}),
        (120.0, 5.0, set()),
    ],
)
def test_images_are_found_by_place(gallery: Served, ra: float, dec: float, names: set[str]) -> None:
    found = Images(Context.build(gallery.settings)).overlapping(PUBLIC, ra, dec, 0.001, bands=["r"])
    assert {image.row["obs_id"] for image in found} == names
    assert all(image.path.is_file() for image in found)


@pytest.mark.req("API-OBS-4")
def test_what_cannot_be_indexed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="no FITS files"):
        build(tmp_path, "pix", Progress(), images=tmp_path)
    with pytest.raises(ReleaseError, match="no Butler repository"):
        build(tmp_path, "pix", Progress())
    files = tmp_path / "files"
    files.mkdir()
    whole = write(files, FIELDS[0]).read_bytes()
    (files / "broken.fits").write_bytes(whole[:1000])
    with pytest.raises(ReleaseError, match=r"broken\.fits"):
        build(tmp_path, "pix", Progress(), images=files)
    assert not (tmp_path / "obscore").exists()


@pytest.mark.req("API-OBS-4")
def test_the_command_indexes_a_folder(pictures: ReleaseStore, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    write(files, FIELDS[0])
    draft = tmp_path / "store/pix/draft"
    draft.mkdir(parents=True)
    told = ["obscore", "pix", "--images", str(files), "--store", str(tmp_path / "store")]
    result = CliRunner().invoke(release, told)
    assert result.exit_code == 0, result.output
    assert "Indexed 1 images of pix." in result.output
    assert pq.read_table(draft / "obscore/image.parquet").num_rows == 1

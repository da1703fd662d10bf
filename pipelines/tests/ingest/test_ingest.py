"""Files become datasets and records; one bad file, and nothing is ingested."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time

from cerro_pipelines import instruments, repository
from cerro_pipelines.exposure import Exposure
from cerro_pipelines.ingest import IngestError, ingest
from cerro_pipelines.instruments import Instrument
from cerro_pipelines.skymap import Tract

CAMERA = Instrument.model_validate(
    {
        "name": "TestCam",
        "pixel_scale": 0.5,
        "detectors": [{"id": 0, "name": "A"}, {"id": 1, "name": "B"}],
        "filters": {"R": {"band": "r"}},
        "header": {
            "date": {"keyword": "DATE-OBS", "format": "isot"},
            "exposure_time": "EXPTIME",
            "detector": "CCD",
            "zero_point": {"keyword": "ZP", "per": "second"},
            "seeing": {"keyword": "FWHM", "per": "pixel"},
            "gain": 2.0,
        },
        "bad_pixels": {"equal": [-999]},
    }
)


type Maker = Callable[..., Path]


@pytest.fixture
def make_file(tmp_path: Path) -> Maker:
    """Write a FITS file of the test camera, with some cards changed or (None) left out."""

    def make(name: str, *, detector: int = 0, **cards: object) -> Path:
        wcs = Tract("s", 0, 150.0 + 0.01 * detector, 2.0, 0.5, 64, 0, 1, 1).wcs
        data = np.arange(64 * 64, dtype=np.float32).reshape(64, 64)
        data[3, 4] = -999
        header = wcs.to_header()
        given: dict[str, object] = {
            "DATE-OBS": "2026-03-01T02:00:00",
            "EXPTIME": 100.0,
            "FILTER": "R",
            "CCD": detector,
            "ZP": 25.0,
            "FWHM": 2.0,
        }
        for key, value in {**given, **{k.replace("_", "-"): v for k, v in cards.items()}}.items():
            if value is not None:
                header[key] = value
        path = tmp_path / name
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data, header)]).writeto(path)
        return path

    return make


def raw_of(root: Path) -> list[Exposure]:
    butler = repository.open_repository(root)
    refs = butler.query_datasets("raw", collections="TestCam/raw", explain=False)
    return [Exposure.from_image(butler.get(r)) for r in sorted(refs)]


@pytest.mark.req("PIPE-3")
def test_a_file_becomes_a_dataset_with_its_circumstances(tmp_path: Path, make_file: Maker) -> None:
    root = tmp_path / "repo"
    summary = ingest(root, [make_file("a.fits")], CAMERA)
    assert (summary.images, summary.visits) == (1, {"r": 1})
    (image,) = raw_of(root)
    assert image.unit == "adu"
    assert np.isnan(image.array[3, 4])
    assert image.array[10, 10] == 650.0
    begin = Time("2026-03-01T02:00:00", scale="utc").tai
    assert image.info.mjd_mid == pytest.approx(begin.mjd + 50 / 86400, abs=1e-9)
    # 25.0 for 1 adu per second is 30.0 for 1 adu in 100 seconds.
    assert image.info.zero_point == pytest.approx(30.0)
    assert image.info.seeing == pytest.approx(1.0)
    assert image.info.gain == 2.0
    assert image.extra["source_file"] == "a.fits"


@pytest.mark.req("PIPE-3")
def test_detectors_of_one_exposure_make_one_visit(tmp_path: Path, make_file: Maker) -> None:
    root = tmp_path / "repo"
    ingest(root, [make_file("a.fits"), make_file("b.fits", detector=1)], CAMERA)
    butler = repository.open_repository(root)
    (visit,) = butler.registry.queryDimensionRecords("visit", instrument="TestCam")
    regions = list(butler.registry.queryDimensionRecords("visit_detector_region"))
    assert len(regions) == 2
    assert all(visit.region.contains(r.region) for r in regions)
    assert visit.day_obs == 20260228


@pytest.mark.req("PIPE-3")
def test_a_detector_that_comes_later_widens_its_visit(tmp_path: Path, make_file: Maker) -> None:
    root = tmp_path / "repo"
    ingest(root, [make_file("a.fits")], CAMERA)
    ingest(root, [make_file("b.fits", detector=1)], CAMERA)
    butler = repository.open_repository(root)
    (visit,) = butler.registry.queryDimensionRecords("visit", instrument="TestCam")
    regions = list(butler.registry.queryDimensionRecords("visit_detector_region"))
    assert len(regions) == 2
    assert all(visit.region.contains(r.region) for r in regions)


@pytest.mark.req("PIPE-4")
@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        ({"ZP": None}, "keyword ZP .zero point. is missing"),
        ({"DATE_OBS": None}, "keyword DATE-OBS .* is missing"),
        ({"DATE_OBS": "yesterday"}, "which is no date"),
        ({"EXPTIME": 0.0}, "exposure time is 0.0 s"),
        ({"EXPTIME": "long"}, "which is no number"),
        ({"FILTER": "Q"}, "filter 'Q' is not among those of TestCam: R"),
        ({"CCD": 7}, "no detector 7"),
        ({"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"}, "no WCS in right ascension"),
        ({"RADESYS": "FK4"}, "its WCS is in FK4"),
    ],
)
def test_a_header_that_does_not_fit_is_refused_by_name(
    tmp_path: Path, make_file: Maker, cards: dict[str, object], reason: str
) -> None:
    root = tmp_path / "repo"
    good, bad = make_file("good.fits"), make_file("bad.fits", **cards)
    with pytest.raises(IngestError, match=reason) as caught:
        ingest(root, [good, bad], CAMERA)
    assert str(caught.value).startswith(str(bad))
    assert raw_of(root) == []


@pytest.mark.req("PIPE-4")
@pytest.mark.parametrize(
    ("cut", "reason"),
    [
        (lambda b: b[: len(b) // 2], "truncated"),
        (lambda b: b[:3000], "damaged or truncated"),
        (lambda _: b"", "the file is empty"),
        (lambda _: b"not a FITS file at all" * 300, "no FITS file"),
    ],
)
def test_a_damaged_file_is_refused_by_name(
    tmp_path: Path, make_file: Maker, cut: Callable[[bytes], bytes], reason: str
) -> None:
    root = tmp_path / "repo"
    good, bad = make_file("good.fits"), make_file("bad.fits", DATE_OBS="2026-03-02T02:00:00")
    bad.write_bytes(cut(bad.read_bytes()))
    with pytest.raises(IngestError, match=reason) as caught:
        ingest(root, [good, bad], CAMERA)
    assert str(caught.value).startswith(str(bad))
    assert raw_of(root) == []
    assert not list(
        repository.open_repository(root).registry.queryDimensionRecords(
            "exposure", instrument="TestCam"
        )
    )


@pytest.mark.req("PIPE-4")
def test_a_truncated_compressed_exposure_is_refused(
    tmp_path: Path, vista_files: list[Path]
) -> None:
    content = vista_files[0].read_bytes()
    for length in (len(content) - 3000, len(content) // 2):
        bad = tmp_path / "bad.fits"
        bad.write_bytes(content[:length])
        with pytest.raises(IngestError, match="truncated"):
            ingest(tmp_path / "repo", [bad], instruments.load("vircam"))


@pytest.mark.req("PIPE-4")
def test_a_file_without_an_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.fits"
    column = fits.Column("a", "J", array=np.arange(5))
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([column])]).writeto(path)
    with pytest.raises(IngestError, match="no 2-D image"):
        ingest(tmp_path / "repo", [path], CAMERA)


@pytest.mark.req("PIPE-4")
def test_an_exposure_given_twice_is_refused(tmp_path: Path, make_file: Maker) -> None:
    first, second = make_file("a.fits"), make_file("b.fits")
    with pytest.raises(IngestError, match=r"given twice; the other file is .*a\.fits"):
        ingest(tmp_path / "repo", [first, second], CAMERA)


@pytest.mark.req("PIPE-4")
def test_an_exposure_that_is_known_is_refused_or_passed_over(
    tmp_path: Path, make_file: Maker
) -> None:
    root = tmp_path / "repo"
    first = make_file("a.fits")
    ingest(root, [first], CAMERA)
    with pytest.raises(IngestError, match="in the repository already"):
        ingest(root, [first], CAMERA)
    assert ingest(root, [first], CAMERA, skip_known=True).images == 0


@pytest.mark.req("PIPE-4")
def test_two_exposures_with_one_number_are_refused(tmp_path: Path, make_file: Maker) -> None:
    camera = CAMERA.model_copy(
        update={
            "header": CAMERA.header.model_copy(
                update={"exposure": instruments.Keyword(keyword="EXPNUM")}
            )
        }
    )
    first = make_file("a.fits", EXPNUM=5)
    other = make_file("b.fits", detector=1, EXPNUM=5, DATE_OBS="2026-03-02T02:00:00")
    with pytest.raises(IngestError, match="two exposures have the same number"):
        ingest(tmp_path / "repo", [first, other], camera)


@pytest.mark.req("PIPE-9")
def test_vista_exposures_are_ingested_with_pixels_and_header_as_they_are(
    vista_root: Path, vista_files: list[Path]
) -> None:
    butler = repository.open_repository(vista_root)
    refs = sorted(butler.query_datasets("raw", collections="VIRCAM/raw"))
    keys = [(r.dataId["exposure"], r.dataId["detector"]) for r in refs]
    assert keys == [(11981, 13), (32369, 13)]
    image = Exposure.from_image(butler.get(refs[0]))
    with fits.open(vista_files[0]) as hdus:
        np.testing.assert_array_equal(image.array, hdus[1].data)
        header = hdus[1].header
    assert image.info.zero_point == header["MAGZPT"] == 30
    assert image.info.gain == pytest.approx(header["GAIN"])
    assert image.info.seeing == pytest.approx(header["SEEING"] * 0.3413)
    assert image.info.band == "H"
    begin = Time(header["MJD-OBS"], format="mjd", scale="utc").tai.mjd
    assert image.info.mjd_mid == pytest.approx(begin + 5 / 86400, abs=1e-8)

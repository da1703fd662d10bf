"""Cutouts as jobs: SODA's own, and stamps of whole tables."""

from __future__ import annotations

import io
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from services.tests.images.pictures import FIELDS
from services.tests.serving import Served
from tests.support.waiting import eventually

BY_NAME = {field.name: field for field in FIELDS}


def done(served: Served, path: str, phase: str = "COMPLETED", **sent: Any) -> str:
    """Run a job, and give its address."""
    answer = httpx.post(
        f"{served.url}/api/cutout/{path}", params={"PHASE": "RUN"}, follow_redirects=False, **sent
    )
    assert answer.status_code == 303, answer.text
    job = answer.headers["Location"]
    finished = {"COMPLETED", "ERROR", "ABORTED"}
    eventually(lambda: httpx.get(f"{job}/phase").text in finished)
    assert httpx.get(f"{job}/phase").text == phase, httpx.get(f"{job}/error").text
    return job


def stamps(job: str) -> pa.Table:
    return pq.read_table(io.BytesIO(httpx.get(f"{job}/results/result").content))


def table(**columns: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


@pytest.mark.req("API-BULK-1")
def test_each_position_has_its_stamps_in_each_band(developed: Served) -> None:
    middle = BY_NAME["middle"]
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-0.4, 299.4, 40), rng.uniform(-0.4, 199.4, 40)
    ra, dec = middle.wcs.pixel_to_world_values(x, y)
    ra[7] = 150.0  # no image is there
    job = done(
        developed,
        "bulk",
        data={"UPLOAD": "mine,param:file", "SIZE": "11", "BANDS": "r,g"},
        files={"file": ("mine.parquet", table(ra=ra, dec=dec))},
    )
    found = stamps(job).to_pylist()
    assert {(s["row"], s["band"]) for s in found} == {
        (row, band) for row in range(40) if row != 7 for band in "rg"
    }
    for stamp in found:
        field = middle if stamp["band"] == "r" else BY_NAME["green"]
        assert stamp["obs_publisher_did"] == field.id
        padded = np.pad(field.planes["IMAGE"], 20, constant_values=np.nan)
        x0, y0 = stamp["x0"] + 20, stamp["y0"] + 20
        np.testing.assert_array_equal(
            np.reshape(stamp["pixels"], (11, 11)), padded[y0 : y0 + 11, x0 : x0 + 11]
        )
        assert stamp["x0"] + 5 == np.floor(x[stamp["row"]] + 0.5)
        assert stamp["y0"] + 5 == np.floor(y[stamp["row"]] + 0.5)


@pytest.mark.req("API-BULK-1")
def test_a_query_gives_the_positions(developed: Served) -> None:
    query = "SELECT s_ra, s_dec FROM ivoa.ObsCore WHERE obs_id IN ('wrap', 'pole')"
    found = stamps(done(developed, "bulk", data={"QUERY": query}))
    assert sorted(found["obs_publisher_did"].to_pylist()) == sorted(
        BY_NAME[name].id for name in ("wrap", "pole")
    )
    assert len(found["pixels"][0]) == 51 * 51


@pytest.mark.req("API-BULK-2")
@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "Say which positions"),
        ({"QUERY": "SELECT 1 AS a FROM ivoa.ObsCore", "SIZE": "0"}, "SIZE=0"),
        ({"QUERY": "SELECT 1 AS a FROM ivoa.ObsCore", "SIZE": "9999"}, "SIZE=9999"),
    ],
    ids=["nothing", "small", "large"],
)
def test_what_cannot_be_a_job_is_refused(
    developed: Served, data: dict[str, str], said: str
) -> None:
    answer = httpx.post(f"{developed.url}/api/cutout/bulk", data=data)
    assert answer.status_code == 400
    assert said in answer.text


@pytest.mark.req("API-BULK-2")
@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"QUERY": "SELECT obs_id FROM ivoa.ObsCore"}, "positions are ra and dec"),
        ({"QUERY": "SELECT s_ra, s_dec FROM ivoa.ObsCore", "BANDS": "z"}, "no such images"),
        ({"QUERY": "SELECT s_ra, s_dec FROM ivoa.ObsCore", "DATASET_TYPE": "raw"}, "no such"),
        ({"QUERY": "SELECT nothing FROM ivoa.ObsCore"}, "nothing"),
    ],
    ids=["columns", "band", "hidden", "query"],
)
def test_what_fails_says_why(developed: Served, data: dict[str, str], said: str) -> None:
    job = done(developed, "bulk", "ERROR", data=data)
    assert said in httpx.get(f"{job}/error").text


@pytest.mark.req("API-BULK-3")
def test_soda_runs_as_a_job(developed: Served) -> None:
    middle, none = BY_NAME["middle"], "ivo://cerro/pix?repo=pix&id=none"
    data = {"ID": [middle.id, none], "CIRCLE": "60 -30 0.001", "CUTOUTDETAIL": "MaskedImage"}
    job = done(developed, "async", data=data)
    with fits.open(io.BytesIO(httpx.get(f"{job}/results/result").content)) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "IMAGE", "MASK", "VARIANCE"]
    assert none in httpx.get(f"{job}/results/faults").text
    failed = done(developed, "async", "ERROR", data={"ID": none})
    assert "no image" in httpx.get(f"{failed}/error").text

"""The clients that people use: pyvo, astroquery, STILTS."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import pyvo
import requests
from astropy.io.votable import parse
from astropy.table import Table
from astroquery.utils.tap import TapPlus
from pyvo.dal.exceptions import DALQueryError

from tests.conformance.conftest import Archive, needs_stilts, stilts
from tests.conformance.survey import FIELD, ROWS

OBJECTS = "SELECT objectId, coord_ra, coord_dec FROM dp1.Object ORDER BY objectId"


@pytest.fixture(scope="module")
def service(archive: Archive) -> pyvo.dal.TAPService:
    return pyvo.dal.TAPService(archive.tap)


@pytest.fixture(scope="module")
def objects(service: pyvo.dal.TAPService) -> Table:
    return service.run_sync(OBJECTS).to_table()


@pytest.fixture(scope="module")
def own(objects: Table) -> Table:
    """Make the table of someone who has positions of their own."""
    some = objects[np.arange(0, ROWS, 10)]
    return Table({"name": [f"é{i}" for i in some["objectId"]], "ra": some["coord_ra"],
                  "dec": some["coord_dec"], "n": some["objectId"]})  # fmt: skip


MATCH = (
    "SELECT u.name, u.n, o.objectId FROM TAP_UPLOAD.mine AS u JOIN dp1.Object AS o "
    "ON DISTANCE(POINT('ICRS', u.ra, u.dec), POINT('ICRS', o.coord_ra, o.coord_dec)) < 0.0002"
)


# ---- pyvo ----------------------------------------------------------------------------------------


@pytest.mark.req("VO-3")
def test_pyvo_asks_at_once(service: pyvo.dal.TAPService) -> None:
    found = service.run_sync(
        "SELECT TOP 5 objectId, r_psfFlux, scisql_nanojanskyToAbMag(r_psfFlux) AS mag "
        "FROM dp1.Object WHERE CONTAINS(POINT('ICRS', coord_ra, coord_dec), "
        f"CIRCLE('ICRS', {FIELD[0]}, {FIELD[1]}, 1)) = 1"
    )
    assert len(found) == 5
    assert str(found.to_table()["r_psfFlux"].unit) == "nJy"
    assert str(found.to_table()["mag"].unit) == "mag"
    cut = service.run_sync(OBJECTS, maxrec=7)
    assert len(cut) == 7
    assert cut.status[0] == "OVERFLOW"
    with pytest.raises(DALQueryError, match="Did you mean"):
        service.run_sync("SELECT objectIt FROM dp1.Object")


@pytest.mark.req("VO-3")
def test_pyvo_runs_jobs(service: pyvo.dal.TAPService) -> None:
    assert len(service.run_async(OBJECTS)) == ROWS
    job = service.submit_job(OBJECTS, maxrec=10)
    try:
        assert job.phase == "PENDING"
        job.execution_duration = 60
        assert float(job.execution_duration.sec) == 60
        job.run().wait(timeout=60)
        assert job.phase == "COMPLETED"
        assert len(job.fetch_result()) == 10
        assert [result.id_ for result in job.results] == ["result"]
    finally:
        job.delete()
    failed = service.submit_job("SELECT nothing FROM dp1.Object")
    try:
        failed.run().wait(phases=["ERROR"], timeout=60)
        with pytest.raises(DALQueryError, match="no column nothing"):
            failed.raise_if_error()
    finally:
        failed.delete()


@pytest.mark.req("VO-3")
@pytest.mark.parametrize("run", ["run_sync", "run_async"])
def test_pyvo_uploads(service: pyvo.dal.TAPService, own: Table, run: str) -> None:
    found = getattr(service, run)(MATCH, uploads={"mine": own}).to_table()
    assert sorted(found["n"]) == sorted(own["n"])
    assert list(found["n"]) == list(found["objectId"])
    assert sorted(map(str, found["name"])) == sorted(own["name"])


@pytest.mark.req("VO-3")
def test_pyvo_lists_tables_and_examples(service: pyvo.dal.TAPService) -> None:
    tables = service.tables
    assert "dp1.Object" in tables
    assert len(tables["dp1.Object"].columns) == 1296
    keys = tables["dp1.ForcedSource"].foreignkeys
    assert {key.targettable for key in keys} >= {"dp1.Object"}
    examples = service.examples
    assert len(examples) >= 4
    for example in examples:
        # The tables are made up, each for itself: no source lies on an object.
        assert len(example.execute()) > 0 or "AS matched" in example["QUERY"]
    assert service.available
    assert service.hardlimit >= service.maxrec > 0
    methods = {method.ivo_id.split("#")[1] for method in service.upload_methods}
    assert {"upload-inline", "upload-http"} <= methods


@pytest.mark.req("VO-3")
@pytest.mark.parametrize("way", ["Bearer", "Basic", "AuthSession"])
def test_pyvo_shows_a_token(archive: Archive, way: str) -> None:
    session = requests.Session()
    if way == "Bearer":
        session.headers["Authorization"] = f"Bearer {archive.token}"
    elif way == "Basic":
        session.auth = ("x-oauth-basic", archive.token)
    else:
        session = pyvo.auth.AuthSession()
        session.credentials.set_password("anybody", archive.token)
    service = pyvo.dal.TAPService(archive.tap, session=session)
    assert len(service.run_sync("SELECT TOP 3 * FROM dp1.CcdVisit")) == 3
    with pytest.raises(DALQueryError, match=r"no table dp1\.CcdVisit"):
        pyvo.dal.TAPService(archive.tap).run_sync("SELECT TOP 3 * FROM dp1.CcdVisit")


@pytest.mark.req("VO-3")
def test_pyvo_searches_cones(archive: Archive) -> None:
    found = pyvo.dal.SCSService(f"{archive.url}/api/cone/dp1/Object").search(
        pos=FIELD, radius=0.3, verbosity=1
    )
    assert 0 < len(found) < ROWS
    assert found[0].id is not None
    assert found[0].pos is not None


# ---- astroquery ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plus(archive: Archive) -> TapPlus:
    return TapPlus(url=archive.tap)


@pytest.mark.req("VO-3")
def test_astroquery_asks_at_once(plus: TapPlus) -> None:
    job = plus.launch_job(OBJECTS)
    assert len(job.get_results()) == ROWS
    with pytest.raises(requests.HTTPError, match="no column nothing"):
        plus.launch_job("SELECT nothing FROM dp1.Object")


@pytest.mark.req("VO-3")
def test_astroquery_runs_jobs(plus: TapPlus) -> None:
    job = plus.launch_job_async(OBJECTS)
    found = job.get_results()
    assert job.get_phase() == "COMPLETED"
    assert list(found["objectId"]) == list(range(ROWS))


@pytest.mark.req("VO-3")
@pytest.mark.parametrize("launch", ["launch_job", "launch_job_async"])
def test_astroquery_uploads(plus: TapPlus, own: Table, tmp_path: Path, launch: str) -> None:
    file = tmp_path / "own.vot"
    own.write(file, format="votable")
    job = getattr(plus, launch)(MATCH, upload_resource=str(file), upload_table_name="mine")
    assert sorted(job.get_results()["n"]) == sorted(own["n"])


@pytest.mark.req("VO-3")
def test_astroquery_lists_tables(plus: TapPlus) -> None:
    tables = {table.get_qualified_name(): table for table in plus.load_tables()}
    name = next(name for name in tables if name.endswith("dp1.Object"))
    assert len(tables[name].columns) == 1296
    table = plus.load_table("dp1.Object")
    assert len(table.columns) == 1296
    assert "coord_ra" in {column.name for column in table.columns}


# ---- STILTS --------------------------------------------------------------------------------------


def polling(sync: str) -> tuple[str, ...]:
    """Let STILTS look for the end of a job more often than it would."""
    return () if sync == "true" else ("poll=200",)


@pytest.mark.req("VO-3")
@needs_stilts
@pytest.mark.parametrize("sync", ["true", "false"])
def test_stilts_queries(archive: Archive, sync: str) -> None:
    out = stilts("tapquery", f"tapurl={archive.tap}", f"sync={sync}", f"adql={OBJECTS}",
                 "ofmt=csv", *polling(sync))  # fmt: skip
    assert len(out.split()) == ROWS + 1


@pytest.mark.req("VO-3")
@needs_stilts
@pytest.mark.parametrize("sync", ["true", "false"])
def test_stilts_uploads(archive: Archive, own: Table, tmp_path: Path, sync: str) -> None:
    own.write(tmp_path / "own.vot", format="votable")
    file = tmp_path / "own.vot"
    out = stilts("tapquery", f"tapurl={archive.tap}", f"sync={sync}", f"adql={MATCH}",
                 *polling(sync), "nupload=1", f"upload1={file}", "upname1=mine",
                 "ofmt=csv")  # fmt: skip
    assert len(out.split()) == len(own) + 1


@pytest.mark.req("VO-3")
@needs_stilts
def test_stilts_matches_positions(archive: Archive, own: Table, tmp_path: Path) -> None:
    own.write(tmp_path / "own.vot", format="votable")
    out = tmp_path / "matched.vot"
    stilts("tapskymatch", f"in={tmp_path / 'own.vot'}", "inlon=ra", "inlat=dec",
           f"tapurl={archive.tap}", "taptable=dp1.Object", "taplon=coord_ra", "taplat=coord_dec",
           "tapcols=objectId", "sr=0.0002", "find=all", "sync=false", f"out={out}")  # fmt: skip
    found = parse(io.BytesIO(out.read_bytes())).get_first_table().to_table()
    assert sorted(found["n"]) == sorted(own["n"])
    assert list(found["n"]) == list(found["objectId"])


@pytest.mark.req("VO-3")
@needs_stilts
def test_stilts_searches_cones(archive: Archive, own: Table, tmp_path: Path) -> None:
    own[:3].write(tmp_path / "own.vot", format="votable")
    out = stilts("coneskymatch", "servicetype=cone", f"in={tmp_path / 'own.vot'}", "ra=ra",
                 "dec=dec", "sr=0.0002", "verb=1",
                 f"serviceurl={archive.url}/api/cone/dp1/Object", "ofmt=csv")  # fmt: skip
    assert len(out.split()) == 4

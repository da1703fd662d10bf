"""Every XML document by the IVOA's schemas, and every VOTable by votlint."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from lxml import etree

from cerro_services.formats import FORMATS
from tests.conformance.conftest import Archive, needs_stilts, stilts
from tests.conformance.schemas import Schemas

QUERY = "SELECT TOP 20 * FROM dp1.Object"
HERE = {"RA": "53.13", "DEC": "-28.1", "SR": "0.2"}
AUTHORITY = "ivo://x-unregistred"
VOTABLES = [form.name for form in FORMATS if "votable" in form.mime]


@pytest.fixture(scope="module")
def client(archive: Archive) -> httpx.Client:
    return httpx.Client(base_url=f"{archive.url}/api/", timeout=60)


@pytest.mark.req("VO-2")
@pytest.mark.parametrize(
    "path",
    [
        "tap/capabilities",
        "tap/availability",
        "tap/tables",
        "tap/tables?detail=min",
        "tap/tables/dp1.Object",
        "tap/tables/dp1",
        "tap/async",
        "cone/dp1/Object/capabilities",
        "cone/dp1/Object/availability",
        "cone/dp1/Object/tables",
        "oai?verb=Identify",
        "oai?verb=ListMetadataFormats",
        "oai?verb=ListSets",
        "oai?verb=ListIdentifiers&metadataPrefix=ivo_vor",
        "oai?verb=ListRecords&metadataPrefix=ivo_vor",
        "oai?verb=ListRecords&metadataPrefix=oai_dc",
        f"oai?verb=GetRecord&metadataPrefix=ivo_vor&identifier={AUTHORITY}/tap",
        "oai?verb=Nonsense",
        "oai?verb=ListRecords&metadataPrefix=marc",
    ],
)
def test_documents_are_valid(client: httpx.Client, schemas: Schemas, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert schemas.complaints(answer.content) == []


@pytest.mark.req("VO-2")
def test_what_a_token_shows_is_valid(
    archive: Archive, client: httpx.Client, schemas: Schemas
) -> None:
    headers = {"Authorization": f"Bearer {archive.token}"}
    tables = client.get("tap/tables", headers=headers).content
    assert b"dp1.CcdVisit" in tables
    assert schemas.complaints(tables) == []
    assert schemas.complaints(client.get("tap/capabilities", headers=headers).content) == []


@pytest.mark.req("VO-2")
def test_a_job_is_valid_from_its_making_to_its_end(client: httpx.Client, schemas: Schemas) -> None:
    form = {"QUERY": "SELECT objectId FROM dp1.Object", "LANG": "ADQL", "RUNID": "a & <b>"}
    address = client.post("tap/async", data=form).headers["location"]
    assert schemas.complaints(client.get(address).content) == []
    client.post(f"{address}/phase", data={"PHASE": "RUN"})
    document = client.get(address, params={"WAIT": 60}).content
    for _ in range(20):
        if etree.fromstring(document).findtext("{*}phase") in {"COMPLETED", "ERROR"}:
            break
        document = client.get(address, params={"WAIT": 60}).content
    assert etree.fromstring(document).findtext("{*}phase") == "COMPLETED"
    assert schemas.complaints(document) == []
    assert schemas.complaints(client.get(f"{address}/parameters").content) == []
    assert schemas.complaints(client.get(f"{address}/results").content) == []
    assert schemas.complaints(client.get("tap/async").content) == []


@pytest.mark.req("VO-2")
@needs_stilts
@pytest.mark.parametrize("form", VOTABLES)
@pytest.mark.parametrize("path", ["tap/sync", "cone/dp1/Object"])
def test_votlint_finds_nothing(
    client: httpx.Client, schemas: Schemas, tmp_path: Path, form: str, path: str
) -> None:
    asked = {"QUERY": QUERY, "LANG": "ADQL", "MAXREC": "5"} if "tap" in path else HERE
    answer = client.post(path, data={**asked, "RESPONSEFORMAT": form})
    assert answer.status_code == 200, answer.text
    assert schemas.complaints(answer.content) == []
    file = tmp_path / "result.vot"
    file.write_bytes(answer.content)
    said = stilts("votlint", f"votable={file}")
    # Cone search names its main columns by UCD1 (SCS 1.03 §2.2), which votlint knows as well.
    assert said == ""


@pytest.mark.req("VO-2")
@needs_stilts
@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("tap/sync", {"QUERY": "SELECT nothing", "LANG": "ADQL"}),
        ("tap/sync", {}),
        ("cone/dp1/Object", {"RA": "far"}),
    ],
)
def test_votlint_finds_nothing_in_errors(
    client: httpx.Client, schemas: Schemas, tmp_path: Path, path: str, asked: dict[str, str]
) -> None:
    answer = client.post(path, data=asked)
    assert answer.status_code == 400
    assert schemas.complaints(answer.content) == []
    file = tmp_path / "error.vot"
    file.write_bytes(answer.content)
    assert stilts("votlint", f"votable={file}") == ""

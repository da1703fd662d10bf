"""Results tell what can be done with their rows: service descriptors of DataLink 1.1 §4."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
import pyvo
import yaml
from astropy.io.votable import parse
from pyarrow import parquet

from cerro_services.release import ReleaseStore
from cerro_services.release.access import Access
from cerro_services.release.description import Description
from cerro_services.release.errors import ReleaseError
from cerro_services.release.progress import Progress
from cerro_services.release.publish import check
from cerro_services.release.services import from_document, to_document

from .serving import Served
from .sky import SERVICES

ALL = "SELECT TOP 3 kind, objectId, ra, dec FROM sky.Object"


def found(served: Served, query: str, form: str = "votable") -> dict[str, object]:
    """Give the service descriptors of a result by name."""
    answer = httpx.post(f"{served.tap}/sync", data={"QUERY": query, "RESPONSEFORMAT": form})
    assert answer.status_code == 200, answer.text
    document = answer.content
    if form == "parquet":
        metadata = parquet.read_metadata(io.BytesIO(document)).metadata
        document = metadata[b"IVOA.VOTable-Parquet.content"]
    return {r.name: r for r in parse(io.BytesIO(document)).resources if r.type == "meta"}


@pytest.mark.req("FMT-6")
def test_pyvo_finds_the_services_of_a_result(served: Served) -> None:
    results = pyvo.dal.TAPService(served.tap).search(ALL)
    assert [service.name for service in results.iter_adhocservices()] == ["cutout", "links"]
    cutout = results.get_adhocservice_by_ivoid("ivo://ivoa.net/std/SODA#sync-1.0")
    params = {p.name: p for p in cutout.params}
    assert params["accessURL"].value == f"{served.url}/api/cutout"
    ident, position, radius = cutout.groups[0].entries
    field = results.votable.get_field_by_id(ident.ref)
    assert (field.name, ident.datatype, ident.ucd) == ("objectId", "long", "meta.id;meta.main")
    assert str(position.unit) == "deg"
    assert (radius.value, str(radius.unit), radius.description) == (0.01, "deg", "Half")
    assert results.get_adhocservice_by_id("links") is not None


@pytest.mark.req("FMT-6")
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("SELECT TOP 1 * FROM sky.Object", {"cutout", "links"}),
        ("SELECT TOP 1 o.objectId AS a, o.ra AS b FROM sky.Object AS o", {"cutout"}),
        ("SELECT TOP 1 a, ra FROM (SELECT objectId AS a, ra FROM sky.Object) AS t", {"cutout"}),
        ("WITH t AS (SELECT kind AS k FROM sky.Object) SELECT TOP 1 k FROM t", {"links"}),
        ("SELECT TOP 1 objectId, ra + 1 AS ra FROM sky.Object", set()),
        ("SELECT TOP 1 objectId FROM sky.Object", set()),
        ("SELECT COUNT(*) AS kind FROM sky.Object", set()),
        ("SELECT TOP 1 objectId, ra FROM sky.Source", set()),
    ],
)
def test_a_service_is_told_where_all_its_columns_are_there_as_they_are(
    served: Served, query: str, names: set[str]
) -> None:
    assert found(served, query).keys() == names


@pytest.mark.req("FMT-6")
@pytest.mark.parametrize("form", ["votable/td", "votable/bin", "parquet"])
def test_every_votable_tells_of_them_also_that_within_parquet(served: Served, form: str) -> None:
    assert found(served, ALL, form).keys() == {"cutout", "links"}


@pytest.mark.req("FMT-6", "FMT-7")
@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed")
@pytest.mark.parametrize("form", ["votable", "votable/td", "votable/bin"])
def test_votlint_finds_nothing(served: Served, form: str, tmp_path: Path) -> None:
    answer = httpx.post(f"{served.tap}/sync", data={"QUERY": ALL, "RESPONSEFORMAT": form})
    (tmp_path / "r.vot").write_bytes(answer.content)
    lint = subprocess.run(
        ["stilts", "votlint", str(tmp_path / "r.vot")], capture_output=True, text=True, check=False
    )
    assert lint.stdout + lint.stderr == ""


@pytest.mark.req("FMT-6")
def test_release_yaml_keeps_them() -> None:
    services = from_document(yaml.safe_load(SERVICES))
    assert from_document(to_document(services)) == services
    about = Description("sky", "The sky", Access(), services=services)
    assert from_document(yaml.safe_load(about.to_yaml())["services"]) == services


GOOD = {
    "name": "s",
    "table": "Object",
    "accessURL": "{base}/x",
    "inputs": [{"name": "ID", "column": "objectId"}],
}


@pytest.mark.req("FMT-6")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"table": None}, "services, entry 1: table must be a text"),
        ({"accesURL": "x"}, "unknown entry accesURL"),
        ({"accessURL": "ftp://x/"}, "accessURL must begin with https://"),
        ({"accessURL": "{base}/{x}"}, "accessURL must begin with https://"),
        ({"inputs": []}, "at least one"),
        ({"inputs": [{"name": "ID", "value": 1}]}, "no input is a column"),
        ({"inputs": [{"name": "ID", "value": 1, "column": "x"}]}, "a column and a value"),
        ({"inputs": [{"name": "R", "column": "x", "datatype": "real"}]}, "real is no datatype"),
        ({"inputs": [{"column": "x"}]}, "input 1: name is missing"),
    ],
)
def test_a_service_that_is_not_written_right_is_refused(
    change: dict[str, object], says: str
) -> None:
    with pytest.raises(ReleaseError, match=says.replace("{", r"\{")):
        from_document([GOOD | change])
    with pytest.raises(ReleaseError, match="the name s stands twice"):
        from_document([GOOD, GOOD])


@pytest.mark.req("FMT-6")
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("table: Object", "table: Objekt", "there is no table Objekt"),
        ("column: objectId", "column: objectID", "takes the column objectID"),
    ],
)
def test_check_refuses_a_service_of_what_is_not_there(
    store: ReleaseStore, tmp_path: Path, old: str, new: str, says: str
) -> None:
    folder = tmp_path / "1"
    shutil.copytree(store.open("sky").root, folder)
    described = (folder / "release.yaml").read_text()
    assert old in described
    (folder / "release.yaml").write_text(described.replace(old, new, 1))
    assert says in check(folder, "sky", Progress()).problems[0]

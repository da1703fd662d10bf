"""Simple Cone Search of each table (SCS 1.03, with DALI's parameters)."""

from __future__ import annotations

import io
import math

import astropy.units as u
import httpx
import numpy as np
import pyarrow as pa
import pytest
import pyvo
from astropy.coordinates import SkyCoord
from astropy.io.votable import parse
from astroquery.vo_conesearch import conesearch
from lxml import etree
from pyvo.dal.exceptions import DALQueryError

from .serving import Served


@pytest.fixture
def url(served: Served) -> str:
    return f"{served.url}/api/cone/sky/Object"


def inside(table: pa.Table, ra: float, dec: float, radius: float) -> set[str]:
    """Find the rows of a cone by brute force."""
    centre = SkyCoord(ra, dec, unit="deg")
    places = SkyCoord(table["ra"].to_numpy(), table["dec"].to_numpy(), unit="deg")
    near = places.separation(centre) <= radius * u.deg
    return {str(value) for value in table["objectId"].to_numpy()[near]}


@pytest.mark.req("VO-9")
@pytest.mark.parametrize(
    ("ra", "dec", "radius"),
    [(0, 0, 0.5), (359.9, 0.1, 1), (123, 89.8, 1), (10, -90, 0.7), (180, 0, 90), (0, 0, 180)],
)
def test_pyvo_finds_the_rows_of_a_cone(
    url: str, rows: dict[str, pa.Table], ra: float, dec: float, radius: float
) -> None:
    found = pyvo.dal.SCSService(url).search(pos=(ra, dec), radius=radius)
    assert {record.id for record in found} == inside(rows["Object"], ra, dec, radius)
    assert len(found) > 0


@pytest.mark.req("VO-9")
def test_the_main_columns_are_named_as_the_standard_has_them(url: str) -> None:
    answer = httpx.get(f"{url}?", params={"RA": 0, "DEC": 0, "SR": 0.3, "VERB": 1})
    fields = parse(io.BytesIO(answer.content)).get_first_table().fields
    assert [(f.ucd, f.datatype) for f in fields] == [
        ("ID_MAIN", "char"),
        ("POS_EQ_RA_MAIN", "double"),
        ("POS_EQ_DEC_MAIN", "double"),
    ]


@pytest.mark.req("VO-9")
def test_verb_asks_for_few_usual_or_all_columns(url: str) -> None:
    def names(verb: str | None) -> list[str]:
        parameters = {"ra": "0", "dec": "0", "sr": "0"} | ({"verb": verb} if verb else {})
        table = parse(io.BytesIO(httpx.get(url, params=parameters).content)).get_first_table()
        assert len(table.array) == 0, "a radius of 0 asks for the columns only"
        return [field.name for field in table.fields]

    assert names("1") == ["objectId", "ra", "dec"]
    assert names(None) == names("2")
    assert names("3") == [
        "objectId", "ra", "dec", "flux", "n", "small", "kind", "good", "seen", "size",
    ]  # fmt: skip


@pytest.mark.req("VO-9")
@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"DEC": "0", "SR": "1"}, "RA is missing"),
        ({"RA": "x", "DEC": "0", "SR": "1"}, "RA must be a number of degrees from 0 to 360"),
        ({"RA": "nan", "DEC": "0", "SR": "1"}, "RA must be a number"),
        ({"RA": "1e999", "DEC": "0", "SR": "1"}, "RA must be a number"),
        ({"RA": "0) OR 1=1 --", "DEC": "0", "SR": "1"}, "RA must be a number"),
        ({"RA": "0", "DEC": "91", "SR": "1"}, "DEC must be a number of degrees from -90 to 90"),
        ({"RA": "0", "DEC": "0", "SR": "-1"}, "SR must be a number of degrees from 0 to 180"),
        ({"RA": "0", "DEC": "0", "SR": "1", "VERB": "4"}, "VERB must be 1, 2 or 3"),
        ({"RA": "0", "DEC": "0", "SR": "1", "MAXREC": "-3"}, "MAXREC must be a whole number"),
        ({"RA": "0", "DEC": "0", "SR": "1", "RESPONSEFORMAT": "gif"}, "'gif' is not offered"),
    ],
)
def test_an_error_is_told_as_cone_search_has_it(
    url: str, parameters: dict[str, str], says: str
) -> None:
    answer = httpx.get(url, params=parameters)
    assert answer.status_code == 400
    infos = {info.name: info for info in parse(io.BytesIO(answer.content)).resources[0].infos}
    assert says in infos["Error"].value
    assert infos["QUERY_STATUS"].value == "ERROR"


@pytest.mark.req("VO-9")
def test_pyvo_and_astroquery_understand(url: str, rows: dict[str, pa.Table]) -> None:
    with pytest.raises(DALQueryError, match="SR must be a number"):
        pyvo.dal.SCSService(url).search(pos=(0, 0), radius=181)
    found = conesearch.conesearch(
        SkyCoord(0, 0, unit="deg"), 0.5 * u.deg, catalog_db=f"{url}?", verb=1, verbose=False
    )
    assert set(found["objectId"]) == inside(rows["Object"], 0, 0, 0.5)


@pytest.mark.req("VO-9")
def test_truncation_is_marked_and_other_formats_are_given(url: str) -> None:
    parameters = {"RA": "0", "DEC": "0", "SR": "5", "MAXREC": "3"}
    answer = httpx.post(url, data=parameters)
    statuses = [i.value for i in parse(io.BytesIO(answer.content)).resources[0].infos]
    assert "OVERFLOW" in statuses
    csv = httpx.get(url, params={**parameters, "RESPONSEFORMAT": "csv"})
    assert csv.headers["content-type"].startswith("text/csv")
    assert csv.headers["x-cerro-overflow"] == "true"
    assert len(csv.text.split()) == 4


@pytest.mark.req("VO-9", "ACC-3")
def test_the_list_names_the_tables_with_positions_that_one_may_read(served: Served) -> None:
    listed = httpx.get(f"{served.url}/api/cone").json()
    assert [entry["table"] for entry in listed] == ["sky.Object", "sky.Source"]
    assert listed == httpx.get(f"{served.url}/api/cone/sky").json()
    assert listed[0]["url"] == f"{served.url}/api/cone/sky/Object"
    for path in ("closed", "closed/T", "sky/Visit", "sky/Secret", "nothing/Object"):
        where = {"RA": "0", "DEC": "0", "SR": "1"}
        assert httpx.get(f"{served.url}/api/cone/{path}", params=where).status_code == 404


@pytest.mark.req("VO-9")
def test_its_capabilities_hold_a_search_that_finds_something(url: str) -> None:
    document = etree.fromstring(httpx.get(f"{url}/capabilities").content)
    capability = document.find("capability[@standardID='ivo://ivoa.net/std/ConeSearch']")
    assert capability is not None
    assert capability.findtext("interface/accessURL") == f"{url}?"
    ra, dec, radius = (float(e.text or "") for e in capability.iterfind("testQuery/*"))
    assert len(pyvo.dal.SCSService(url).search(pos=(ra, dec), radius=radius)) > 0
    assert httpx.get(f"{url}/availability").status_code == 200
    tables = etree.fromstring(httpx.get(f"{url}/tables").content)
    assert [name.text for name in tables.iterfind("schema/table/name")] == ["sky.Object"]


@pytest.mark.req("VO-9")
def test_rows_are_those_of_the_table(url: str, rows: dict[str, pa.Table]) -> None:
    found = pyvo.dal.SCSService(url).search(pos=(0, 0), radius=0.4, verbosity=3).to_table()
    by_id = {str(i): n for n, i in enumerate(rows["Object"]["objectId"].to_pylist())}
    index = [by_id[i] for i in found["objectId"]]
    expected = rows["Object"].take(index)
    assert list(found["ra"]) == expected["ra"].to_pylist()
    flux = np.ma.filled(found["flux"], math.nan)
    assert np.allclose(flux, expected["flux"].to_numpy(), equal_nan=True)

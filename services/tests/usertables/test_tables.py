"""Tables that users keep, over HTTP: made, filled and dropped as YouCat's clients do it."""

from __future__ import annotations

import io

import httpx
import numpy as np
import pyarrow as pa
import pytest
import pyvo
from pyarrow import parquet
from pyvo.utils.prototype import activate_features
from services.tests.serving import Served
from services.tests.usertables.calls import CSV, ask, finished, put

VOSI = b"""<?xml version="1.0"?>
<vosi:table xmlns:vosi="http://www.ivoa.net/xml/VOSITables/v1.0"
    xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" type="output">
  <name>mydb.stars</name>
  <description>Stars of mine</description>
  <column><name>id</name><description>Number</description><ucd>meta.id</ucd>
    <dataType xsi:type="vs:VOTableType">long</dataType></column>
  <column><name>ra</name><unit>deg</unit>
    <dataType xsi:type="vs:VOTableType">double</dataType></column>
  <column><name>dec</name><unit>deg</unit>
    <dataType xsi:type="vs:VOTableType">double</dataType></column>
  <column><name>word</name>
    <dataType xsi:type="vs:VOTableType" arraysize="16*">char</dataType></column>
</vosi:table>
"""


@pytest.mark.req("MYDB-1")
def test_a_table_is_kept_and_joined_with_a_release_and_an_upload(client: httpx.Client) -> None:
    put(client, "mydb.stars", CSV)
    assert ask(client, "SELECT id, word FROM mydb.stars ORDER BY id") == [
        "1,one", "2,two", "3,three",
    ]  # fmt: skip
    joined = client.post(
        "sync",
        data={
            "QUERY": "SELECT COUNT(*) FROM mydb.stars AS m JOIN tap_upload.u AS u ON m.id = u.id "
            "JOIN sky.Object AS o ON DISTANCE(m.ra, m.dec, o.ra, o.dec) < 1",
            "UPLOAD": "u,param:u",
            "RESPONSEFORMAT": "csv",
        },
        files={"u": ("u.csv", b"id\n3\n", "text/csv")},
    )
    assert int(joined.text.split()[1]) > 10


@pytest.mark.req("MYDB-1")
@pytest.mark.parametrize("count", [1000, 120_000])
def test_every_row_of_a_table_comes_back(client: httpx.Client, count: int) -> None:
    random = np.random.default_rng(1)
    table = pa.table(
        {
            "id": pa.array(np.arange(count), pa.int32()),
            "ra": random.uniform(0, 360, count),
            "dec": random.uniform(-90, 90, count),
            "text": pa.array([None if i % 3 == 0 else f"é{i}" for i in range(count)]),
            "pair": pa.array(random.uniform(0, 1, (count, 2)).tolist(), pa.list_(pa.float64(), 2)),
        }
    )
    file = io.BytesIO()
    parquet.write_table(table, file)
    put(client, "mydb.stars", file.getvalue(), "application/vnd.apache.parquet")
    data = {"QUERY": "SELECT * FROM mydb.stars ORDER BY id", "RESPONSEFORMAT": "parquet"}
    back = parquet.read_table(io.BytesIO(client.post("sync", data=data).content))
    assert back.column_names == table.column_names
    for name in ("id", "ra", "dec", "text"):
        assert back[name].to_pylist() == table[name].to_pylist()
    assert back["pair"].to_pylist() == table["pair"].to_pylist()
    # A cone on a kept table finds what all rows have there.
    inside = ask(
        client,
        "SELECT COUNT(*) FROM mydb.stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(180, 20, 15))",
    )
    all_of_them = ask(client, "SELECT ra, dec FROM mydb.stars")
    positions = np.radians(np.array([row.split(",") for row in all_of_them], float))
    cosine = np.sin(positions[:, 1]) * np.sin(np.radians(20)) + np.cos(positions[:, 1]) * np.cos(
        np.radians(20)
    ) * np.cos(positions[:, 0] - np.pi)
    assert int(inside[0]) == int((cosine >= np.cos(np.radians(15))).sum())


@pytest.mark.req("MYDB-2")
def test_pyvo_makes_fills_and_removes_a_table(
    tap: pyvo.dal.TAPService, client: httpx.Client, worked: Served
) -> None:
    activate_features("cadc-tb-upload")
    tap.create_table("mydb.stars", io.BytesIO(VOSI), format="VOSITable")
    tap.load_table("mydb.stars", io.BytesIO(CSV.replace(b",", b"\t")), format="tsv")
    tap.load_table("mydb.stars", io.BytesIO(b"id,ra,dec,word\n4,1,1,four\n"), format="csv")
    tap.create_index("mydb.stars", "id", unique=True)
    found = tap.search("SELECT id, word FROM mydb.stars ORDER BY id").to_table()
    assert list(found["id"]) == [1, 2, 3, 4]
    assert found["id"].description == "Number"
    tap.remove_table("mydb.stars")
    assert client.get("tables/mydb.stars").status_code == 404


@pytest.mark.req("MYDB-2")
def test_a_table_is_described_as_vosi_has_it(client: httpx.Client) -> None:
    put(client, "mydb.stars", CSV)
    said = client.post("tables/mydb.stars", content=VOSI, headers={"Content-Type": "text/xml"})
    assert said.status_code == 204, said.text
    document = client.get("tables/mydb.stars")
    assert "Stars of mine" in document.text
    assert "<unit>deg</unit>" in document.text
    assert document.headers["x-vosi-owner"] == "grace"
    wrong = VOSI.replace(b">long<", b">double<")
    refused = client.post("tables/mydb.stars", content=wrong, headers={"Content-Type": "text/xml"})
    assert refused.status_code == 400
    assert "Column id is of type long" in refused.text


@pytest.mark.req("MYDB-3")
def test_a_result_is_kept_as_a_table(client: httpx.Client, worked: Served) -> None:
    query = "SELECT objectId, ra, dec, flux, seen FROM sky.Object WHERE n = 3"
    asked = {"QUERY": query, "DEST": "mydb.stars", "RESPONSEFORMAT": "csv"}
    job = client.post("async", data=asked)
    assert job.status_code == 303, job.text
    job_url = job.headers["location"]
    assert finished(client, job_url) == "COMPLETED", client.get(f"{job_url}/error").text
    count = ask(client, "SELECT COUNT(*) FROM sky.Object WHERE n = 3")
    assert ask(client, "SELECT COUNT(*) FROM mydb.stars") == count
    differing = (
        "SELECT COUNT(*) FROM mydb.stars AS m JOIN sky.Object AS o ON m.objectId = o.objectId "
        "WHERE m.ra <> o.ra OR m.flux <> o.flux OR m.seen <> o.seen"
    )
    assert ask(client, differing) == ["0"]
    columns = ask(
        client,
        "SELECT column_name, unit, ucd FROM tap_schema.columns WHERE table_name = 'mydb.stars'",
    )
    assert columns[1] == "ra,deg,pos.eq.ra;meta.main"
    assert "mydb.stars" in client.get(f"{job_url}/results/result").text
    again = client.post("async", data={"QUERY": query, "DEST": "mydb.stars"}).headers["location"]
    assert finished(client, again) == "ERROR"
    assert "already" in client.get(f"{again}/error").text


@pytest.mark.req("MYDB-3")
@pytest.mark.parametrize("name", ["sky.Object", "mydb.a b", "mydb.../../x", "user_ada.t"])
def test_a_result_is_kept_nowhere_else(client: httpx.Client, name: str) -> None:
    refused = client.post("async", data={"QUERY": "SELECT 1 AS a", "DEST": name})
    assert refused.status_code == 400


@pytest.mark.req("MYDB-7")
@pytest.mark.parametrize(
    "name", ["mydb.1a", "mydb.a-b", "mydb.a%20b", "mydb.%22;drop", "tap_schema.t", "sky.t"]
)
def test_names_that_are_none_are_refused(client: httpx.Client, name: str) -> None:
    assert client.put(f"tables/{name}", content=CSV).status_code in {400, 403, 404}


@pytest.mark.req("MYDB-7")
def test_rows_that_do_not_fit_change_nothing(client: httpx.Client) -> None:
    put(client, "mydb.mine", CSV)
    for wrong in (b"id,ra,dec,word\nx,1,2,3\n", b"id,ra\n1,2\n", b"id,ra,dec,word\n9,1,99,w\n"):
        refused = client.post("load/mydb.mine", content=wrong, headers={"Content-Type": "text/csv"})
        assert refused.status_code == 400
        assert refused.text.startswith("Table mine: ")
    assert ask(client, "SELECT COUNT(*) FROM mydb.mine") == ["3"]
    assert client.put("tables/mydb.MINE", content=CSV).status_code == 409


@pytest.mark.req("MYDB-8")
def test_an_index_that_cannot_be_is_an_error_of_its_job(
    client: httpx.Client, worked: Served
) -> None:
    put(client, "mydb.mine", b"id,x\n1,2\n1,3\n")
    for data, reason in (
        ({"TABLE": "mydb.mine", "INDEX": "id", "UNIQUE": "true"}, "id"),
        ({"TABLE": "mydb.mine", "INDEX": "nothing"}, "no column"),
        ({"TABLE": "mydb.none", "INDEX": "id"}, "no table"),
    ):
        job = client.post("table-update", data=data)
        assert job.status_code == 303
        assert finished(client, job.headers["location"]) == "ERROR"
        assert reason in client.get(job.headers["location"] + "/error").text
    good = client.post("table-update", data={"TABLE": "mydb.mine", "INDEX": "id"})
    assert finished(client, good.headers["location"]) == "COMPLETED"
    assert ask(client, "SELECT x FROM mydb.mine WHERE id = 1 ORDER BY x") == ["2", "3"]

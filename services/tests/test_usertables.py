"""Tables that users keep, over HTTP: made, filled, shared and dropped as YouCat's clients do it."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator

import httpx
import numpy as np
import pyarrow as pa
import pytest
import pyvo
import requests
from pyarrow import parquet
from pyvo.utils.prototype import activate_features

from cerro_services.access import Caller
from cerro_services.config import Settings
from cerro_services.database import connect
from cerro_services.quotas import Quotas
from cerro_services.uploads import Upload, UploadLimits, read
from cerro_services.usertables import UserTables
from cerro_services.usertables.model import Sharing, UserTableQuotaError

from .serving import Served

CSV = b"id,ra,dec,word\n1,10.5,-3,one\n2,200.25,45,two\n3,0.5,0.25,three\n"
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


def client_of(served: Served, token: str | None) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=served.tap + "/", timeout=60, headers=headers)


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    """Give a client of somebody who may keep tables."""
    with client_of(served, "writer") as made:
        yield made
        for name in ask(made, "SELECT table_name FROM tap_schema.tables"):
            if name.startswith("mydb."):
                made.delete(f"tables/{name}")


@pytest.fixture
def mate(served: Served) -> Iterator[httpx.Client]:
    """Give a client of a member of the same group."""
    with client_of(served, "mate") as made:
        yield made


@pytest.fixture
def public(served: Served) -> Iterator[httpx.Client]:
    with client_of(served, None) as made:
        yield made


@pytest.fixture
def tap(served: Served) -> pyvo.dal.TAPService:
    session = requests.Session()
    session.headers["Authorization"] = "Bearer writer"
    return pyvo.dal.TAPService(served.tap, session=session)


def ask(client: httpx.Client, query: str) -> list[str]:
    answer = client.post("sync", data={"QUERY": query, "RESPONSEFORMAT": "csv"})
    assert answer.status_code == 200, answer.text
    return answer.text.split("\r\n")[1:-1]


def put(client: httpx.Client, name: str, content: bytes, mime: str = "text/csv") -> None:
    answer = client.put(f"tables/{name}", content=content, headers={"Content-Type": mime})
    assert answer.status_code == 201, answer.text


def finished(client: httpx.Client, job: str) -> str:
    client.post(f"{job}/phase", data={"PHASE": "RUN"})
    until = time.monotonic() + 60
    while time.monotonic() < until:
        phase = client.get(f"{job}?WAIT=10").text
        for end in ("COMPLETED", "ERROR", "ABORTED"):
            if f">{end}<" in phase:
                return end
    raise AssertionError(f"{job} did not end: {phase}")


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


@pytest.mark.req("MYDB-4")
def test_nobody_sees_anothers_table(
    client: httpx.Client, mate: httpx.Client, public: httpx.Client
) -> None:
    put(client, "mydb.mine", CSV)
    listed = "SELECT table_name FROM tap_schema.tables WHERE table_name LIKE '%mine%'"
    assert ask(client, listed) == ["mydb.mine"]
    assert "mydb.mine" in client.get("tables").text
    for other in (mate, public):
        assert ask(other, listed) == []
        assert "mine" not in other.get("tables").text
        for written in (
            "mydb.mine", "mine", "user_grace.mine", '"user_grace".mine', '"mydb"."mine"',
        ):  # fmt: skip
            answer = other.post("sync", data={"QUERY": f"SELECT * FROM {written}"})
            assert answer.status_code == 400
            assert "There is no table" in answer.text
            assert "one" not in answer.text.replace("none", "").replace("done", "").split()
        assert other.get("tables/user_grace.mine").status_code == 404
    assert mate.delete("tables/user_grace.mine").status_code in {403, 404}
    assert mate.post("load/user_grace.mine", content=CSV).status_code in {403, 404}
    assert public.put("tables/mydb.t", content=CSV).status_code == 401


@pytest.mark.req("MYDB-5")
def test_a_group_reads_and_then_writes(client: httpx.Client, mate: httpx.Client) -> None:
    answer = client.put(
        "tables/mydb.mine",
        content=CSV,
        headers={"Content-Type": "text/csv", "x-vosi-group-read": "ivo://cerro/gms?team"},
    )
    assert answer.status_code == 201
    assert ask(mate, "SELECT COUNT(*) FROM user_grace.mine") == ["3"]
    assert "user_grace.mine" in mate.get("tables").text
    more = {"content": b"id,ra,dec,word\n9,1,2,nine\n", "headers": {"Content-Type": "text/csv"}}
    assert mate.post("load/user_grace.mine", **more).status_code == 403
    said = client.post("permissions/mydb.mine", content="r-group=\nrw-group=team")
    assert said.status_code == 200, said.text
    assert client.get("permissions/mydb.mine").text.splitlines() == [
        "owner=grace", "public=false", "r-group=", "rw-group=team",
    ]  # fmt: skip
    added = mate.post("load/user_grace.mine", **more)
    assert added.status_code == 200, added.text
    assert ask(client, "SELECT COUNT(*) FROM mydb.mine") == ["4"]
    assert mate.delete("tables/user_grace.mine").status_code == 403
    assert mate.post("permissions/user_grace.mine", content="public=true").status_code == 403
    client.post("permissions/mydb.mine", content="rw-group=")
    assert mate.get("tables/user_grace.mine").status_code == 404


@pytest.mark.req("MYDB-5")
@pytest.mark.parametrize(
    ("text", "status"),
    [("junk=1", 400), ("public=yes", 400), ("public=true", 403), ("r-group=strangers", 400),
     ("owner=me", 400)],
)  # fmt: skip
def test_wrong_permissions_are_refused(client: httpx.Client, text: str, status: int) -> None:
    put(client, "mydb.mine", CSV)
    assert client.post("permissions/mydb.mine", content=text).status_code == status


@pytest.mark.req("MYDB-6")
def test_a_token_without_the_scope_keeps_nothing(served: Served) -> None:
    with client_of(served, "good") as reader:
        refused = reader.put("tables/mydb.t", content=CSV)
        assert refused.status_code == 403
        assert "custom:write:tables" in refused.text
        refused = reader.post("async", data={"QUERY": "SELECT 1 AS a", "DEST": "mydb.t"})
        assert refused.status_code == 403


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


class Shelf:
    """Users' tables without the services around them."""

    def __init__(self, home: object, **settings: object) -> None:
        self.settings = Settings(home=home, **settings)
        self.database = connect(self.settings.database)
        quotas = Quotas({"default": {"table_bytes": 20_000}})
        self.tables = UserTables(self.settings, quotas, self.database)
        self.ada = Caller("ada", frozenset(), frozenset({"custom:read:tap", "custom:write:tables"}))

    def content(self, rows: int) -> object:
        path = self.settings.home / "in.csv"
        lines = "".join(f"{i},{i * 0.1}\n" for i in range(rows))
        path.write_text("id,x\n" + lines)
        return read(Upload("t", path, "text/csv"), UploadLimits())


@pytest.mark.req("MYDB-9")
def test_nobody_keeps_more_than_their_quota(tmp_path: object) -> None:
    shelf = Shelf(tmp_path)
    shelf.tables.create(shelf.ada, "small", shelf.content(100))
    with pytest.raises(UserTableQuotaError, match="20,000 bytes in all"):
        shelf.tables.create(shelf.ada, "large", shelf.content(5000))
    assert [table.name for table in shelf.tables.visible(shelf.ada)] == ["small"]
    folders = list((shelf.settings.usertables / "ada").iterdir())
    assert len(folders) == 1


@pytest.mark.req("MYDB-10")
def test_a_table_expires_unless_it_is_kept(tmp_path: object) -> None:
    shelf = Shelf(tmp_path)
    shelf.tables.create(shelf.ada, "t", shelf.content(10))
    shelf.tables.create(shelf.ada, "u", shelf.content(10))
    shelf.tables.keep(shelf.ada, "t", time.time() - 1)
    shelf.tables.keep(shelf.ada, "u")
    assert [table.name for table in shelf.tables.visible(shelf.ada)] == ["u"]
    assert shelf.tables.sweep() == 1
    shelf.tables.create(shelf.ada, "t", shelf.content(3))
    assert {table.name: table.nrows for table in shelf.tables.visible(shelf.ada)} == {
        "t": 3, "u": 10,
    }  # fmt: skip


@pytest.mark.req("MYDB-10")
def test_files_stay_while_a_query_may_read_them(tmp_path: object) -> None:
    shelf = Shelf(tmp_path)
    table = shelf.tables.create(shelf.ada, "t", shelf.content(10))
    catalog = shelf.tables.files.catalog("ada", table.version)
    shelf.tables.drop(shelf.ada, "t")
    shelf.tables.sweep()
    assert parquet.read_table(catalog.files[0].path).num_rows == 10
    assert shelf.tables.files.sweep(set(), grace=-1) == 1
    assert not catalog.root.exists()


@pytest.mark.req("MYDB-11")
def test_a_table_that_was_not_finished_is_no_table(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    shelf.tables.create(shelf.ada, "t", shelf.content(10))

    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shelf.tables.store, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            shelf.tables.index(shelf.ada, "t", ["id"], unique=True)
    (kept,) = UserTables(shelf.settings, Quotas({}), connect(shelf.settings.database)).visible(
        shelf.ada
    )
    assert kept.model.key == ()
    assert shelf.tables.files.catalog("ada", kept.version).nrows == 10


@pytest.mark.req("MYDB-4")
def test_sharing_is_by_groups_that_one_belongs_to(tmp_path: object) -> None:
    shelf = Shelf(tmp_path, public_tables=True)
    shelf.tables.create(shelf.ada, "t", shelf.content(10), Sharing(public=True))
    anybody = Caller(None, frozenset(), frozenset())
    assert [t.schema_for(anybody) for t in shelf.tables.visible(anybody)] == ["user_ada"]
    shelf.tables.share(shelf.ada, "t", Sharing())
    assert shelf.tables.visible(anybody) == ()

"""TAP over HTTP, asked by pyvo and by hand."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import numpy as np
import pyarrow as pa
import pytest
import pyvo
from astropy.io.votable import parse
from lxml import etree
from pyarrow import parquet
from pyvo.dal.exceptions import DALQueryError

from cerro_services.config import Settings
from cerro_services.release import ReleaseStore
from cerro_services.tap.sync import Answer

from .serving import Served, free_port, running
from .sky import ROWS


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.tap + "/", timeout=30) as made:
        yield made


@pytest.fixture(scope="module")
def tap(served: Served) -> pyvo.dal.TAPService:
    return pyvo.dal.TAPService(served.tap)


def status(document: bytes) -> list[tuple[str, str]]:
    infos = parse(io.BytesIO(document)).resources[0].infos
    return [(i.value, i.content or "") for i in infos if i.name == "QUERY_STATUS"]


@pytest.mark.req("TAP-1")
def test_pyvo_gets_an_answer_with_units_and_descriptions(
    tap: pyvo.dal.TAPService, rows: dict[str, pa.Table]
) -> None:
    table = tap.search(
        "SELECT objectId, ra, flux, kind, good, seen FROM sky.Object "
        "WHERE 1 = CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 0, 0, 0.5)) ORDER BY objectId"
    ).to_table()
    expected = rows["Object"].filter(
        np.isin(rows["Object"]["objectId"].to_numpy(), np.asarray(table["objectId"]))
    )
    assert len(table) > 50
    assert str(table["ra"].unit) == "deg"
    assert table["flux"].description == "Flux < 1e5 & more"
    assert list(table["ra"]) == expected["ra"].to_pylist()
    assert [None if m else v for v, m in zip(table["flux"], table["flux"].mask, strict=True)] == (
        expected["flux"].to_pylist()
    )
    assert list(table["kind"]) == [kind or "" for kind in expected["kind"].to_pylist()]
    assert table["seen"][0] == expected["seen"][0].as_py().isoformat()


@pytest.mark.req("TAP-6")
def test_pyvo_finds_tables_columns_and_keys(tap: pyvo.dal.TAPService) -> None:
    tables = tap.tables
    assert {"sky.Object", "sky.Source", "sky.Visit", "tap_schema.columns"} <= set(tables.keys())
    columns = {column.name: column for column in tables["sky.Object"].columns}
    assert columns["ra"].unit == "deg"
    assert columns["ra"].ucd == "pos.eq.ra;meta.main"
    assert columns['"size"'].datatype.content == "double"
    assert "_healpix_29" not in columns


@pytest.mark.req("TAP-6")
def test_tap_schema_says_the_same_as_the_model(tap: pyvo.dal.TAPService) -> None:
    found = tap.search(
        "SELECT column_name, datatype, arraysize, xtype, unit, ucd, indexed, principal, std, "
        "column_index, \"size\" FROM TAP_SCHEMA.columns WHERE table_name = 'sky.Object' "
        "ORDER BY column_index"
    ).to_table()
    names = ["objectId", "ra", "dec", "flux", "n", "small", "kind", "good", "seen", '"size"']
    assert list(found["column_name"]) == names
    assert list(found["datatype"]) == [
        "long", "double", "double", "float", "int", "short", "unicodeChar", "boolean", "char",
        "double",
    ]  # fmt: skip
    assert found["xtype"][8] == "timestamp"
    assert found["indexed"][0] == 1
    assert found["principal"].dtype == np.int32
    keys = tap.search(
        "SELECT from_table, target_table, from_column, target_column FROM tap_schema.keys "
        "JOIN tap_schema.key_columns USING (key_id) WHERE from_table = 'sky.Source'"
    ).to_table()
    assert list(map(tuple, keys)) == [("sky.Source", "sky.Object", "objectId", "objectId")]


@pytest.mark.req("TAP-4")
@pytest.mark.parametrize(
    ("wanted", "mime"),
    [
        ("votable", "application/x-votable+xml;serialization=binary2"),
        ("votable/td", "application/x-votable+xml;serialization=tabledata"),
        ("csv", "text/csv;header=present"),
        ("parquet", "application/vnd.apache.parquet"),
    ],
)
def test_every_format_gives_the_same_rows(client: httpx.Client, wanted: str, mime: str) -> None:
    query = "SELECT visit, band FROM sky.Visit ORDER BY visit"
    answer = client.post("sync", data={"query": query, "Lang": "ADQL", "responseFormat": wanted})
    assert answer.headers["content-type"] == mime
    if "csv" in mime:
        rows = [tuple(line.split(",")) for line in answer.text.split("\r\n")[1:-1]]
    elif "parquet" in mime:
        table = parquet.read_table(io.BytesIO(answer.content))
        rows = [(str(row["visit"]), row["band"]) for row in table.to_pylist()]
    else:
        array = parse(io.BytesIO(answer.content)).get_first_table().array
        rows = [(str(row[0]), str(row[1])) for row in array]
    assert rows == [("0", "g"), ("1", "r"), ("2", "i"), ("3", "g"), ("4", "r")]


@pytest.mark.req("TAP-7")
@pytest.mark.parametrize(
    ("query", "maxrec", "count", "overflow"),
    [
        ("SELECT visit FROM sky.Visit", "3", 3, True),
        ("SELECT visit FROM sky.Visit", "5", 5, False),
        ("SELECT visit FROM sky.Visit", "0", 0, True),
        ("SELECT TOP 4 visit FROM sky.Visit", "4", 4, False),
        ("SELECT TOP 4 visit FROM sky.Visit", "3", 3, True),
        ("SELECT TOP 9 visit FROM sky.Visit", "7", 5, False),
        ("SELECT visit FROM sky.Visit OFFSET 4", "3", 1, False),
        ("SELECT visit FROM sky.Visit WHERE visit < 0", "3", 0, False),
    ],
)
def test_truncation_is_marked_in_every_format(
    client: httpx.Client, query: str, maxrec: str, count: int, overflow: bool
) -> None:
    for wanted in ("votable", "csv"):
        answer = client.get(
            "sync", params={"QUERY": query, "MAXREC": maxrec, "RESPONSEFORMAT": wanted}
        )
        assert answer.headers["x-cerro-overflow"] == str(overflow).lower()
        if wanted == "csv":
            assert answer.text.count("\r\n") == count + 1
        else:
            told = [value for value, _ in status(answer.content)]
            assert told == (["OK", "OVERFLOW"] if overflow else ["OK"])
            assert len(parse(io.BytesIO(answer.content)).get_first_table().array) == count


@pytest.mark.req("TAP-7")
def test_a_long_csv_says_before_its_first_byte_whether_rows_are_missing(
    client: httpx.Client,
) -> None:
    query = "SELECT a.*, b.mjd FROM sky.Object a, sky.Source b WHERE b.sourceId < 2"
    for maxrec, overflow in ((2 * ROWS, "false"), (2 * ROWS - 1, "true")):
        parameters = {"QUERY": query, "MAXREC": str(maxrec), "FORMAT": "csv"}
        with client.stream("GET", "sync", params=parameters) as answer:
            assert "content-length" not in answer.headers
            assert answer.headers["x-cerro-overflow"] == overflow
            assert sum(1 for _ in answer.iter_lines()) == maxrec + 1


@pytest.mark.req("TAP-8")
@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"QUERY": "DUFF QUERY"}, "begins with SELECT"),
        ({"QUERY": "SELECT x FROM sky.Visit"}, "line 1, column 8: There is no column x"),
        ({}, "QUERY is missing"),
        ({"QUERY": "SELECT visit FROM sky.Visit", "LANG": "OOBLECK"}, "LANG=OOBLECK"),
        ({"QUERY": "SELECT visit FROM sky.Visit", "MAXREC": "-1"}, "MAXREC must be a whole number"),
        ({"QUERY": "SELECT visit FROM sky.Visit", "REQUEST": "getStuff"}, "REQUEST=getStuff"),
        ({"QUERY": "SELECT visit FROM sky.Visit", "FORMAT": "xlsx"}, "'xlsx' is not offered"),
        ({"QUERY": "SELECT CAST(band AS INTEGER) FROM sky.Visit"}, "Could not convert"),
        ({"QUERY": "SELECT visit FROM sky.Visit", "UPLOAD": "t,param:x"}, "no part 'x'"),
    ],
)
def test_an_error_is_a_votable_with_the_reason(
    client: httpx.Client, parameters: dict[str, str], says: str
) -> None:
    for answer in (client.get("sync", params=parameters), client.post("sync", data=parameters)):
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/x-votable+xml"
        ((value, text),) = status(answer.content)
        assert value == "ERROR"
        assert says in text
        assert "Traceback" not in text


@pytest.mark.req("TAP-8")
@pytest.mark.parametrize("wanted", ["votable", "csv", "parquet"])
def test_an_error_late_in_a_small_result_is_still_an_error(
    client: httpx.Client, wanted: str
) -> None:
    # The first batches are right; the last row's text is no number.
    query = (
        "SELECT CAST(q.t AS INTEGER) AS n FROM (SELECT '1' AS t FROM sky.Object a, sky.Visit v "
        "UNION ALL SELECT band FROM sky.Visit) AS q"
    )
    answer = client.post("sync", data={"QUERY": query, "RESPONSEFORMAT": wanted})
    assert answer.status_code == 400
    assert "Could not convert" in status(answer.content)[0][1]


@pytest.mark.req("TAP-8")
def test_a_form_without_length_is_read_only_so_far(client: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        yield b"QUERY="
        for _ in range(200):
            yield b"x" * 65536

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = client.post("sync", content=endless(), headers=headers)
    assert answer.status_code == 413, answer.text
    assert "more than 4,000,000 bytes" in status(answer.content)[0][1]


@pytest.mark.req("TAP-8")
def test_pyvo_raises_the_reason(tap: pyvo.dal.TAPService) -> None:
    with pytest.raises(DALQueryError, match=r"Did you mean sky\.Object"):
        tap.search("SELECT TOP 1 * FROM sky.Objekt")


@pytest.mark.req("TAP-8")
def test_a_path_that_is_not_there_is_told_in_a_line(served: Served) -> None:
    answer = httpx.get(f"{served.url}/api/nothing")
    assert answer.status_code == 404
    assert answer.json()["message"] == "/api/nothing: Not Found."


@pytest.mark.req("TAP-5")
def test_capabilities_name_the_address_languages_formats_and_limits(
    tap: pyvo.dal.TAPService, client: httpx.Client, served: Served
) -> None:
    (capability,) = [c for c in tap.capabilities if c.standardid == "ivo://ivoa.net/std/TAP"]
    assert capability.interfaces[0].accessurls[0].content == served.tap
    adql = capability.get_adql()
    assert {v.content for v in adql.versions} == {"2.0", "2.1"}
    geometry = adql.get_feature_list("ivo://ivoa.net/std/TAPRegExt#features-adqlgeo")
    assert {"POINT", "CIRCLE", "POLYGON", "DISTANCE"} <= {feature.form for feature in geometry}
    assert tap.hardlimit == 10_000_000
    assert client.get("capabilities").headers["server"].startswith("Cerro/")


@pytest.mark.req("TAP-5")
def test_availability_is_true_only_if_queries_are_answered(
    client: httpx.Client, store: ReleaseStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name = "{http://www.ivoa.net/xml/VOSIAvailability/v1.0}available"
    assert etree.fromstring(client.get("availability").content).findtext(name) == "true"
    folder = tmp_path_factory.mktemp("broken")
    broken = folder / "releases"
    _copy_without_data(store, broken)
    port = free_port()
    with running(Settings(home=folder, releases=broken, threads=1), port):
        answer = httpx.get(f"http://127.0.0.1:{port}/api/tap/availability")
        assert etree.fromstring(answer.content).findtext(name) == "false"


def _copy_without_data(store: ReleaseStore, target: Path) -> None:
    shutil.copytree(store.root, target)
    for path in target.rglob("Npix=*.parquet"):
        path.write_bytes(b"")


@pytest.mark.req("TAP-5")
def test_tables_can_be_listed_without_columns_and_one_by_one(client: httpx.Client) -> None:
    brief = etree.fromstring(client.get("tables", params={"detail": "min"}).content)
    assert brief.findall(".//column") == []
    assert "sky.Object" in {name.text for name in brief.iterfind(".//table/name")}
    table = etree.fromstring(client.get("tables/sky.Object").content)
    assert table.findtext("name") == "sky.Object"
    assert len(table.findall("column")) == 10
    assert table.findtext("nrows") == str(ROWS)
    assert client.get("tables/sky.Nothing").status_code == 404


@pytest.mark.req("TAP-5")
@pytest.mark.parametrize(
    "path",
    ["capabilities", "availability", "tables", "sync?QUERY=SELECT+band+FROM+sky.Visit"],
)
def test_head_gives_the_headers_and_no_body(client: httpx.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.req("TAP-5")
def test_pages_of_other_sites_may_ask(client: httpx.Client) -> None:
    answer = client.get("capabilities", headers={"Origin": "https://portal.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "authorization"}  # fmt: skip
    assert client.options("sync", headers=asked).status_code == 200


LONG = (
    "SELECT a.objectId, b.ra FROM sky.Object a, sky.Object b, sky.Object c "
    "WHERE a.flux <> b.flux + c.flux"
)


@pytest.mark.req("TAP-10")
def test_the_first_rows_arrive_while_the_query_runs(client: httpx.Client) -> None:
    # 2.7e13 rows: nobody reads them all before they send the first.
    with client.stream("POST", "sync", data={"QUERY": LONG, "MAXREC": "20000000"}) as answer:
        first = next(answer.iter_bytes())
    assert answer.status_code == 200
    assert b"<FIELD" in first


@pytest.mark.req("TAP-10")
async def test_a_client_that_leaves_stops_its_query(served: Served) -> None:
    endless = LONG.replace("a.objectId, b.ra", "COUNT(*)")
    before = _running()
    async with httpx.AsyncClient() as client:
        request = asyncio.ensure_future(
            client.post(f"{served.tap}/sync", data={"QUERY": endless}, timeout=60)
        )
        await _until(lambda: _running() > before)
        request.cancel()
        await asyncio.wait({request})
    await _until(lambda: _running() == before)


def _running() -> int:
    """Count the worker threads that are inside a query."""
    frames = sys._current_frames()
    names = {t.ident: t.name for t in threading.enumerate()}
    count = 0
    for ident, frame in frames.items():
        if not names.get(ident, "").startswith("query"):
            continue
        stack = traceback.walk_stack(frame)
        count += any(inner.f_code.co_qualname == "Answer.begin" for inner, _ in stack)
    return count


async def _until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        await asyncio.sleep(0.02)


@pytest.mark.req("TAP-8")
def test_a_query_that_runs_too_long_is_told_so(
    store: ReleaseStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    port = free_port()
    settings = Settings(
        home=tmp_path_factory.mktemp("short"), releases=store.root, sync_seconds=0.5, threads=1
    )
    with running(settings, port):
        endless = LONG.replace("a.objectId, b.ra", "COUNT(*)")
        answer = httpx.post(
            f"http://127.0.0.1:{port}/api/tap/sync", data={"QUERY": endless}, timeout=30
        )
    assert answer.status_code == 400
    assert "ran longer than the 0.5 seconds" in status(answer.content)[0][1]


@pytest.mark.req("TAP-13")
async def test_a_client_that_reads_no_further_is_left(
    store: ReleaseStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    port = free_port()
    settings = Settings(
        home=tmp_path_factory.mktemp("stall"), releases=store.root, stall_seconds=0.5, threads=1
    )
    with running(settings, port):
        form = f"QUERY={quote(LONG)}&MAXREC=20000000".encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        head = (
            "POST /api/tap/sync HTTP/1.1\r\nHost: x\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(form)}\r\n\r\n"
        )
        writer.write(head.encode() + form)
        assert b"200 OK" in await reader.readline()
        # Nothing more is read; in time the service closes, and what was on its way ends early.
        await _until(lambda: _open_queries() == 0)
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 20):
                pass
        writer.close()


def _open_queries() -> int:
    gc.collect()
    return sum(isinstance(o, Answer) and not o._closed for o in gc.get_objects())

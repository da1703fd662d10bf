"""Results as clients get them: every format over HTTP, slow clients, errors on the way, the log."""

from __future__ import annotations

import gc
import io
import json
import socket
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import psutil
import pyarrow as pa
import pytest
import structlog
from astropy.table import Table
from lxml import etree
from prometheus_client import REGISTRY
from pyarrow import ipc, parquet
from tests.support.trial import trial
from tests.support.waiting import eventually

from cerro_services.access import PUBLIC
from cerro_services.config import Settings
from cerro_services.context import Context
from cerro_services.engine import EngineError, ResourceError
from cerro_services.errors import CerroError
from cerro_services.parameters import Parameters
from cerro_services.release import ReleaseStore
from cerro_services.tap.answer import Answer
from cerro_services.tap.question import Question
from cerro_services.tap.tofile import write
from cerro_services.tap.views import Views

from .serving import Served

ALL = "SELECT * FROM sky.Object ORDER BY objectId"
PAIRS = (
    "SELECT a.objectId, a.ra, b.dec, b.mjd "
    "FROM sky.Object AS a, (SELECT dec, mjd FROM sky.Source) AS b"
)
VOTABLES = ("votable/b2", "votable/td", "votable/bin")
FORMATS = (*VOTABLES, "csv", "tsv", "fits", "json", "parquet", "arrow")


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.tap + "/", timeout=60) as made:
        yield made


def read(form: str, document: bytes) -> list[dict[str, object]]:
    """Read rows back, each with the reader that people use."""
    file = io.BytesIO(document)
    if form == "parquet":
        return parquet.read_table(file).to_pylist()
    if form == "arrow":
        return ipc.open_stream(file).read_all().to_pylist()
    if form == "json":
        held = json.loads(document)
        names = [column["name"] for column in held["metadata"]]
        return [dict(zip(names, row, strict=True)) for row in held["data"]]
    kind = {"csv": "ascii.csv", "tsv": "ascii.tab", "fits": "fits"}.get(form, "votable")
    table = Table.read(file.getvalue().decode() if "sv" in form else file, format=kind)
    return [dict(zip(table.colnames, row, strict=True)) for row in table.iterrows()]


@pytest.mark.req("FMT-1", "FMT-2")
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_rows_that_were_published(
    client: httpx.Client, rows: dict[str, pa.Table], form: str
) -> None:
    query = "SELECT TOP 4 objectId, ra, flux, n, kind FROM sky.Object ORDER BY objectId"
    plain = {"Accept-Encoding": "identity"}
    parameters = {"QUERY": query, "RESPONSEFORMAT": form}
    answer = client.post("sync", data=parameters, headers=plain)
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)
    found = read(form, answer.content)
    for got, expected in zip(found, rows["Object"].slice(0, 4).to_pylist(), strict=True):
        assert int(got["objectId"]) == expected["objectId"]  # type: ignore[call-overload]
        assert float(got["ra"]) == expected["ra"]  # type: ignore[arg-type]
        for name in ("flux", "n", "kind"):
            value = None if np.ma.is_masked(got[name]) else got[name]
            if expected[name] is None:
                assert value in {None, ""} or np.isnan(value)  # type: ignore[call-overload]
            elif name == "flux":
                assert np.float32(value) == np.float32(expected[name])  # type: ignore[arg-type]
            else:
                text = value.decode() if isinstance(value, bytes) else value
                assert str(text) == str(expected[name])


@pytest.mark.req("FMT-4")
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("maxrec", "overflow"), [("0", True), ("29999", True), ("30000", False)])
def test_a_header_says_whether_rows_are_missing_where_the_document_cannot(
    client: httpx.Client, form: str, maxrec: str, overflow: bool
) -> None:
    answer = client.post("sync", data={"QUERY": ALL, "RESPONSEFORMAT": form, "MAXREC": maxrec})
    header = answer.headers.get("x-cerro-overflow")
    told = {None: None, "true": True, "false": False}[header]
    if form in {"csv", "tsv", "arrow"}:
        assert told is overflow
    else:
        assert told in {None, overflow}


@pytest.mark.req("FMT-4")
def test_without_rows_the_columns_are_told_at_once(client: httpx.Client) -> None:
    # 2.7e13 pairs, to be sorted: no one would see the end of it.
    query = (
        "SELECT a.objectId, b.ra FROM sky.Object AS a, sky.Object AS b, sky.Object AS c ORDER BY 2"
    )
    data = {"QUERY": query, "MAXREC": "0", "RESPONSEFORMAT": "json"}
    found = client.post("sync", data=data).json()
    assert [column["name"] for column in found["metadata"]] == ["objectId", "ra"]
    assert (found["data"], found["status"]) == ([], "OVERFLOW")


@pytest.mark.req("FMT-7")
@pytest.mark.parametrize("form", VOTABLES)
@pytest.mark.parametrize("query", [ALL, "SELECT nothing FROM sky.Object"])
def test_votables_are_valid_by_the_schema(client: httpx.Client, form: str, query: str) -> None:
    schema = trial("models/ivoa_xsd/ivoa-std/VOTable.xsd")
    answer = client.post("sync", data={"QUERY": query, "RESPONSEFORMAT": form, "MAXREC": "20"})
    etree.XMLSchema(file=str(schema)).assertValid(etree.fromstring(answer.content))


@pytest.mark.req("FMT-8")
def test_accept_chooses_where_no_format_is_asked_for(client: httpx.Client) -> None:
    headers = {"Accept": "text/csv;q=0.2, application/json, */*;q=0.1"}
    query = "SELECT visit FROM sky.Visit WHERE visit = 1"
    answer = client.get("sync", params={"QUERY": query}, headers=headers)
    assert answer.headers["content-type"] == "application/json"
    answer = client.get("sync", params={"QUERY": query, "FORMAT": "tsv"}, headers=headers)
    assert answer.text == "visit\n1\n"


@pytest.mark.req("FMT-8")
def test_head_gives_the_type_without_rows(client: httpx.Client) -> None:
    answer = client.head("sync", params={"QUERY": ALL, "RESPONSEFORMAT": "parquet"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert answer.content == b""
    assert "content-length" not in answer.headers


@pytest.mark.req("FMT-8")
def test_json_tells_unit_and_description_of_every_column(client: httpx.Client) -> None:
    query = "SELECT TOP 1 COUNT(*) AS n FROM sky.Object"
    answer = client.get("sync", params={"QUERY": query, "RESPONSEFORMAT": "json"})
    (column,) = answer.json()["metadata"]
    assert column["unit"] is None
    assert "description" in column


def ask(served: Served, size: int = 65536, **parameters: str) -> socket.socket:
    """Ask over a socket with a small buffer, and read nothing yet."""
    host, port = urllib.parse.urlsplit(served.url).netloc.split(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    connection.connect((host, int(port)))
    connection.sendall(
        f"GET /api/tap/sync?{urllib.parse.urlencode(parameters)} HTTP/1.1\r\n"
        f"Host: {host}\r\nConnection: close\r\n\r\n".encode()
    )
    return connection


def answers() -> list[Answer]:
    gc.collect()
    return [o for o in gc.get_objects() if isinstance(o, Answer) and not o.closed]


def settled(answer: Answer) -> int:
    """Wait until an answer goes no further; give its bytes."""
    last, since = -1, time.monotonic()

    def stands_still() -> bool:
        nonlocal last, since
        if answer.bytes != last:
            last, since = answer.bytes, time.monotonic()
        return time.monotonic() - since > 0.4

    eventually(stands_still, "the answer stands still")
    return last


@pytest.mark.req("FMT-11")
@pytest.mark.parametrize("form", ["votable", "arrow"])
def test_the_service_waits_for_a_slow_client_and_holds_little(served: Served, form: str) -> None:
    known = set(map(id, answers()))
    process = psutil.Process()
    before = process.memory_info().rss
    parameters = {"QUERY": PAIRS, "MAXREC": "4000000", "RESPONSEFORMAT": form}
    with ask(served, **parameters) as connection:
        received = len(connection.recv(1000))
        (answer,) = [a for a in answers() if id(a) not in known]
        # Nobody reads: it must stop far from the end, which a service without a brake would reach.
        assert settled(answer) < 16 << 20
        most = 0
        while got := connection.recv(1 << 20):
            received += len(got)
            assert answer.bytes - received < 16 << 20
            if answer.rows.count % 50 == 0:
                most = max(most, process.memory_info().rss - before)
    assert answer.rows.count == 4_000_000
    assert received > 125e6
    assert most < received / 2


@pytest.mark.req("FMT-11", "TAP-10")
def test_a_client_that_leaves_in_the_middle_stops_its_query(served: Served) -> None:
    known = set(map(id, answers()))
    with ask(served, QUERY=PAIRS, MAXREC="20000000") as connection:
        connection.recv(1000)
        (answer,) = [a for a in answers() if id(a) not in known]
    eventually(lambda: answer.closed, "the query is stopped")
    assert answer.rows.count < 5_000_000


@pytest.mark.req("FMT-5")
@pytest.mark.parametrize("form", ["csv", "arrow", "parquet", "votable"])
def test_an_error_on_the_way_never_looks_like_a_whole_result(served: Served, form: str) -> None:
    known = set(map(id, answers()))
    with ask(served, QUERY=PAIRS, MAXREC="20000000", RESPONSEFORMAT=form) as connection:
        received = connection.recv(1000)
        (answer,) = [a for a in answers() if id(a) not in known]
        answer.stop(reason=EngineError("The disk is gone."))
        while got := connection.recv(1 << 20):
            received = received[-1000:] + got
    # The last chunk of HTTP/1.1 is an empty one: without it, a client knows that more was to come.
    whole = received.endswith(b"0\r\n\r\n")
    assert whole is (form == "votable")
    assert (b'value="ERROR">The disk is gone.</INFO>' in received) is (form == "votable")


def context(store: ReleaseStore, home: Path) -> Context:
    return Context.build(Settings(home=home, releases=store.root, memory="500MB", threads=2))


def answer_of(made: Context, **parameters: str) -> Answer:
    values = {name: [value] for name, value in parameters.items()}
    question = Question.read(Parameters(values), None, made.settings)
    return Answer(made, Views(), question, PUBLIC, "10.0.0.1", mode="async", job="j1")


@pytest.mark.req("FMT-10")
def test_a_whole_answer_goes_to_a_file_with_its_rows_told(
    store: ReleaseStore, tmp_path: Path
) -> None:
    made = context(store, tmp_path)
    file = io.BytesIO()
    answer = answer_of(made, QUERY=ALL, RESPONSEFORMAT="csv", MAXREC="100")
    outcome = write(answer, file)
    assert (outcome.rows, outcome.overflow, outcome.bytes) == (100, True, len(file.getvalue()))
    assert outcome.headers["X-Cerro-Overflow"] == "true"
    assert answer.rows.count == 100
    assert file.getvalue().count(b"\r\n") == 101


@pytest.mark.req("FMT-10")
@pytest.mark.parametrize("form", ["votable", "csv"])
def test_an_answer_in_a_file_fails_as_a_whole(
    store: ReleaseStore, tmp_path: Path, form: str
) -> None:
    made = context(store, tmp_path)
    answer = answer_of(made, QUERY=PAIRS, RESPONSEFORMAT=form, MAXREC="20000000")
    broken = EngineError("The disk is gone.")

    class Breaking(io.BytesIO):
        def write(self, piece: bytes) -> int:  # type: ignore[override]
            if answer.rows.count > 100_000:
                answer.stop(reason=broken)
            return super().write(piece)

    with pytest.raises(CerroError) as raised:
        write(answer, Breaking())
    assert raised.value is broken
    assert answer.closed


@pytest.mark.req("FMT-10")
def test_an_answer_in_a_file_ends_when_its_time_is_over(
    store: ReleaseStore, tmp_path: Path
) -> None:
    made = context(store, tmp_path)
    question = Question.read(
        Parameters({"QUERY": [f"SELECT COUNT(*) FROM ({PAIRS}) AS p, sky.Object AS c"]}),
        None,
        made.settings,
    )
    answer = Answer(made, Views(), question, PUBLIC, seconds=0.3)
    with pytest.raises(ResourceError, match=r"longer than the 0\.3 seconds"):
        write(answer, io.BytesIO())


@pytest.mark.req("FMT-10")
def test_one_event_and_the_metrics_say_how_a_query_went(
    store: ReleaseStore, tmp_path: Path
) -> None:
    made = context(store, tmp_path)
    labels = {"mode": "async", "format": "json", "outcome": "ok"}
    before = REGISTRY.get_sample_value("cerro_queries_total", labels) or 0.0
    answer = answer_of(made, QUERY=ALL, RESPONSEFORMAT="json", MAXREC="5", RUNID="night-7")
    with structlog.testing.capture_logs() as events:
        outcome = write(answer, io.BytesIO())
    (event,) = [e for e in events if e["event"] == "query"]
    assert event["who"] == "public"
    assert event["query"] == ALL
    assert (event["runid"], event["job"], event["mode"]) == ("night-7", "j1", "async")
    assert (event["rows"], event["bytes"], event["overflow"]) == (5, outcome.bytes, True)
    assert (event["format"], event["outcome"], event["error"]) == ("json", "ok", None)
    phases = [event[f"{phase}_s"] for phase in ("parse", "plan", "execute", "write")]
    assert all(seconds >= 0 for seconds in phases)
    assert sum(phases) == pytest.approx(outcome.seconds.total, abs=1e-5)
    assert REGISTRY.get_sample_value("cerro_queries_total", labels) == before + 1
    wrong = answer_of(made, QUERY="SELECT nothing FROM sky.Object")
    with structlog.testing.capture_logs() as events, pytest.raises(CerroError):
        write(wrong, io.BytesIO())
    (event,) = [e for e in events if e["event"] == "query"]
    assert event["outcome"] != "ok"
    assert "no column nothing" in event["error"]

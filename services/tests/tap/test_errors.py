"""What is wrong with a query is told in the form that TAP has for it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import pyvo
from pyvo.dal.exceptions import DALQueryError
from services.tests.serving import Served, running
from services.tests.tap.asking import LONG, status
from tests.support.platform import free_port

from cerro_services.config import Settings
from cerro_services.release import ReleaseStore


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
    there = f"{served.url}/api names what there is."
    assert answer.json()["message"] == f"There is no /api/nothing. {there}"
    page = httpx.get(f"{served.url}/api/")
    assert page.status_code == 200
    for link in ("/api/tap", "/api/cone", "/api/oai?verb=Identify", "/repertoire/discovery"):
        assert f'href="{served.url}{link}"' in page.text


@pytest.mark.req("TAP-8")
@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/api/tap/snyc", "/api/tap/sync"),
        ("/api/tap/Sync", "/api/tap/sync"),
        ("/api/tap/synch", "/api/tap/sync"),
        ("/api/TAP", "/api/tap"),
        ("/api/tap/capabilites", "/api/tap/capabilities"),
    ],
)
def test_a_mistyped_address_is_told_what_was_meant(served: Served, path: str, meant: str) -> None:
    answer = httpx.get(served.url + path)
    assert answer.status_code == 404
    assert f"There is no {path}. Did you mean {served.url}{meant}?" in answer.text


@pytest.mark.req("TAP-8")
def test_a_method_that_is_not_answered_is_told_which_are(client: httpx.Client) -> None:
    refused = client.put("async")
    assert refused.status_code == 405
    assert refused.text == "/api/tap/async does not answer PUT. Send GET or POST.\n"
    asked = client.options("async")
    assert (asked.status_code, asked.content) == (204, b"")
    for answer in (refused, asked):
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


@pytest.mark.req("TAP-8")
def test_a_mistyped_query_parameter_is_told(client: httpx.Client) -> None:
    answer = client.post("sync", data={"QUERRY": "SELECT 1"})
    assert answer.status_code == 400
    assert "QUERRY is no parameter; did you mean QUERY?" in status(answer.content)[0][1]


@pytest.mark.req("TAP-8")
def test_a_body_that_is_no_form_is_told_so(client: httpx.Client) -> None:
    answer = client.post("sync", json={"QUERY": "SELECT 1"})
    assert answer.status_code == 400
    assert "The body is application/json." in status(answer.content)[0][1]


@pytest.mark.req("TAP-8")
@pytest.mark.parametrize(
    ("table", "hint"),
    [
        ("TAP_UPLOAD.mine", "send it with UPLOAD=mine,param:"),
        ("mydb.mine", "it needs your token"),
        ("secret.Object", "for its members only, who send a token"),
    ],
)
def test_a_table_of_another_schema_is_told_where_it_may_be(
    client: httpx.Client, table: str, hint: str
) -> None:
    answer = client.post("sync", data={"QUERY": f"SELECT TOP 1 * FROM {table}"})
    assert hint in status(answer.content)[0][1]


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

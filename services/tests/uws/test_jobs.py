"""A job from its creation to its end, and what is told when it cannot be, by UWS 1.1."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import pyvo
from lxml import etree
from services.tests.serving import Served
from services.tests.uws.client import QUERY, UWS, Client


@pytest.mark.req("UWS-1")
def test_a_job_is_created_run_followed_fetched_and_deleted(
    anyone: Client, valid: Callable[[bytes], None]
) -> None:
    address = anyone.create(RESPONSEFORMAT="csv", RUNID="a < b & c")
    valid(anyone.get(address).content)
    job = anyone.job(address)
    assert job["jobId"] == address.rsplit("/", 1)[1]
    assert job["phase"] == "PENDING"
    assert job["runId"] == "a < b & c"
    assert job["ownerId"] is None
    run = anyone.post(f"{address}/phase", PHASE="RUN")
    assert (run.status_code, run.headers["location"]) == (303, address)
    assert anyone.ended(address) == "COMPLETED"
    document = anyone.get(address).content
    valid(document)
    result = etree.fromstring(document).find(f"{UWS}results/{UWS}result")
    assert result is not None
    assert result.get("id") == "result"
    assert result.get("{http://www.w3.org/1999/xlink}href") == f"{address}/results/result"
    answer = anyone.get(f"{address}/results/result")
    assert answer.headers["content-type"] == "text/csv;header=present"
    assert answer.headers["content-length"] == result.get("size")
    assert answer.text.splitlines()[0] == "objectId,ra"
    assert len(answer.text.splitlines()) == 4
    gone = anyone.http.delete(address)
    assert (gone.status_code, gone.headers["location"]) == (303, anyone.list)
    after = anyone.get(address)
    assert (after.status_code, after.headers["content-type"]) == (404, "text/plain; charset=utf-8")


@pytest.mark.req("UWS-1")
def test_a_job_can_run_at_once_and_be_deleted_by_a_form(anyone: Client) -> None:
    address = anyone.create(PHASE="RUN")
    assert anyone.ended(address) == "COMPLETED"
    assert anyone.post(address, ACTION="DELETE").status_code == 303
    assert anyone.get(f"{address}/results/result").status_code == 404


@pytest.mark.req("UWS-1")
def test_each_fact_has_its_address(anyone: Client, valid: Callable[[bytes], None]) -> None:
    address = anyone.create()
    job = anyone.job(address)
    for fact, element in (
        ("phase", "phase"),
        ("executionduration", "executionDuration"),
        ("destruction", "destruction"),
    ):
        answer = anyone.get(f"{address}/{fact}")
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.text == job[element]
    assert anyone.get(f"{address}/owner").text == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", job["destruction"] or "")
    assert re.fullmatch(r"|\d{4}-\d\d-\d\dT[\d:.]+Z", anyone.get(f"{address}/quote").text)
    valid(anyone.get(f"{address}/parameters").content)
    valid(anyone.get(f"{address}/results").content)
    assert anyone.get(f"{address}/error").status_code == 404
    assert anyone.get(f"{address}/mood").status_code == 404
    head = anyone.http.head(address)
    assert (head.status_code, head.content) == (200, b"")
    anyone.http.delete(address)


@pytest.mark.req("UWS-1")
def test_pyvo_runs_a_job(worked: Served) -> None:
    service = pyvo.dal.TAPService(worked.tap)
    assert len(service.run_async(QUERY)) == 3
    job = service.submit_job(QUERY, runid="mine")
    job.run()
    job.wait(phases=["COMPLETED"], timeout=60)
    assert job.job.runid == "mine"
    assert len(job.fetch_result()) == 3
    job.delete()


@pytest.mark.req("UWS-1")
@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"QUERY": "DUFF QUERY"}, "SELECT"),
        ({"QUERY": "SELECT TOP 1 nothing FROM sky.Object"}, "line 1, column 14"),
        ({"LANG": "OOBLECK"}, "OOBLECK"),
        ({"QUERY": ""}, "QUERY is missing"),
        ({"RESPONSEFORMAT": "punchcards"}, "punchcards"),
        ({"QUERY": "SELECT word FROM sky.Secret"}, "sky.Secret"),
    ],
)
def test_what_is_wrong_with_a_job_is_its_error(
    anyone: Client, valid: Callable[[bytes], None], parameters: dict[str, str], says: str
) -> None:
    form = {"LANG": "ADQL", "QUERY": QUERY, **parameters, "PHASE": "RUN"}
    answer = anyone.http.post(anyone.list, data=form)
    address = answer.headers["location"]
    assert anyone.ended(address) == "ERROR"
    document = anyone.get(address).content
    valid(document)
    summary = etree.fromstring(document).find(f"{UWS}errorSummary")
    assert summary is not None
    assert says in str(summary.findtext(f"{UWS}message"))
    assert (summary.get("type"), summary.get("hasDetail")) == ("fatal", "true")
    error = anyone.get(f"{address}/error")
    assert error.headers["content-type"].startswith("application/x-votable+xml")
    assert b'name="QUERY_STATUS" value="ERROR"' in error.content
    result = anyone.get(f"{address}/results/result")
    # Some clients show their users this alone.
    assert result.status_code == 404
    assert "It failed: " in result.text
    assert says in result.text
    anyone.http.delete(address)


@pytest.mark.req("UWS-1")
@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        ("/phase", {"PHASE": "SUSPEND"}, 400),
        ("/phase", {"PHASE": "HELD"}, 400),
        ("/phase", {}, 400),
        ("", {"ACTION": "EXPLODE"}, 400),
        ("/executionduration", {"EXECUTIONDURATION": "soon"}, 400),
        ("/destruction", {"DESTRUCTION": "never"}, 400),
        ("/quote", {"QUOTE": "1"}, 404),
    ],
)
def test_what_cannot_be_done_is_told_as_text(
    anyone: Client, path: str, form: dict[str, str], status: int
) -> None:
    address = anyone.create()
    answer = anyone.http.post(address + path, data=form)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/plain")
    assert len(answer.text.strip().splitlines()) == 1
    anyone.http.delete(address)

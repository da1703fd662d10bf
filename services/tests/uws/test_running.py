"""Jobs that run: waited for, stopped, timed out, counted, and whose turn is next."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from lxml import etree
from services.tests.serving import Served
from services.tests.uws.client import HEAVY, UWS, Client


@pytest.mark.req("UWS-3")
def test_waiting_ends_when_the_phase_changes_and_not_before(anyone: Client) -> None:
    address = anyone.create()
    begun = time.monotonic()
    assert anyone.job(address, WAIT=1)["phase"] == "PENDING"
    assert time.monotonic() - begun >= 1, "nothing changed, so the whole time was waited"
    begun = time.monotonic()
    assert anyone.job(address, WAIT=60, PHASE="EXECUTING")["phase"] == "PENDING"
    assert time.monotonic() - begun < 30, "the job is not in the phase that was named"
    anyone.post(f"{address}/phase", PHASE="RUN")
    assert anyone.job(address, WAIT="-1")["phase"] in {"EXECUTING", "COMPLETED"}
    assert anyone.ended(address) == "COMPLETED"
    begun = time.monotonic()
    anyone.job(address, WAIT=60)
    assert time.monotonic() - begun < 30, "a job that has ended changes no more"
    for wrong in ({"WAIT": "long"}, {"WAIT": "1", "PHASE": "ASLEEP"}):
        assert anyone.get(address, **wrong).status_code == 400
    anyone.http.delete(address)


@pytest.mark.req("UWS-7")
def test_an_aborted_job_makes_room_for_the_next(anyone: Client, heavy: str) -> None:
    # Those without a token have one place here, so the next waits until the query has stopped.
    following = anyone.create(PHASE="RUN")
    assert anyone.job(following)["phase"] == "QUEUED"
    begun = time.monotonic()
    answer = anyone.post(f"{heavy}/phase", PHASE="ABORT")
    assert (answer.status_code, answer.headers["location"]) == (303, heavy)
    assert anyone.job(heavy)["phase"] == "ABORTED"
    assert anyone.ended(following) == "COMPLETED"
    assert time.monotonic() - begun < 30, "the query ran on after its job was aborted"
    anyone.http.delete(following)


@pytest.mark.req("UWS-7")
def test_deleting_a_job_stops_it(anyone: Client, heavy: str) -> None:
    following = anyone.create(PHASE="RUN")
    anyone.http.delete(heavy)
    assert anyone.ended(following) == "COMPLETED"
    anyone.http.delete(following)


@pytest.mark.req("UWS-7")
def test_a_job_that_never_ran_is_aborted(anyone: Client) -> None:
    address = anyone.create()
    anyone.post(f"{address}/phase", PHASE="ABORT")
    assert anyone.job(address)["phase"] == "ABORTED"
    assert anyone.post(f"{address}/phase", PHASE="RUN").status_code == 403
    anyone.http.delete(address)


@pytest.mark.req("UWS-9")
def test_a_job_that_runs_too_long_is_aborted_with_the_reason(anyone: Client) -> None:
    address = anyone.create(HEAVY, EXECUTIONDURATION="1", PHASE="RUN")
    assert anyone.ended(address) == "ABORTED"
    document = etree.fromstring(anyone.get(address).content)
    assert "longer than the 1 s" in str(document.findtext(f".//{UWS}message"))
    anyone.http.delete(address)


@pytest.mark.req("UWS-10")
def test_a_running_job_tells_how_far_it_is(
    anyone: Client, heavy: str, valid: Callable[[bytes], None]
) -> None:
    for _ in range(200):
        document = anyone.get(heavy).content
        progress = etree.fromstring(document).find(f"{UWS}jobInfo/progress")
        if progress is not None:
            break
        anyone.job(heavy, WAIT=1)
    assert progress is not None
    valid(document)
    assert int(progress.findtext("rowsRead") or 0) >= 30_000
    assert progress.findtext("rows") == "0"
    assert anyone.get(f"{heavy}/quote").text.endswith("Z")


@pytest.mark.req("UWS-11")
def test_who_has_fewest_running_is_next(ada: Client, vera: Client) -> None:
    # Two places: ada takes both, and queues one more before vera comes.
    running = [ada.create(HEAVY) for _ in range(2)]
    for address in running:
        ada.running(address)
    later = ada.create(PHASE="RUN")
    hers = vera.create(PHASE="RUN")
    ada.http.delete(running[0])
    assert vera.ended(hers) == "COMPLETED"
    assert ada.ended(later) == "COMPLETED"
    started = {name: client.job(address)["startTime"] for name, client, address in (
        ("vera", vera, hers), ("ada", ada, later)
    )}  # fmt: skip
    assert str(started["vera"]) < str(started["ada"])
    for client, address in ((ada, running[1]), (ada, later), (vera, hers)):
        client.http.delete(address)


@pytest.mark.req("UWS-10")
def test_an_estimate_tells_what_a_query_costs(anyone: Client, worked: Served) -> None:
    def estimate(query: str, method: str = "GET") -> dict[str, Any]:
        sent = {"LANG": "ADQL", "QUERY": query}
        address = f"{worked.tap}/estimate"
        answer = (
            anyone.http.get(address, params=sent)
            if method == "GET"
            else anyone.http.post(address, data=sent)
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    every = estimate("SELECT AVG(flux) AS f FROM sky.Object")
    assert every["rows_read"] == 30_000
    assert every["tables"] == [{"name": "sky.Object", "rows": 30_000}]
    assert every["bytes_read"] > 0
    assert every["seconds"] > 0
    assert every["mode"] == "sync"
    cone = "SELECT ra FROM sky.Object WHERE DISTANCE(ra, dec, 10, -40) < 0.1"
    assert estimate(cone, "POST")["rows_read"] < every["rows_read"]
    wrong = anyone.get(
        f"{worked.tap}/estimate", LANG="ADQL", QUERY="SELECT nothing FROM sky.Object"
    )
    assert wrong.status_code == 400
    assert "nothing" in wrong.text


@pytest.mark.req("UWS-11")
def test_what_waits_and_runs_is_counted(anyone: Client, heavy: str, worked: Served) -> None:
    text = httpx.get(f"{worked.url}/metrics").text
    assert 'cerro_jobs{kind="tap",phase="EXECUTING"} 1.0' in text
    assert "cerro_job_processes 2.0" in text

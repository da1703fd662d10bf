"""Whose jobs one sees: the list and its filters, and the jobs of others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import pyvo
import requests
from services.tests.serving import Served
from services.tests.uws.client import Client


@pytest.mark.req("UWS-2")
def test_the_list_is_the_callers_own_and_is_filtered(
    ada: Client, vera: Client, anyone: Client, valid: Callable[[bytes], None]
) -> None:
    first = ada.create(RUNID="x & y")
    # AFTER tells milliseconds apart, and the next job must be later: nothing happens for a second.
    ada.job(first, WAIT=1)
    second = ada.create(PHASE="RUN")
    public = anyone.create()
    names = [address.rsplit("/", 1)[1] for address in (first, second, public)]
    assert ada.ended(second) == "COMPLETED"
    listed = ada.listed()
    assert [name for name, _ in listed][:2] == [names[1], names[0]], "the newest comes first"
    valid(ada.get(ada.list).content)
    assert names[2] not in dict(listed)
    assert not {*dict(vera.listed())} & {*names}
    assert anyone.listed() == []
    assert dict(ada.listed(PHASE="PENDING")).get(names[0]) == "PENDING"
    assert names[1] not in dict(ada.listed(PHASE="PENDING"))
    both = dict(ada.listed(PHASE=["PENDING", "COMPLETED"]))
    assert {*names[:2]} <= {*both}
    assert ada.listed(LAST=1) == [(names[1], "COMPLETED")]
    created = ada.job(first)["creationTime"]
    assert names[0] not in dict(ada.listed(AFTER=created))
    assert names[1] in dict(ada.listed(AFTER=created))
    assert ada.listed(AFTER="2100-01-01") == []
    for address, client in ((first, ada), (second, ada), (public, anyone)):
        client.http.delete(address)


@pytest.mark.req("UWS-2")
def test_pyvo_lists_jobs(worked: Served, ada: Client) -> None:
    session = requests.Session()
    session.headers["Authorization"] = "Bearer good"
    service = pyvo.dal.TAPService(worked.tap, session=session)
    address = ada.create(RUNID="listed", PHASE="RUN")
    assert ada.ended(address) == "COMPLETED"
    (job,) = service.get_job_list(phases=["COMPLETED"], last=1)
    assert (job.jobid, job.runid) == (address.rsplit("/", 1)[1], "listed")
    assert len(service.get_job(job.jobid).results) == 1
    ada.http.delete(address)


@pytest.mark.req("UWS-2")
@pytest.mark.parametrize("wrong", [{"PHASE": "ASLEEP"}, {"AFTER": "now"}, {"LAST": "-1"}])
def test_a_wrong_filter_is_refused(ada: Client, wrong: dict[str, str]) -> None:
    answer = ada.get(ada.list, **wrong)
    assert answer.status_code == 400
    assert next(iter(wrong.values())).strip("-") in answer.text


@pytest.mark.req("UWS-4")
def test_anothers_job_does_not_exist(ada: Client, vera: Client, anyone: Client) -> None:
    address = ada.create(PHASE="RUN")
    assert ada.ended(address) == "COMPLETED"
    assert ada.get(f"{address}/owner").text == "ada"
    for other in (vera, anyone):
        for path in ("", "/phase", "/parameters", "/results/result", "/error", "/owner"):
            assert other.get(address + path).status_code == 404
        assert other.post(f"{address}/phase", PHASE="ABORT").status_code == 404
        assert other.post(address, ACTION="DELETE").status_code == 404
        assert other.http.delete(address).status_code == 404
    assert ada.get(f"{address}/results/result").status_code == 200
    ada.http.delete(address)


@pytest.mark.req("UWS-4")
def test_a_job_sees_what_its_owner_may(ada: Client, vera: Client) -> None:
    for client, phase in ((vera, "COMPLETED"), (ada, "ERROR")):
        address = client.create("SELECT word FROM sky.Secret", PHASE="RUN")
        assert client.ended(address) == phase
        client.http.delete(address)


@pytest.mark.req("UWS-4")
def test_a_token_without_the_scope_or_without_meaning_is_refused(worked: Served) -> None:
    narrow = Client(worked, "narrow").get(f"{worked.tap}/async")
    assert narrow.status_code == 403
    unknown = Client(worked, "unknown").get(f"{worked.tap}/async")
    assert unknown.status_code == 401
    assert unknown.headers["www-authenticate"]

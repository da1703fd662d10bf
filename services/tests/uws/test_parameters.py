"""What a job is given before it runs: parameters, limits and uploads."""

from __future__ import annotations

import pytest
from lxml import etree
from services.tests.serving import Served
from services.tests.uws.client import QUERY, Client


@pytest.mark.req("UWS-5")
def test_parameters_and_limits_are_changed_before_the_run(anyone: Client) -> None:
    address = anyone.create("SELECT 1 AS a FROM sky.Visit", MAXREC="10")
    assert anyone.post(f"{address}/parameters", QUERY=QUERY, RUNID="new").status_code == 303
    assert anyone.job(address)["runId"] == "new"
    root = etree.fromstring(anyone.get(f"{address}/parameters").content)
    assert {one.get("id"): one.text for one in root} == {
        "LANG": "ADQL", "QUERY": QUERY, "MAXREC": "10", "RUNID": "new"
    }  # fmt: skip
    anyone.post(f"{address}/executionduration", EXECUTIONDURATION="60")
    assert anyone.get(f"{address}/executionduration").text == "60"
    for most in ("0", "999999999"):
        anyone.post(f"{address}/executionduration", EXECUTIONDURATION=most)
        assert anyone.get(f"{address}/executionduration").text == "1800", "the quota's"
    anyone.post(f"{address}/destruction", DESTRUCTION="2100-01-01T00:00:00Z")
    assert anyone.get(f"{address}/destruction").text < "2100", "within the quota's days"
    anyone.post(f"{address}/phase", PHASE="RUN")
    assert anyone.ended(address) == "COMPLETED"
    assert anyone.post(f"{address}/parameters", QUERY="SELECT").status_code == 403
    assert anyone.post(f"{address}/executionduration", EXECUTIONDURATION="9").status_code == 403
    assert anyone.post(f"{address}/phase", PHASE="RUN").status_code == 403
    anyone.http.delete(address)


@pytest.mark.req("UWS-5")
def test_a_job_whose_time_has_come_is_gone(anyone: Client, worked: Served) -> None:
    address = anyone.create()
    anyone.post(f"{address}/destruction", DESTRUCTION="2001-01-01T00:00:00Z")
    assert anyone.get(address).status_code == 404


@pytest.mark.req("UWS-6")
def test_a_job_takes_its_uploads_along(anyone: Client, worked: Served) -> None:
    query = "SELECT u.name, o.objectId FROM TAP_UPLOAD.mine AS u JOIN sky.Object AS o "
    query += "ON o.objectId = u.id"
    form = {"LANG": "ADQL", "QUERY": query, "UPLOAD": "mine,param:file", "RESPONSEFORMAT": "csv"}
    table = f"id,name\n{2**60},first\n{2**60 + 1},second\n".encode()
    files = {"file": ("mine.csv", table, "text/csv")}
    answer = anyone.http.post(anyone.list, data=form, files=files)
    assert answer.status_code == 303, answer.text
    address = answer.headers["location"]
    anyone.post(f"{address}/phase", PHASE="RUN")
    assert anyone.ended(address) == "COMPLETED", anyone.get(f"{address}/error").text
    rows = sorted(anyone.get(f"{address}/results/result").text.splitlines()[1:])
    assert rows == [f"first,{2**60}", f"second,{2**60 + 1}"]
    (folder,) = worked.settings.job_files.glob(f"*/{address.rsplit('/', 1)[1]}")
    anyone.http.delete(address)
    assert not folder.exists()


@pytest.mark.req("UWS-5")
def test_an_upload_can_be_sent_after_the_job_was_made(anyone: Client) -> None:
    address = anyone.create("SELECT a FROM TAP_UPLOAD.t")
    for values in ("1\n2\n", "3\n"):
        files = {"file": ("t.csv", f"a\n{values}".encode(), "text/csv")}
        sent = anyone.http.post(
            f"{address}/parameters", data={"UPLOAD": "t,param:file"}, files=files
        )
        assert sent.status_code == 303
    anyone.post(f"{address}/parameters", RESPONSEFORMAT="csv")
    anyone.post(f"{address}/phase", PHASE="RUN")
    assert anyone.ended(address) == "COMPLETED", anyone.get(f"{address}/error").text
    assert anyone.get(f"{address}/results/result").text.split() == ["a", "3"], "the later counts"
    anyone.http.delete(address)
    refused = anyone.http.post(anyone.list, data={"QUERY": "SELECT 1", "UPLOAD": "t,param:none"})
    assert refused.status_code == 400
    assert "'none'" in refused.text

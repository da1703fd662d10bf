"""Asynchronous queries by UWS 1.1, over real HTTP with a real worker."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pyvo
import requests
from lxml import etree
from services.tests.serving import Served

QUERY = "SELECT TOP 3 objectId, ra FROM sky.Object ORDER BY objectId"
HEAVY = (
    "SELECT COUNT(*) AS n FROM sky.Object AS a JOIN sky.Object AS b ON a.ra + b.dec < a.dec "
    "JOIN sky.Object AS c ON a.ra + b.ra + c.dec < c.flux"
)
"""Runs for hours: a join of every object with all pairs of others."""
UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
ENDED = {"COMPLETED", "ERROR", "ABORTED"}


class Client:
    """Someone who runs jobs.

    Parameters
    ----------
    served
        The services.
    token
        Their token; empty for none.
    """

    def __init__(self, served: Served, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(headers=headers, timeout=70)
        self.list = f"{served.tap}/async"

    def create(self, query: str = QUERY, **parameters: str) -> str:
        answer = self.http.post(self.list, data={"LANG": "ADQL", "QUERY": query, **parameters})
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    def get(self, address: str, **parameters: Any) -> httpx.Response:
        return self.http.get(address, params=parameters)

    def post(self, address: str, **form: str) -> httpx.Response:
        return self.http.post(address, data=form)

    def job(self, address: str, **parameters: Any) -> dict[str, str | None]:
        answer = self.get(address, **parameters)
        assert answer.status_code == 200, answer.text
        root = etree.fromstring(answer.content)
        return {child.tag.removeprefix(UWS): child.text for child in root}

    def ended(self, address: str) -> str:
        """Wait until a job has ended, and say how."""
        for _ in range(100):
            phase = self.job(address, WAIT=10)["phase"]
            if phase in ENDED:
                return str(phase)
        raise AssertionError("the job does not end")

    def running(self, address: str) -> None:
        """Run a job, and wait until it does."""
        self.post(f"{address}/phase", PHASE="RUN")
        while (phase := self.job(address, WAIT=10, PHASE="QUEUED")["phase"]) == "QUEUED":
            pass
        assert phase == "EXECUTING"

    def listed(self, **filters: Any) -> list[tuple[str, str]]:
        root = etree.fromstring(self.get(self.list, **filters).content)
        return [(job.get("id"), job.findtext(f"{UWS}phase")) for job in root]


@pytest.fixture(scope="module")
def anyone(worked: Served) -> Client:
    return Client(worked)


@pytest.fixture(scope="module")
def ada(worked: Served) -> Client:
    return Client(worked, "good")


@pytest.fixture(scope="module")
def vera(worked: Served) -> Client:
    return Client(worked, "member")


@pytest.fixture(scope="module")
def valid() -> Callable[[bytes], None]:
    """Give a function that validates a document by the schema of UWS 1.1."""
    data = Path(os.environ.get("CERRO_TRIAL_DATA", Path(__file__).parents[3] / "shared/data"))
    folder = data / "models/ivoa_xsd"
    if not folder.is_dir():
        pytest.skip(f"there are no schemas in {folder}")
    text = (folder / "ivoa-std/UWS.xsd").read_text()
    text = re.sub(r'schemaLocation="[^"]*xlink.xsd"', 'schemaLocation="xlink.xsd"', text)
    base = (folder / "gavo_dachs/jobs.xsd").as_uri()
    schema = etree.XMLSchema(etree.fromstring(text.encode(), base_url=base))

    def check(document: bytes) -> None:
        schema.assertValid(etree.fromstring(document))

    return check


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
    assert anyone.get(f"{address}/results/result").status_code == 404
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


@pytest.mark.req("UWS-2")
def test_the_list_is_the_callers_own_and_is_filtered(
    ada: Client, vera: Client, anyone: Client, valid: Callable[[bytes], None]
) -> None:
    first = ada.create(RUNID="x & y")
    time.sleep(0.01)  # AFTER takes milliseconds, and the next job must be later than the first.
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
def test_a_result_is_read_in_parts(anyone: Client) -> None:
    address = anyone.create("SELECT TOP 2000 * FROM sky.Object", PHASE="RUN")
    assert anyone.ended(address) == "COMPLETED"
    result = f"{address}/results/result"
    whole = anyone.get(result)
    assert whole.headers["content-type"] == "application/x-votable+xml;serialization=binary2"
    assert 'filename="result.' in whole.headers["content-disposition"]
    head = anyone.http.head(result)
    assert head.content == b""
    assert int(head.headers["content-length"]) == len(whole.content)
    part = anyone.http.get(result, headers={"Range": "bytes=1000-1999"})
    assert part.status_code == 206
    assert part.content == whole.content[1000:2000]
    rest = anyone.http.get(result, headers={"Range": f"bytes={len(whole.content) - 10}-"})
    assert rest.content == whole.content[-10:]
    beyond = anyone.http.get(result, headers={"Range": f"bytes={len(whole.content)}-"})
    assert beyond.status_code == 416
    anyone.http.delete(address)


@pytest.mark.req("UWS-6")
def test_the_files_of_a_job_go_with_it(anyone: Client, worked: Served) -> None:
    address = anyone.create(PHASE="RUN")
    assert anyone.ended(address) == "COMPLETED"
    identity = address.rsplit("/", 1)[1]
    (folder,) = worked.settings.job_files.glob(f"*/{identity}")
    assert (folder / "result").stat().st_size > 0
    assert folder.stat().st_mode & 0o077 == 0, "nobody else reads what may be restricted"
    anyone.http.delete(address)
    assert not folder.exists()


@pytest.fixture
def heavy(anyone: Client) -> Iterator[str]:
    """Give the address of a job that runs for minutes, running."""
    address = anyone.create(HEAVY)
    anyone.running(address)
    yield address
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


@pytest.mark.req("UWS-6")
def test_a_result_that_is_cut_says_so_in_a_header(anyone: Client) -> None:
    for maxrec, cut in (("2", "true"), ("9", "false")):
        address = anyone.create(RESPONSEFORMAT="csv", MAXREC=maxrec, PHASE="RUN")
        assert anyone.ended(address) == "COMPLETED"
        head = anyone.http.head(f"{address}/results/result")
        assert head.headers["x-cerro-overflow"] == cut
        anyone.http.delete(address)


@pytest.mark.req("UWS-11")
def test_what_waits_and_runs_is_counted(anyone: Client, heavy: str, worked: Served) -> None:
    text = httpx.get(f"{worked.url}/metrics").text
    assert 'cerro_jobs{kind="tap",phase="EXECUTING"} 1.0' in text
    assert "cerro_job_processes 2.0" in text

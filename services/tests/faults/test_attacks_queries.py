"""What attackers write into a query, over HTTP: nothing but the caller's tables can be reached.

Each attack is sent to a running service. It must be refused in the protocol's form, or give what
the words mean in ADQL; and afterwards nothing of the machine, of the database's settings or of
other people's tables stands in the answer, nor has a file appeared.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from defusedxml.ElementTree import iterparse
from services.tests.faults.queries import MEANT, QUERIES
from services.tests.serving import Served

SECRETS = ("root:", "/bin/", "memory_limit", "enable_external_access", "hidden", "CERRO_", "PATH=")
"""What must stand in no answer: /etc/passwd, settings, the table Secret, the environment."""


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.tap, timeout=60) as made:
        yield made


@pytest.fixture(autouse=True)
def _nothing_is_written() -> Iterator[None]:
    before = set(Path("/tmp").glob("cerro-attack*"))
    yield
    assert set(Path("/tmp").glob("cerro-attack*")) == before


def _status(document: bytes) -> tuple[str, str]:
    """Give the value and text of QUERY_STATUS of a VOTable."""
    for _, element in iterparse(io.BytesIO(document)):
        if element.tag.endswith("INFO") and element.get("name") == "QUERY_STATUS":
            return str(element.get("value")), element.text or ""
    raise AssertionError("no QUERY_STATUS")


def _refused(answer: httpx.Response) -> str:
    """Give the reason of a refusal, which is a VOTable that tells nothing else."""
    assert 400 <= answer.status_code < 500, answer.text[:500]
    assert answer.headers["content-type"].startswith("application/x-votable+xml")
    value, text = _status(answer.content)
    assert value == "ERROR"
    assert "Traceback" not in text
    assert "<TR>" not in answer.text
    return text


def _leaks(text: str, query: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text and secret not in query]


@pytest.mark.req("SEC-1")
@pytest.mark.parametrize("number", range(len(QUERIES)))
def test_no_query_reaches_beyond_the_tables(client: httpx.Client, number: int) -> None:
    query = QUERIES[number]
    answer = client.post("/sync", data={"LANG": "ADQL", "QUERY": query})
    reason = _refused(answer)
    assert reason.strip()
    assert not _leaks(answer.text, query)


@pytest.mark.req("SEC-1")
@pytest.mark.parametrize("name", MEANT)
def test_what_only_looks_like_an_attack_is_answered(client: httpx.Client, name: str) -> None:
    answer = client.post(
        "/sync", data={"LANG": "ADQL", "QUERY": MEANT[name], "RESPONSEFORMAT": "csv"}
    )
    assert answer.status_code == 200
    assert not _leaks(answer.text, MEANT[name])
    count = client.post(
        "/sync",
        data={"LANG": "ADQL", "QUERY": "SELECT COUNT(*) FROM Object", "RESPONSEFORMAT": "csv"},
    )
    assert count.text.split()[1] == "30000"


@pytest.mark.req("SEC-1")
def test_a_name_that_is_hidden_and_one_that_is_not_there_get_the_same_answer(
    client: httpx.Client,
) -> None:
    told = []
    for name in ("Secret", "Secrez"):
        answer = client.post("/sync", data={"LANG": "ADQL", "QUERY": f"SELECT * FROM sky.{name}"})
        told.append(_refused(answer).replace(name, "…").split("Did you")[0])
        assert f"There is no table sky.{name}." in _refused(answer)
        assert "Secret" not in _refused(answer).replace(f"sky.{name}", "")
    assert told[0].split("\n")[0] == told[1].split("\n")[0]


PARAMETERS: tuple[dict[str, Any], ...] = (
    {"RESPONSEFORMAT": "../../etc/passwd"},
    {"RESPONSEFORMAT": "text/html"},
    {"FORMAT": "<script>alert(1)</script>"},
    {"RESPONSEFORMAT": "application/x-votable+xml;serialization=../../x"},
    {"RESPONSEFORMAT": "csv\r\nSet-Cookie: a=b"},
    {"MAXREC": "-1"},
    {"MAXREC": "1; DROP TABLE Object"},
    {"MAXREC": "1e3"},
    {"MAXREC": "0x10"},
    {"MAXREC": "٣"},
    {"MAXREC": "(SELECT 1)"},
    {"LANG": "SQL"},
    {"LANG": "ADQL'; DROP TABLE Object; --"},
    {"LANG": "DuckDB"},
    {"REQUEST": "doAnything"},
    {"UPLOAD": "t,file:///etc/passwd"},
    {"UPLOAD": "t,/etc/passwd"},
    {"UPLOAD": "t,http://127.0.0.1:22/"},
    {"UPLOAD": "t,http://169.254.169.254/latest/meta-data/"},
    {"UPLOAD": "t,http://[::1]/"},
    {"UPLOAD": "t,http://localhost/"},
    {"UPLOAD": "t,gopher://127.0.0.1/"},
    {"UPLOAD": "../x,param:x"},
    {"UPLOAD": 'a"; DROP TABLE x; --,param:x'},
    {"UPLOAD": "t,param:missing"},
    {"UPLOAD": "t"},
    {"UPLOAD": ";;;"},
    {"RUNID": "x" * 100_000},
)


@pytest.mark.req("SEC-2")
@pytest.mark.parametrize("number", range(len(PARAMETERS)))
def test_no_parameter_reaches_beyond_the_tables(client: httpx.Client, number: int) -> None:
    given = PARAMETERS[number]
    query = "SELECT TOP 1 ra FROM Object"
    answer = client.post("/sync", data={"LANG": "ADQL", "QUERY": query} | given)
    if "RUNID" in given and answer.status_code == 200:
        return  # a name that the client chooses; it is free
    assert _refused(answer).strip()
    assert "set-cookie" not in answer.headers
    assert not _leaks(answer.text, "")
    assert "<script>" not in answer.text


@pytest.mark.req("SEC-1")
@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM sky.Secret",
        "SELECT ra FROM Object; DROP TABLE Object",
        "COPY (SELECT 1) TO '/tmp/cerro-attack.csv'",
        "SELECT getenv('PATH') FROM Object",
        "SELECT ra FROM Object\0",
    ],
)
def test_no_job_reaches_beyond_the_tables(worked: Served, query: str) -> None:
    with httpx.Client(timeout=60, follow_redirects=True) as client:
        made = client.post(
            f"{worked.tap}/async", data={"LANG": "ADQL", "QUERY": query, "PHASE": "RUN"}
        )
        if made.status_code >= 400:
            assert "Traceback" not in made.text
            assert not _leaks(made.text, query)
            return
        job = str(made.url)
        document = client.get(job, params={"WAIT": "30"}).text
        while "<uws:phase>ERROR" not in document:
            assert "<uws:phase>COMPLETED" not in document
            document = client.get(job, params={"WAIT": "30"}).text
        error = client.get(f"{job}/error")
        assert _status(error.content)[0] == "ERROR"
        assert not _leaks(document + error.text, query)
        assert client.get(f"{job}/results/result").status_code >= 400

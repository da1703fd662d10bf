"""Attacks by address, name, header and form: what is another's, restricted or secret stays so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from services.tests.faults.processes import Serving
from services.tests.serving import Served

from cerro_services.uploads.fetch import is_public

SECRET = "s3cr3t-t0k3n-that-nobody-may-read"
RESTRICTED = re.compile(r"\bclosed\b|\bSecret\b|\bhidden\b", re.IGNORECASE)
"""Names of what only the group data-rights may read, and a value in it."""
PATHS = (
    "/api/tap/async/{}",
    "/api/tap/async/{}/results/result",
    "/api/tap/async/{}/phase",
    "/api/tap/async/{}/error",
    "/api/tap/tables/{}",
    "/api/tap/tables/mydb.{}",
    "/api/tap/tables/user_{}.x",
    "/api/tap/permissions/{}",
    "/api/tap/table-update/{}",
    "/api/cone/{}/x?RA=1&DEC=1&SR=1",
    "/api/cone/sky/{}?RA=1&DEC=1&SR=1",
    "/api/releases/{}",
)
NAMES = (
    "%2e%2e", "..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "%00", "a%00b",
    "%0d%0aSet-Cookie:%20a=b", "%ff%fe", "%F0%9F%94%AD", "'--", "%22", '"a"".b"', "user_grace.x",
    "<script>", "a" * 3000,
)  # fmt: skip
CONE = (
    {"RA": "1'--"}, {"RA": "nan"}, {"RA": "1e999"}, {"RA": "1_0"}, {"RA": "٣"}, {"RA": "1" * 5000},
    {"DEC": "91"}, {"DEC": "1; DROP"}, {"SR": "-1"}, {"SR": "(SELECT 1)"}, {"VERB": "3; DROP"},
    {"VERB": "9" * 30}, {"RESPONSEFORMAT": "<script>"}, {"MAXREC": "x"},
)  # fmt: skip
OAI = (
    "verb=%00", "verb=<script>alert(1)</script>", "verb=ListRecords&metadataPrefix='--",
    "verb=ListRecords&metadataPrefix=ivo_vor&set=%00", "verb=ListRecords&resumptionToken=../etc",
    "verb=ListRecords&metadataPrefix=ivo_vor&from=0000-00-00", "verb=GetRecord&identifier=%00",
    "verb=GetRecord&metadataPrefix=ivo_vor&identifier=ivo://x-unregistred/closed",
    "verb=Identify&verb=Identify", "verb=Identify&%00=1", "verb=" + "x" * 5000,
)  # fmt: skip
OPEN = (
    "tap/tables", "tap/tables?detail=min", "tap/examples", "tap/capabilities", "tap/availability",
    "cone", "oai?verb=ListRecords&metadataPrefix=ivo_vor",
    "oai?verb=ListIdentifiers&metadataPrefix=ivo_vor", "oai?verb=ListSets", "oai?verb=Identify",
    "releases", "openapi.json", "../repertoire/discovery", "../metrics",
)  # fmt: skip
HINTS = (
    "SELECT * FROM Secre", "SELECT * FROM sky.Secre", "SELECT * FROM sky.Secrets",
    "SELECT * FROM close.T", "SELECT * FROM closd.T", "SELECT id, wor FROM sky.Object",
    "SELECT * FROM tap_schema.schemas", "SELECT * FROM tap_schema.tables",
    "SELECT * FROM tap_schema.columns", "SELECT * FROM tap_schema.keys",
    "SELECT * FROM tap_schema.key_columns",
)  # fmt: skip
INNER = (
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.0", "192.0.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::1", "::",  # noqa: S104
    "::ffff:127.0.0.1", "::ffff:0:127.0.0.1", "::127.0.0.1", "fec0::1", "fe80::1%eth0", "fc00::1",
    "fd00:ec2::254", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1", "not an address",
)  # fmt: skip
SMALL = {
    "tables by doubling": "WITH a0 AS (SELECT visit FROM sky.Visit)"
    + "".join(
        f", a{n + 1} AS (SELECT x.visit FROM a{n} AS x JOIN a{n} AS y ON x.visit = y.visit)"
        for n in range(25)
    )
    + " SELECT COUNT(*) AS n FROM a25",
    "texts by doubling": "WITH a0 AS (SELECT kind AS s FROM sky.Object)"
    + "".join(f", a{n + 1} AS (SELECT s || s AS s FROM a{n})" for n in range(40))
    + " SELECT TOP 5 s FROM a40",
    "parentheses": "SELECT " + "(" * 20_000 + "1" + ")" * 20_000 + " AS x FROM sky.Visit",
    "subqueries": "SELECT * FROM " + "(SELECT * FROM " * 500 + "sky.Visit" + ") AS t" * 500,
    "a list of all to all": "SELECT ivo_string_agg(a.kind, ', ') AS s "
    "FROM sky.Object AS a, sky.Object AS b",
    "a long delimiter": f"SELECT ivo_string_agg(kind, '{'x' * 100_000}') AS s FROM sky.Object",
    "a region of regions": "SELECT COUNT(*) AS n FROM sky.Object WHERE 1 = CONTAINS(POINT(ra, dec),"
    " REGION('" + "UNION (" * 2000 + "CIRCLE ICRS 1 1 1" + ")" * 2000 + "'))",
    "a unit of units": f"SELECT IN_UNIT(ra, '{'rad*' * 5000}rad') AS x FROM sky.Object",
    "a histogram of bins": "SELECT ivo_histogram(ra, 0, 360, 99999999) AS h FROM sky.Object",
    "a fine HEALPix": "SELECT ivo_healpix_index(99, ra, dec) AS h FROM sky.Object",
    "a great TOP": "SELECT TOP 99999999999999999999 visit FROM sky.Visit",
    "a long number": "SELECT " + "9" * 100_000 + " AS x FROM sky.Visit",
}


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=60) as made:
        yield made


def is_told(answer: httpx.Response) -> None:
    """Check that an answer is one of ours, that no browser runs as a page."""
    assert answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text
    assert "set-cookie" not in answer.headers
    assert "text/html" not in answer.headers.get("content-type", "")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# ---- names ---------------------------------------------------------------------------------------


@pytest.mark.req("SEC-3")
@pytest.mark.parametrize("path", PATHS)
def test_no_name_leads_elsewhere(client: httpx.Client, path: str) -> None:
    for name in NAMES:
        for headers in ({}, bearer("writer")):
            answer = client.get(path.format(name), headers=headers)
            assert answer.status_code in {400, 401, 403, 404, 405}, (name, answer.text)
            is_told(answer)
            assert "root:" not in answer.text


@pytest.mark.req("SEC-3")
@pytest.mark.parametrize("number", range(len(CONE)))
def test_no_parameter_of_a_cone_reaches_the_database(client: httpx.Client, number: int) -> None:
    answer = client.get("/api/cone/sky/Object", params={"RA": 1, "DEC": 1, "SR": 1} | CONE[number])
    assert answer.status_code == 400
    assert 'name="Error"' in answer.text
    is_told(answer)


@pytest.mark.req("SEC-3", "SEC-4")
@pytest.mark.parametrize("query", OAI)
def test_no_argument_of_the_registry_makes_it_fail(client: httpx.Client, query: str) -> None:
    answer = client.get(f"/api/oai?{query}")
    is_told(answer)
    assert "<oai:error " in answer.text
    assert "<script>" not in answer.text
    assert "Closed" not in answer.text


@pytest.mark.req("SEC-3")
def test_anothers_job_and_one_that_is_not_there_are_told_alike(client: httpx.Client) -> None:
    form = {"QUERY": "SELECT visit FROM sky.Visit", "RUNID": "<b>\r\nX-Evil: 1\0"}
    made = client.post("/api/tap/async", data=form, headers=bearer("writer"))
    assert made.status_code == 303
    address = made.headers["location"]
    none = address.rpartition("/")[0] + "/" + "a" * 24
    ways = [("GET", ""), ("DELETE", ""), ("POST", "/phase"), ("GET", "/results/result"),
            ("GET", "/parameters"), ("POST", "/parameters"), ("GET", "/owner")]  # fmt: skip
    for method, fact in ways:
        told = [
            client.request(method, one + fact, headers=bearer("good")) for one in (address, none)
        ]
        assert [one.status_code for one in told] == [404, 404]
        assert told[0].text == told[1].text
    own = client.get(address, headers=bearer("writer"))
    is_told(own)
    assert "x-evil" not in own.headers
    assert "<b>" not in own.text
    client.delete(address, headers=bearer("writer"))


@pytest.mark.req("SEC-3")
def test_names_of_people_and_groups_may_have_any_letters(client: httpx.Client) -> None:
    headers = bearer("letters")
    answer = client.get("/api/tap/capabilities", headers=headers)
    assert answer.headers["x-vo-authenticated"] == "жук"
    group = {"x-vosi-group-read": "группа".encode(), "Content-Type": "text/csv"}
    made = client.put("/api/tap/tables/mydb.t", content=b"a\n1\n", headers=headers | group)
    assert made.status_code == 201, made.text
    table = client.get("/api/tap/tables/mydb.t", headers=headers)
    assert table.headers["x-vosi-group-read"] == "группа"
    assert client.delete("/api/tap/tables/mydb.t", headers=headers).status_code == 204


@pytest.mark.req("SEC-3", "UPL-3")
@pytest.mark.parametrize("address", INNER)
def test_no_inner_address_is_public(address: str) -> None:
    assert not is_public(address)
    assert is_public("8.8.8.8")


# ---- what is restricted --------------------------------------------------------------------------


@pytest.mark.req("SEC-4", "ACC-3")
@pytest.mark.parametrize("path", OPEN)
def test_what_is_restricted_is_named_nowhere(client: httpx.Client, path: str) -> None:
    for headers in ({}, bearer("good")):
        answer = client.get(f"/api/{path}" if path[0] != "." else path[2:], headers=headers)
        assert answer.status_code == 200
        found = RESTRICTED.search(answer.text)
        assert found is None, answer.text[max(0, found.start() - 100) : found.end() + 100]


@pytest.mark.req("SEC-4")
@pytest.mark.parametrize("query", HINTS)
def test_no_hint_and_no_schema_tells_of_it(client: httpx.Client, query: str) -> None:
    for path in ("sync", "estimate"):
        form = {"QUERY": query, "RESPONSEFORMAT": "csv"}
        answer = client.post(f"/api/tap/{path}", data=form)
        assert not RESTRICTED.search(answer.text.replace(query, "")), answer.text


@pytest.mark.req("SEC-4")
def test_whom_it_is_for_sees_it(client: httpx.Client) -> None:
    answer = client.get("/api/tap/tables", headers=bearer("member"))
    assert {name.lower() for name in RESTRICTED.findall(answer.text)} == {"closed", "secret"}


# ---- what is costly ------------------------------------------------------------------------------


@pytest.mark.req("SEC-5")
@pytest.mark.parametrize("name", SMALL)
def test_a_small_query_costs_little(client: httpx.Client, name: str) -> None:
    answer = client.post("/api/tap/sync", data={"QUERY": SMALL[name], "LANG": "ADQL"})
    assert answer.status_code == 400
    assert 'value="ERROR"' in answer.text
    is_told(answer)


@pytest.mark.req("SEC-5")
@pytest.mark.parametrize(
    ("path", "token"), [("/api/oai", None), ("/api/tap/permissions/mydb.x", "writer"),
                        ("/api/tap/tables", None), ("/api/tap/sync", None),
                        ("/api/cone/sky/Object", None), ("/api/tap/estimate", None)]
)  # fmt: skip
def test_a_form_is_read_to_its_limit_and_no_further(
    client: httpx.Client, path: str, token: str | None
) -> None:
    def body() -> Iterator[bytes]:
        yield b"QUERY="
        for _ in range(20):
            yield b"x" * (1 << 20)

    headers = {"Content-Type": "application/x-www-form-urlencoded"} | (
        bearer(token) if token else {}
    )
    answer = client.post(path, content=body(), headers=headers)
    assert answer.status_code in {405, 413}
    is_told(answer)


# ---- tokens --------------------------------------------------------------------------------------


@pytest.mark.req("SEC-6")
def test_a_token_stands_nowhere(served: Served, tmp_path: Path) -> None:
    alone = served.beside(tmp_path, threads=1, workers=1)
    with (
        Serving(alone.settings, "--log-level", "debug") as serving,
        httpx.Client(base_url=serving.url, timeout=60) as client,
    ):
        for path in ("sync?QUERY=SELECT+1", "async", "capabilities", "tables/x"):
            refused = client.get(f"/api/tap/{path}", headers=bearer(SECRET))
            assert refused.status_code == 401
            assert SECRET not in refused.text + str(refused.headers)
            basic = client.get(f"/api/tap/{path}", auth=("x", SECRET))
            assert basic.status_code == 401
            assert SECRET not in basic.text + str(basic.headers)
        query = {"QUERY": "SELECT visit FROM sky.Visit", "RUNID": f"Bearer {SECRET}"}
        assert client.post("/api/tap/sync", data=query).status_code == 200
        assert SECRET not in client.get("/metrics").text
    log = serving.log.read_text()
    assert '"event": "query"' in log
    assert SECRET not in log

"""What holds for every answer: addresses, methods, other sites, gzip, request names, errors."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator

import httpx
import pytest
from astropy.io.votable import parse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from cerro_services.middleware import Front, Unforeseen

from .serving import Served

QUERY = "SELECT visit, band FROM sky.Visit ORDER BY visit"
LONG = "SELECT a.objectId, a.kind, b.ra FROM sky.Object AS a, sky.Visit AS v, sky.Object AS b"


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=30) as made:
        yield made


# ---- addresses and methods -----------------------------------------------------------------------


@pytest.mark.req("VO-7")
def test_the_address_of_tap_leads_on(client: httpx.Client) -> None:
    answer = client.get("/api/tap")
    assert answer.status_code == 200
    for path in ("tables", "examples", "capabilities", "availability"):
        assert f"/api/tap/{path}" in answer.text


@pytest.mark.req("VO-7")
@pytest.mark.parametrize("path", ["/api/tap/", "/api/tap/tables/", "/api/tap//capabilities"])
def test_a_slash_too_many_is_forgiven(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.req("VO-7")
def test_a_form_sent_to_an_address_with_a_slash_is_read(client: httpx.Client) -> None:
    answer = client.post("/api/tap/sync/", data={"QUERY": QUERY, "FORMAT": "csv"})
    assert answer.text.startswith("visit,band")


@pytest.mark.req("VO-7")
@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("DELETE", "/api/tap/capabilities", 405, "text/plain"),
        ("PUT", "/api/tap/sync", 405, "application/x-votable+xml"),
        ("GET", "/api/tap/nothing", 404, "text/plain"),
        ("GET", "/api/tap/tables/sky.Secret", 404, "text/plain"),
        ("GET", "/api/tap/async/nothing", 404, "text/plain"),
        ("DELETE", "/api/cone/sky/Object", 405, "application/x-votable+xml"),
        ("PUT", "/api/oai", 405, "text/plain"),
    ],
)
def test_what_is_not_there_is_said_in_the_words_of_the_protocol(
    client: httpx.Client, method: str, path: str, status: int, kind: str
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith(kind)
    assert "Traceback" not in answer.text
    if status == 405:
        assert "GET" in answer.headers["allow"]


@pytest.mark.req("VO-7")
@pytest.mark.parametrize(
    "path",
    [
        "/api/tap",
        "/api/tap/examples",
        "/api/tap/tables/sky.Object",
        "/api/cone/sky/Object?RA=0&DEC=0&SR=1",
        "/api/cone/sky/Object/capabilities",
        "/api/oai?verb=Identify",
        "/metrics",
    ],
)
def test_head_gives_the_headers_alone(client: httpx.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert head.status_code == get.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == get.headers["content-type"]


# ---- parameters ----------------------------------------------------------------------------------


@pytest.mark.req("VO-11")
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "parameters",
    [
        {"query": QUERY, "lang": "adql", "request": "doquery", "Version": "1.1"},
        {"QUERY": QUERY, "LANG": "ADQL-2.0", "REQUEST": "doQuery"},
        {"QUERY": QUERY, "LANG": "ADQL-2.1", "nonsense": "1", "MAXREC": "100"},
        {"QUERY": QUERY, "LANG": "ADQL", "lang": "ADQL", "MAXREC": ""},
    ],
)
def test_parameters_are_read_in_any_case(
    client: httpx.Client, method: str, parameters: dict[str, str]
) -> None:
    where = {"params": parameters} if method == "GET" else {"data": parameters}
    answer = client.request(method, "/api/tap/sync", **where)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    assert len(parse(io.BytesIO(answer.content)).get_first_table().array) == 5


@pytest.mark.req("VO-11")
def test_a_parameter_with_two_values_is_refused(client: httpx.Client) -> None:
    answer = client.get(f"/api/tap/sync?QUERY={QUERY}&MAXREC=1&maxrec=2")
    assert answer.status_code == 400
    assert "MAXREC is given more than once" in answer.text


# ---- pages of other sites ------------------------------------------------------------------------


@pytest.mark.req("VO-7")
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/tap/capabilities", 200),
        ("/api/tap/sync?QUERY=DUFF", 400),
        ("/api/tap/tables/none", 404),
        ("/api/cone/sky/Object?RA=x", 400),
        ("/api/nothing", 404),
    ],
)
def test_pages_of_other_sites_may_read_every_answer(
    client: httpx.Client, path: str, status: int
) -> None:
    answer = client.get(path, headers={"Origin": "https://a.example"})
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]


@pytest.mark.req("VO-7")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_pages_of_other_sites_may_ask_before(client: httpx.Client, method: str) -> None:
    answer = client.options(
        "/api/tap/async/x",
        headers={
            "Origin": "https://a.example",
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    )
    assert answer.status_code == 200
    assert method in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert answer.headers["server"].startswith("Cerro/")


@pytest.mark.req("VO-7", "ACC-2")
def test_a_wrong_token_is_told_how_to_send_a_right_one(client: httpx.Client) -> None:
    headers = {"Authorization": "Bearer wrong", "Origin": "https://a.example"}
    for path in ("/api/tap/capabilities", "/api/tap/sync", "/api/cone/sky/Object"):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 401
        challenges = answer.headers.get_list("www-authenticate")
        assert [c.split()[0] for c in challenges] == ["Bearer", "Basic"]
        assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.req("VO-6", "ACC-1")
def test_capabilities_offer_to_log_in_and_say_who_has(client: httpx.Client) -> None:
    answer = client.get("/api/tap/capabilities")
    assert {c.split()[0] for c in answer.headers.get_list("www-authenticate")} == {
        "Bearer",
        "Basic",
    }
    assert "x-vo-authenticated" not in answer.headers
    known = client.get("/api/tap/capabilities", headers={"Authorization": "Bearer member"})
    assert known.headers["x-vo-authenticated"] == "vera"


# ---- gzip ----------------------------------------------------------------------------------------


@pytest.mark.req("VO-8")
@pytest.mark.parametrize(
    "path",
    [
        "/api/tap/tables",
        "/api/tap/examples",
        f"/api/tap/sync?QUERY={LONG}&MAXREC=200&FORMAT=csv",
        f"/api/tap/sync?QUERY={LONG}&MAXREC=200",
        f"/api/tap/sync?QUERY={LONG}&MAXREC=200&FORMAT=votable/td",
    ],
)
def test_who_takes_gzip_gets_the_same_smaller(client: httpx.Client, path: str) -> None:
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with client.stream("GET", path, headers={"Accept-Encoding": "br, gzip;q=0.5"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["vary"]
    assert len(raw) < len(plain.content)
    assert gzip.decompress(raw) == plain.content
    refused = client.get(path, headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in refused.headers


@pytest.mark.req("VO-8")
@pytest.mark.parametrize("form", ["parquet", "fits"])
def test_what_is_packed_is_not_packed_again(client: httpx.Client, form: str) -> None:
    asked = {"QUERY": LONG, "MAXREC": "200", "FORMAT": form}
    answer = client.get("/api/tap/sync", params=asked, headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers


@pytest.mark.req("VO-8")
def test_the_first_rows_come_before_the_last_are_there(client: httpx.Client) -> None:
    # 4.5e9 rows: nobody reads them all before they send the first.
    asked = {"QUERY": LONG, "MAXREC": "10000000", "FORMAT": "votable/td"}
    with client.stream(
        "POST", "/api/tap/sync", data=asked, headers={"Accept-Encoding": "gzip"}
    ) as answer:
        first = next(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert b"<TR><TD>" in zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(first)


# ---- names of requests, and what nobody foresaw --------------------------------------------------


@pytest.mark.req("MON-2")
def test_a_request_has_a_name_or_keeps_its_own(client: httpx.Client) -> None:
    given = client.get("/api/tap/availability", headers={"X-Request-Id": "from-the-portal.1"})
    assert given.headers["x-request-id"] == "from-the-portal.1"
    made = client.get("/api/tap/availability", headers={"X-Request-Id": "a\tb {evil}"})
    assert len(made.headers["x-request-id"]) == 16


@pytest.mark.req("VO-7")
def test_what_nobody_foresaw_is_answered_in_a_line() -> None:
    async def fails(_request: Request) -> Response:
        raise RuntimeError("secret of the inner works")

    async def told(_request: Request, _error: Exception) -> Response:
        return PlainTextResponse("It failed.\n", 500)

    app = Starlette(routes=[Route("/api/x", fails)])
    app.add_middleware(Unforeseen, rendered=told)
    app.add_middleware(Front, product="Cerro/x")
    answer = TestClient(app, raise_server_exceptions=True).get("/api/x/")
    assert answer.status_code == 500
    assert answer.text == "It failed.\n"
    assert answer.headers["server"] == "Cerro/x"

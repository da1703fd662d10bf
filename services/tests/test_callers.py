"""Who may read what: tokens, groups and scopes, checked against a hub."""

from __future__ import annotations

import base64

import httpx
import pytest
from tests.support.platform import free_port

from cerro_services.access import UnauthorizedError, token_of
from cerro_services.config import Settings
from cerro_services.release import ReleaseStore

from .serving import Served, running

SECRET = "SELECT word FROM sky.Secret ORDER BY id"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def asked(served: Served, authorization: str | None, query: str = SECRET) -> httpx.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    parameters = {"QUERY": query, "RESPONSEFORMAT": "csv"}
    return httpx.get(f"{served.tap}/sync", params=parameters, headers=headers)


@pytest.mark.req("ACC-1")
@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer member",
        "bearer member",
        "token member",
        basic("anything", "member"),
        basic("member", "x-oauth-basic"),
        basic("member", ""),
    ],
)
def test_a_token_is_taken_as_bearer_token_and_basic(served: Served, authorization: str) -> None:
    assert asked(served, authorization).text.split() == ["word", "hidden", "deep"]


@pytest.mark.req("ACC-1")
def test_no_token_is_the_public_caller(served: Served) -> None:
    answer = asked(served, None, "SELECT COUNT(*) AS n FROM sky.Visit")
    assert answer.text.split() == ["n", "5"]


@pytest.mark.req("ACC-1")
def test_the_owner_of_a_token_is_asked_for_once(served: Served) -> None:
    # Other tests, and other services that they start, ask the same hub.
    before = served.asked.count("good")
    for _ in range(3):
        asked(served, "Bearer good", "SELECT band FROM sky.Visit")
    assert served.asked.count("good") >= 1
    assert served.asked.count("good") - before <= 1


@pytest.mark.req("ACC-2")
@pytest.mark.parametrize(
    "authorization", ["Bearer wrong", basic("ada", "wrong"), "Bearer", "Basic !", "Digest x", "x"]
)
@pytest.mark.parametrize("path", ["sync", "tables", "capabilities"])
def test_a_wrong_token_gets_challenges(served: Served, authorization: str, path: str) -> None:
    parameters = {"QUERY": "SELECT band FROM sky.Visit"}
    answer = httpx.get(
        f"{served.tap}/{path}", params=parameters, headers={"Authorization": authorization}
    )
    assert answer.status_code == 401
    challenges = answer.headers.get_list("www-authenticate")
    assert [challenge.split()[0] for challenge in challenges] == ["Bearer", "Basic"]
    assert "oken" in answer.text


@pytest.mark.req("ACC-2")
def test_a_token_with_odd_signs_is_refused_without_asking(served: Served) -> None:
    before = len(served.asked)
    headers = {"Authorization": basic("", "a\r\nX-Evil: 1")}
    assert httpx.get(f"{served.tap}/tables", headers=headers).status_code == 401
    assert len(served.asked) == before


@pytest.mark.req("ACC-2")
@pytest.mark.parametrize("header", ["Basic", "Bearer ", "Negotiate abc", basic("", "")])
def test_a_header_without_a_token_is_refused(header: str) -> None:
    with pytest.raises(UnauthorizedError):
        token_of(header)


@pytest.mark.req("ACC-3")
@pytest.mark.parametrize("authorization", [None, "Bearer good"])
def test_what_a_caller_may_not_read_does_not_exist(
    served: Served, authorization: str | None
) -> None:
    hidden = asked(served, authorization)
    absent = asked(served, authorization, SECRET.replace("Secret", "Sacred"))
    assert hidden.status_code == absent.status_code == 400
    assert "There is no table sky.Secret" in hidden.text
    assert "Secret" not in absent.text
    for query in (
        "SELECT table_name FROM tap_schema.tables",
        "SELECT table_name FROM tap_schema.columns",
        "SELECT schema_name FROM tap_schema.schemas",
    ):
        listed = asked(served, authorization, query).text
        assert "Secret" not in listed
        assert "closed" not in listed
    headers = {} if authorization is None else {"Authorization": authorization}
    for path in ("api/tap/tables", "api/releases", "repertoire/discovery"):
        text = httpx.get(f"{served.url}/{path}", headers=headers).text
        assert "sky" in text
        assert "Secret" not in text
        assert "closed" not in text
    for name in ("sky.Secret", "closed.T", "closed"):
        assert httpx.get(f"{served.tap}/tables/{name}", headers=headers).status_code == 404


@pytest.mark.req("ACC-3")
def test_a_member_of_the_group_sees_and_reads_all(served: Served) -> None:
    headers = {"Authorization": "Bearer member"}
    tables = httpx.get(f"{served.tap}/tables", headers=headers).text
    assert "sky.Secret" in tables
    assert "closed.T" in tables
    assert asked(served, "Bearer member", "SELECT SUM(a) AS s FROM closed.T").text.split() == [
        "s",
        "6",
    ]


@pytest.mark.req("ACC-4")
def test_a_token_without_the_scope_is_forbidden(served: Served) -> None:
    answer = asked(served, "Bearer narrow", "SELECT band FROM sky.Visit")
    assert answer.status_code == 403
    assert "custom:read:tap" in answer.text
    assert "www-authenticate" not in answer.headers


@pytest.mark.req("ACC-1")
def test_without_the_hub_the_public_goes_on_and_tokens_wait(
    store: ReleaseStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    port = free_port()
    settings = Settings(
        home=tmp_path_factory.mktemp("alone"),
        releases=store.root,
        hub_api_url=f"http://127.0.0.1:{free_port()}/hub/api",
        threads=1,
    )
    with running(settings, port):
        alone = Served(f"http://127.0.0.1:{port}", [], settings)
        assert asked(alone, None, "SELECT band FROM sky.Visit").status_code == 200
        answer = asked(alone, "Bearer good", "SELECT band FROM sky.Visit")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "Hub does not answer" in answer.text


@pytest.mark.req("ACC-3")
def test_what_everybody_may_ask_tells_nothing_of_closed_releases(served: Served) -> None:
    for path in ("healthz", "api/healthz", "api/tap/availability"):
        answer = httpx.get(f"{served.url}/{path}")
        assert answer.status_code == 200
        assert "closed" not in answer.text
        assert "releases" not in answer.text, "not even how many there are"


@pytest.mark.req("ACC-5")
@pytest.mark.parametrize("path", ["api/tap/tables", "api/releases", "api/tap/sync", "api/nothing"])
def test_every_answer_tells_browsers_that_it_is_no_page(served: Served, path: str) -> None:
    headers = httpx.get(f"{served.url}/{path}").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.req("ACC-5")
def test_no_answer_leads_to_a_host_that_the_client_names(served: Served) -> None:
    answer = httpx.get(f"{served.url}/api/releases/", headers={"Host": "elsewhere.example"})
    assert answer.status_code == 200, "a slash too many is forgiven, not redirected"
    assert "elsewhere" not in answer.text + str(answer.headers)


@pytest.mark.req("ACC-5")
def test_no_page_loads_scripts_of_another_host(served: Served) -> None:
    for path in ("api/openapi", "docs", "api/docs", "redoc"):
        assert httpx.get(f"{served.url}/{path}").status_code == 404

"""The token goes to the platform's host and nowhere else, and failures say what to do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import cerro
from cerro import config
from cerro.errors import (
    NotPermittedError,
    QueryError,
    ServiceDownError,
    TokenRejectedError,
    UnexpectedAnswerError,
    UnknownTableError,
)
from cerro.session import call, open_session

ERROR_VOTABLE = b"""<VOTABLE version="1.5" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
<RESOURCE type="results"><INFO name="QUERY_STATUS" value="ERROR">line 1, column 8: what is this?
  SELECT foo FROM bar
         ^^^</INFO></RESOURCE></VOTABLE>"""


class Peer(BaseHTTPRequestHandler):
    """Answers by path: ``/status/N`` with a status, ``/to/URL`` with a redirect."""

    def do_GET(self) -> None:
        self.server.seen.append(self.headers.get("Authorization"))  # type: ignore[attr-defined]
        _, kind, *rest = self.path.split("/", 2)
        if kind == "to":
            self.send_response(302)
            self.send_header("Location", rest[0])
            self.end_headers()
            return
        status, body = (int(rest[0]), b"a reason") if kind == "status" else (200, b"<html></html>")
        if kind == "votable":
            status, body = int(rest[0]), ERROR_VOTABLE
        self.send_response(status)
        self.send_header("Content-Type", "text/xml" if kind == "votable" else "text/plain")
        if status == 503:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Keep the tests' output clean."""


def listen() -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Peer)
    server.seen = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


@pytest.fixture
def peers() -> Iterator[tuple[ThreadingHTTPServer, ThreadingHTTPServer]]:
    servers = listen(), listen()
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def ours(peers: tuple[ThreadingHTTPServer, ThreadingHTTPServer]) -> config.Connection:
    return config.Connection(f"http://127.0.0.1:{peers[0].server_port}/", "secret", "login")


@pytest.mark.req("CLI-2")
def test_the_token_goes_to_our_host_only(
    peers: tuple[ThreadingHTTPServer, ThreadingHTTPServer], ours: config.Connection
) -> None:
    other = f"http://127.0.0.1:{peers[1].server_port}/status/200"
    with open_session(ours) as session:
        session.get(ours.address("status/200"))
        session.get(other)
        session.get(ours.address(f"to/{other}"))
    assert peers[0].seen == ["Bearer secret", "Bearer secret"]  # type: ignore[attr-defined]
    assert peers[1].seen == [None, None]  # type: ignore[attr-defined]


@pytest.mark.req("CLI-5")
@pytest.mark.parametrize(
    ("path", "error", "says"),
    [
        ("status/401", TokenRejectedError, "cerro login"),
        ("status/403", NotPermittedError, "hub/token"),
        ("status/404", UnexpectedAnswerError, "address"),
        ("status/500", UnexpectedAnswerError, "500.*a reason"),
        ("status/503", ServiceDownError, "in 7 s"),
        ("votable/400", QueryError, "line 1, column 8(.|\n)*\\^\\^\\^"),
    ],
)
def test_each_failure_says_what_to_do(
    ours: config.Connection, path: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        call(ours, "GET", path)


@pytest.mark.req("CLI-5")
def test_a_service_that_is_down_is_named(ours: config.Connection) -> None:
    down = config.Connection("http://127.0.0.1:9/", None)
    with pytest.raises(ServiceDownError, match=r"http://127\.0\.0\.1:9/ .*refused.*cerro status"):
        call(down, "GET", "api/releases")


@pytest.mark.req("CLI-5")
def test_an_address_of_something_else_is_said(
    ours: config.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CERRO_URL", ours.url)
    with pytest.raises(UnexpectedAnswerError, match="address of a Cerro platform"):
        cerro.releases()


@pytest.mark.req("CLI-5")
def test_an_unknown_table_is_a_kind_of_query_error() -> None:
    assert issubclass(UnknownTableError, QueryError)


@pytest.mark.req("CLI-4")
def test_a_proxy_of_the_outside_world_is_not_asked_for_this_machine(
    ours: config.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert call(ours, "GET", "status/200").ok

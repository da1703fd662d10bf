"""What the portal answers, by HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
import requests
from tests.support.platform import free_port
from tests.support.serving import ROWS, Serving, serving
from tests.support.waiting import eventually

from .conftest import portal_process


def text(page: str) -> str:
    """Give what a reader sees of a page: no markup, single spaces."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


@pytest.fixture(scope="module")
def home(portal: str) -> str:
    # The services' first query can take longer than a visitor is kept waiting for its columns.
    return eventually(
        lambda: (
            page if "id, ra, dec" in (page := requests.get(f"{portal}/", timeout=10).text) else ""
        ),
        "the example query has columns",
        30,
    )


@pytest.fixture(scope="module")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a portal whose services are down, and without documentation."""
    folder = tmp_path_factory.mktemp("lonely")
    with portal_process(folder, f"http://127.0.0.1:{free_port()}/") as address:
        yield address


@pytest.mark.req("HOME-1")
def test_home_lists_the_releases_with_their_tables(home: str) -> None:
    seen = text(home)
    for words in (
        "A tiny <b>bold</b> one",
        "public",
        "version 1",
        "Star",
        "Stars that nobody saw.",
    ):
        assert words in seen
    assert str(ROWS) in seen


@pytest.mark.req("HOME-1")
def test_home_leads_to_everything(home: str) -> None:
    links = set(re.findall(r'href="([^"]+)"', home))
    assert {"/hub/login?next=%2F", "/hub/spawn", "/hub/token", "/docs/"} <= links
    assert "https://sky.example/api/tap" in text(home)
    assert "cerro login https://sky.example/" in text(home)


@pytest.mark.req("HOME-1")
def test_the_example_query_runs(home: str, served: Serving) -> None:
    (example,) = re.findall(r"<code>(SELECT [^<]+)</code>", home)
    assert example.split() == ["SELECT", "TOP", "10", "id,", "ra,", "dec", "FROM", "tiny.Star"]
    form = {"LANG": "ADQL", "QUERY": example, "RESPONSEFORMAT": "csv"}
    answer = requests.post(f"{served.services_url}api/tap/sync", data=form, timeout=30)
    assert len(answer.text.splitlines()) == 11


@pytest.mark.req("HOME-1")
def test_markup_in_a_title_is_shown_as_text(home: str) -> None:
    assert "<b>bold</b>" not in home
    assert "&lt;b&gt;bold&lt;/b&gt;" in home


@pytest.mark.req("HOME-1")
def test_home_says_when_services_are_down(lonely: str) -> None:
    answer = requests.get(f"{lonely}/", timeout=10)
    assert answer.status_code == 200
    assert "does not answer" in text(answer.text)
    assert requests.get(f"{lonely}/healthz", timeout=10).ok


@pytest.mark.req("HOME-1")
def test_home_says_when_nothing_is_published(tmp_path: Path) -> None:
    store = tmp_path / "releases"
    store.mkdir()
    with (
        serving(store, tmp_path) as served,
        portal_process(tmp_path, served.services_url) as address,
    ):
        page = requests.get(f"{address}/", timeout=10).text
    assert "No release is published here yet" in text(page)


@pytest.mark.req("HOME-1")
def test_documentation_is_served_or_its_absence_explained(portal: str, lonely: str) -> None:
    assert "Getting started" in requests.get(f"{portal}/docs/", timeout=10).text
    assert requests.get(f"{portal}/docs", timeout=10).url.endswith("/docs/")
    missing = requests.get(f"{lonely}/docs/", timeout=10)
    assert missing.status_code == 404
    assert "make docs" in text(missing.text)


@pytest.mark.req("HOME-1")
@pytest.mark.parametrize("path", ["/nowhere", "/docs/nowhere.html", "/static/cerro/nowhere.css"])
def test_an_unknown_address_gets_our_page(portal: str, path: str) -> None:
    answer = requests.get(portal + path, timeout=10)
    assert answer.status_code == 404
    assert "There is nothing at this address" in answer.text


@pytest.mark.req("HOME-1")
@pytest.mark.parametrize(
    "path", ["/docs/../../../etc/passwd", "/docs/%2e%2e/%2e%2e/etc/passwd", "/static/cerro/..%2fx"]
)
def test_no_file_outside_is_served(portal: str, path: str) -> None:
    request = requests.Request("GET", portal).prepare()
    request.url = portal + path
    with requests.Session() as session:
        assert session.send(request, timeout=10).status_code == 404


@pytest.mark.req("HOME-1")
def test_the_portal_address_leads_home(portal: str) -> None:
    assert requests.get(f"{portal}/portal/", timeout=10).url == f"{portal}/"


@pytest.mark.req("HOME-2")
def test_pages_carry_a_strict_policy(portal: str) -> None:
    for path in ("/", "/nowhere"):
        policy = requests.get(portal + path, timeout=10).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert not re.search(r"https?:|\*", policy)


@pytest.mark.req("HOME-1")
def test_static_files_are_kept_by_browsers_until_they_change(portal: str, home: str) -> None:
    (style,) = re.findall(r'href="(/static/cerro/cerro\.css\?v=\w+)"', home)
    fresh = requests.get(portal + style, timeout=10)
    assert "immutable" in fresh.headers["Cache-Control"]
    plain = requests.get(portal + style.partition("?")[0], timeout=10)
    assert "immutable" not in plain.headers["Cache-Control"]
    assert requests.get(f"{portal}/", timeout=10).headers["Cache-Control"] == "no-cache"

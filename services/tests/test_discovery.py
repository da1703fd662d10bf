"""Discovery as Rubin's own client reads it, and the list of releases."""

from __future__ import annotations

import httpx
import pytest
from lsst.rsp import RSPDiscovery

from .serving import Served
from .sky import ROWS


@pytest.mark.req("DISC-1")
def test_lsst_rsp_finds_tap_and_asks_it(served: Served) -> None:
    url = f"{served.url}/repertoire"
    assert RSPDiscovery.list_datasets(discovery_url=url) == ["sky"]
    found = RSPDiscovery("sky", discovery_url=url, token="good")
    assert found.get_service_url("tap") == served.tap
    table = found.get_tap_client().search("SELECT COUNT(*) AS n FROM sky.Object").to_table()
    assert table["n"][0] == ROWS


@pytest.mark.req("DISC-1")
def test_discovery_shows_what_the_caller_may_see(served: Served) -> None:
    url = f"{served.url}/repertoire/discovery"
    public = httpx.get(url).json()
    member = httpx.get(url, headers={"Authorization": "Bearer member"}).json()
    assert set(public["datasets"]) == {"sky"}
    assert set(member["datasets"]) == {"sky", "closed"}
    assert public["services"]["ui"]["portal"]["url"] == f"{served.url}/"
    assert public["influxdb_databases"] == {}


@pytest.mark.req("DISC-1")
def test_releases_are_listed_with_their_tables(served: Served) -> None:
    (release,) = httpx.get(f"{served.url}/api/releases").json()
    assert release["name"] == "sky"
    assert release["title"] == "The sky"
    assert release["version"] == "1"
    assert release["public"] is True
    assert [(table["name"], table["nrows"]) for table in release["tables"]] == [
        ("Object", ROWS),
        ("Source", 2000),
        ("Visit", 5),
    ]
    headers = {"Authorization": "Bearer member"}
    member = httpx.get(f"{served.url}/api/releases", headers=headers).json()
    assert {r["name"]: r["public"] for r in member} == {"sky": True, "closed": False}

"""What the service says of itself: capabilities, availability, tables; HEAD and CORS."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest
import pyvo
from lxml import etree
from services.tests.serving import Served, running
from services.tests.sky import ROWS
from tests.support.platform import free_port

from cerro_services.config import Settings
from cerro_services.release import ReleaseStore


@pytest.mark.req("TAP-5")
def test_capabilities_name_the_address_languages_formats_and_limits(
    tap: pyvo.dal.TAPService, client: httpx.Client, served: Served
) -> None:
    (capability,) = [c for c in tap.capabilities if c.standardid == "ivo://ivoa.net/std/TAP"]
    assert capability.interfaces[0].accessurls[0].content == served.tap
    adql = capability.get_adql()
    assert {v.content for v in adql.versions} == {"2.0", "2.1"}
    geometry = adql.get_feature_list("ivo://ivoa.net/std/TAPRegExt#features-adqlgeo")
    assert {"POINT", "CIRCLE", "POLYGON", "DISTANCE"} <= {feature.form for feature in geometry}
    assert tap.hardlimit == 10_000_000
    assert client.get("capabilities").headers["server"].startswith("Cerro/")


@pytest.mark.req("TAP-5")
def test_availability_is_true_only_if_queries_are_answered(
    client: httpx.Client, store: ReleaseStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name = "{http://www.ivoa.net/xml/VOSIAvailability/v1.0}available"
    assert etree.fromstring(client.get("availability").content).findtext(name) == "true"
    folder = tmp_path_factory.mktemp("broken")
    broken = folder / "releases"
    _copy_without_data(store, broken)
    port = free_port()
    with running(Settings(home=folder, releases=broken, threads=1), port):
        answer = httpx.get(f"http://127.0.0.1:{port}/api/tap/availability")
        assert etree.fromstring(answer.content).findtext(name) == "false"


def _copy_without_data(store: ReleaseStore, target: Path) -> None:
    shutil.copytree(store.root, target)
    for path in target.rglob("Npix=*.parquet"):
        path.write_bytes(b"")


@pytest.mark.req("TAP-5")
def test_tables_can_be_listed_without_columns_and_one_by_one(client: httpx.Client) -> None:
    brief = etree.fromstring(client.get("tables", params={"detail": "min"}).content)
    assert brief.findall(".//column") == []
    assert "sky.Object" in {name.text for name in brief.iterfind(".//table/name")}
    table = etree.fromstring(client.get("tables/sky.Object").content)
    assert table.findtext("name") == "sky.Object"
    assert len(table.findall("column")) == 10
    assert table.findtext("nrows") == str(ROWS)
    assert client.get("tables/sky.Nothing").status_code == 404


@pytest.mark.req("TAP-5")
@pytest.mark.parametrize(
    "path",
    ["capabilities", "availability", "tables", "sync?QUERY=SELECT+band+FROM+sky.Visit"],
)
def test_head_gives_the_headers_and_no_body(client: httpx.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.req("TAP-5")
def test_pages_of_other_sites_may_ask(client: httpx.Client) -> None:
    answer = client.get("capabilities", headers={"Origin": "https://portal.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "authorization"}  # fmt: skip
    assert client.options("sync", headers=asked).status_code == 200

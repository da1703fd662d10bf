"""Real catalogues and real exposures, published by the documented commands and asked with pyvo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import pyvo
import requests

from tests.support.platform import ROOT, Platform
from tests.support.tokens import token_for

TYCHO2_ROWS = 2_539_913


def tap(platform: Platform, token: str | None = None) -> pyvo.dal.TAPService:
    """Connect as TOPCAT does: a token goes as the password of Basic."""
    session = requests.Session()
    if token:
        session.auth = ("x-oauth-basic", token)
    return pyvo.dal.TAPService(platform.tap_url, session=session)


def table_names(platform: Platform, token: str | None = None) -> set[str]:
    """List the tables that TAP_SCHEMA shows to a caller."""
    rows = tap(platform, token).search("SELECT table_name FROM TAP_SCHEMA.tables")
    return {str(row["table_name"]) for row in rows}


@pytest.fixture(scope="module")
def tycho2(platform: Platform, trial_data: Path) -> Platform:
    """Publish Tycho-2, public."""
    if "tycho2" not in platform.cerro("release", "list").stdout:
        schema = ROOT / "docs/examples/tycho2.yaml"
        platform.cerro("release", "create", "tycho2", "--schema", str(schema), "--title", "Tycho-2")
        table = trial_data / "catalogs/tycho2/tycho2.parquet"
        platform.cerro("release", "ingest", "tycho2", "Tycho2", str(table))
        platform.cerro("release", "publish", "tycho2")
    return platform


@pytest.fixture(scope="module")
def vista(
    platform: Platform, trial_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Platform:
    """Reduce the eight VISTA exposures and publish them for holders of data rights."""
    if "vista" not in platform.cerro("release", "list").stdout:
        work = tmp_path_factory.mktemp("vista")
        repo, schema = work / "repo", work / "vista.yaml"
        exposures = sorted((trial_data / "images/vista_H_xmmlss_8exp/exposures").glob("*.fits"))
        platform.cerro(
            "pipeline", "ingest", str(repo), *map(str, exposures), "--instrument", "vircam"
        )
        platform.cerro("pipeline", "reduce", str(repo), "--output", "vista/drp")
        platform.cerro("pipeline", "schema", str(repo), "--name", "vista", "-o", str(schema))
        platform.cerro(
            "release",
            "create",
            "vista",
            "--schema",
            str(schema),
            "--title",
            "VISTA in XMM-LSS",
            "--access",
            "data-rights",
        )
        platform.cerro(
            "release", "ingest", "vista", "--butler", str(repo), "--collection", "vista/drp"
        )
        platform.cerro("release", "publish", "vista")
    return platform


@pytest.fixture(scope="module")
def tokens(platform: Platform) -> Iterator[dict[str, str]]:
    """Make two users, one with data rights and one without, and a token for each."""
    made = {}
    for name, groups in {"holder": ["--group", "data-rights"], "visitor": []}.items():
        password = f"a long password of {name}"
        platform.cerro("user", "add", name, "--password-stdin", *groups, stdin=password)
        made[name] = token_for(platform, name, password)
    yield made
    for name in made:
        platform.cerro("user", "remove", name)


@pytest.mark.req("RUN-3", "TAP-1")
def test_tycho2_is_public(tycho2: Platform) -> None:
    service = tap(tycho2)
    assert service.search("SELECT COUNT(*) AS n FROM tycho2.Tycho2")[0]["n"] == TYCHO2_ROWS


@pytest.mark.req("RUN-3", "ACC-3")
def test_a_restricted_release_exists_for_its_group_alone(
    vista: Platform, tokens: dict[str, str]
) -> None:
    query = "SELECT COUNT(*) AS n FROM vista.Object"
    assert tap(vista, tokens["holder"]).search(query)[0]["n"] > 2_000
    assert "vista.Object" in table_names(vista, tokens["holder"])
    for token in (None, tokens["visitor"]):
        assert not any(name.startswith("vista.") for name in table_names(vista, token))
        with pytest.raises(pyvo.dal.DALQueryError, match=r"vista\.Object"):
            tap(vista, token).search(query)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        releases = requests.get(f"{vista.url}api/releases", headers=headers, timeout=30).json()
        assert "vista" not in {release["name"] for release in releases}


@pytest.mark.req("RUN-3", "PIPE-9")
def test_vista_objects_have_repeated_photometry(vista: Platform, tokens: dict[str, str]) -> None:
    rows = tap(vista, tokens["holder"]).search(
        "SELECT TOP 10 o.objectId, COUNT(*) AS n FROM vista.Object AS o"
        " JOIN vista.ForcedSource AS f ON f.objectId = o.objectId"
        " GROUP BY o.objectId ORDER BY n DESC"
    )
    assert rows[0]["n"] == 8


@pytest.mark.req("RUN-3", "ACC-1")
def test_a_token_serves_as_bearer_and_as_basic(platform: Platform, tokens: dict[str, str]) -> None:
    for authorization in ({"Authorization": f"Bearer {tokens['visitor']}"}, None):
        response = requests.get(
            f"{platform.tap_url}/sync",
            params={"LANG": "ADQL", "QUERY": "SELECT TOP 1 objectId FROM sim.Object"},
            headers=authorization,
            auth=None if authorization else ("anything", tokens["visitor"]),
            timeout=30,
        )
        assert response.status_code == 200


@pytest.mark.req("RUN-3", "ACC-2")
def test_a_wrong_token_is_told_how_to_come_in(platform: Platform) -> None:
    response = requests.get(
        f"{platform.tap_url}/tables", headers={"Authorization": "Bearer wrong"}, timeout=30
    )
    assert response.status_code == 401
    challenges = response.headers["WWW-Authenticate"].lower()
    assert "bearer" in challenges
    assert "basic" in challenges


@pytest.mark.req("PIPE-2", "PIPE-7")
def test_the_demo_release_is_worth_asking(platform: Platform) -> None:
    service = tap(platform)
    assert service.search("SELECT COUNT(*) AS n FROM sim.Object")[0]["n"] >= 5_000
    variables = "SELECT COUNT(*) AS n FROM sim.TruthObject WHERE variableType IS NOT NULL"
    assert service.search(variables)[0]["n"] >= 100
    visits = service.search("SELECT band, COUNT(*) AS n FROM sim.Visit GROUP BY band")
    assert {str(row["band"]): row["n"] >= 6 for row in visits} == dict.fromkeys("gri", True)

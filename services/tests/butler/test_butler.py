"""The Butler server: what a real client sees of it, and who sees what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from uuid import UUID

import httpx
import pyarrow as pa
import pytest
from pyarrow import parquet
from services.tests.serving import TOKENS, Hub, running
from tests.support.platform import free_port

from cerro_services.config import Settings
from cerro_services.release import ReleaseStore
from cerro_services.release.access import Access
from cerro_services.release.description import Description
from cerro_services.release.draft import Drafts
from cerro_services.release.publish import Publisher

SCHEMA = (
    "name: {0}\n'@id': '#{0}'\ntables:\n- name: DiaSource\n  '@id': '#T'\n  columns:\n"
    "  - {{name: a, '@id': '#T.a', datatype: int}}\n"
)
KINDS = ("summary", "secret", "dia_source_visit")
CLIENT = """
import json, sys
from lsst.daf.butler import Butler, MissingDatasetTypeError
label, kind = sys.argv[1:]
butler = Butler(label, collections="run")
said = {"types": sorted(t.name for t in butler.registry.queryDatasetTypes(...))}
said["seen"] = sorted(butler.collections.get_info("run", include_summary=True).dataset_types)
try:
    refs = butler.query_datasets(kind)
    said["found"] = [str(ref.id) for ref in refs]
    said["got"] = butler.get(kind, instrument="Cam")
    butler.retrieveArtifacts(refs, sys.argv[0] + ".d/", transfer="copy")
except MissingDatasetTypeError:
    said["missing"] = True
print(json.dumps(said))
"""


@dataclass(frozen=True)
class Site:
    """Services with releases that have repositories.

    Parameters
    ----------
    url
        Their address.
    store
        The releases.
    folder
        For what tests write.
    ids
        The dataset of each type of `field`.
    """

    url: str
    store: ReleaseStore
    folder: Path
    ids: dict[str, UUID]

    def get(self, path: str, token: str | None = None, **headers: str) -> httpx.Response:
        """Get something of the Butler server."""
        return httpx.get(f"{self.url}/api/butler{path}", headers=_given(token, headers), timeout=60)

    def post(self, path: str, body: object, token: str | None = None) -> httpx.Response:
        """Ask the Butler server something."""
        url = f"{self.url}/api/butler/repo/{path}"
        return httpx.post(url, json=body, headers=_given(token, {}), timeout=60)

    def client(self, label: str, kind: str, token: str = "public") -> dict[str, object]:  # noqa: S107
        """Use the stock client in a process of its own, as a laptop does."""
        told = {
            "DAF_BUTLER_REPOSITORIES": json.dumps(
                {label: f"{self.url}/api/butler/repo/{label}/butler.yaml"}
            ),
            "BUTLER_RUBIN_ACCESS_TOKEN": token,
        }
        script = self.folder / f"client-{label}-{kind}-{token}.py"
        script.write_text(CLIENT)
        command = [sys.executable, str(script), label, kind]
        ran = subprocess.run(
            command, env=os.environ | told, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        said: dict[str, object] = json.loads(ran.stdout)
        return said


def _given(token: str | None, headers: dict[str, str]) -> dict[str, str]:
    return headers | ({"Authorization": f"Bearer {token}"} if token else {})


def _published(store: ReleaseStore, folder: Path, name: str, access: object) -> dict[str, UUID]:
    """Publish a release with a Butler repository; give its datasets."""
    from lsst.daf.butler import Butler, DatasetType

    (folder / f"{name}.yaml").write_text(SCHEMA.format(name))
    parquet.write_table(pa.table({"a": pa.array([1], pa.int32())}), folder / "t.parquet")
    rules = Access.from_document(access)
    Drafts(store).create(Description(name, name, rules), folder / f"{name}.yaml")
    Drafts(store).ingest(name, "DiaSource", [folder / "t.parquet"])
    Publisher(store).publish(name)
    root = str(store.open(name).root / "butler")
    butler = Butler.from_config(Butler.makeRepo(root), writeable=True, run="run")
    butler.registry.insertDimensionData("instrument", {"name": "Cam", "class_name": "x.Cam"})
    ids = {}
    for kind in KINDS:
        made = DatasetType(kind, ["instrument"], "StructuredDataDict", universe=butler.dimensions)
        butler.registry.registerDatasetType(made)
        ids[kind] = butler.put({"kind": kind}, kind, instrument="Cam").id
    butler.close()
    return ids


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve `field`, of which two dataset types are for a group, and `shut`, all of which is."""
    folder = tmp_path_factory.mktemp("butler")
    store = ReleaseStore(folder / "releases")
    rules = {
        "default": "public",
        "tables": {"DiaSource": ["data-rights"]},
        "datasets": {"secret": ["data-rights"]},
    }
    ids = _published(store, folder, "field", rules)
    _published(store, folder, "shut", ["data-rights"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TOKENS, "looker", _owner("ada", []))
        patch.setitem(TOKENS, "insider", _owner("vera", ["data-rights"]))
        asked: list[str] = []
        hub = ThreadingHTTPServer(("127.0.0.1", 0), type("Hub", (Hub,), {"asked": asked}))
        threading.Thread(target=hub.serve_forever, args=(0.05,), daemon=True).start()
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        settings = Settings(
            home=folder / "home",
            releases=store.root,
            external_url=url,
            hub_api_url=f"http://127.0.0.1:{hub.server_port}/hub/api",
            memory="500MB",
        )
        with running(settings, port):
            yield Site(url, store, folder, ids)
        hub.shutdown()
        hub.server_close()


def _owner(name: str, groups: list[str]) -> dict[str, object]:
    return {"name": name, "groups": groups, "scopes": ["custom:read:image"]}


@pytest.mark.req("API-BTL-1")
def test_the_stock_client_queries_and_reads_a_release(site: Site) -> None:
    said = site.client("field", "summary")
    assert said["found"] == [str(site.ids["summary"])]
    assert said["got"] == {"kind": "summary"}


@pytest.mark.req("API-BTL-2")
def test_what_a_caller_may_not_read_does_not_exist_for_the_client(site: Site) -> None:
    said = site.client("field", "secret")
    assert said["types"] == said["seen"] == ["summary"]
    assert said["missing"]
    known = site.client("field", "secret", "insider")
    assert known["types"] == known["seen"] == sorted(KINDS)
    assert known["got"] == {"kind": "secret"}
    # A rule of a table holds for the datasets that it is made of.
    assert site.client("field", "dia_source_visit")["missing"]


@pytest.mark.req("API-BTL-2")
@pytest.mark.parametrize("kind", ["secret", "dia_source_visit"])
def test_neither_uuid_nor_query_leads_to_a_hidden_dataset(site: Site, kind: str) -> None:
    uuid, repo = site.ids[kind], "field/v1"
    absent = UUID(int=uuid.int ^ 1)

    def answers(uuid: UUID, name: str, token: str | None = None) -> list[object]:
        by_id = {"instrument": "Cam"}
        asked = {"data_id": by_id, "default_data_id": {}, "dataset_type": name}
        every = {
            "collections": ["run"], "name": [name, "*"], "find_first": False, "data_id": {},
            "default_data_id": {}, "where": "", "bind": {}, "limit": None,
            "with_dimension_records": False,
        }  # fmt: skip
        said = [
            site.get(f"/repo/{repo}/{path}", token)
            for path in (f"dataset/{uuid}", f"get_file/{uuid}", f"dataset/{uuid}/download",
                         f"dataset_type/{name}", "collection_summary?name=run")
        ]  # fmt: skip
        said += [
            site.post(f"{repo}/datasets", {"dataset_ids": [str(uuid)]}, token),
            site.post(f"{repo}/file_transfer", {"dataset_ids": [str(uuid)]}, token),
            site.post(f"{repo}/find_dataset", {**asked, "collections": ["run"],
                      "dimension_records": False, "timespan": None}, token),
            site.post(f"{repo}/get_file_by_data_id", {**asked, "collections": ["run"],
                      "timespan": None}, token),
            site.post(f"{repo}/query_dataset_types", {"search": ["*"]}, token),
            site.post(f"{repo}/query/all_datasets", every, token),
        ]  # fmt: skip
        assert all(r.status_code < 500 for r in said), said
        return [(r.status_code, r.text.replace(str(uuid), "ID").replace(name, "N")) for r in said]

    assert answers(uuid, kind) == answers(absent, "nothing")
    assert answers(uuid, kind, "looker") == answers(absent, "nothing")
    known = answers(uuid, kind, "insider")
    same = [a for a, b in zip(known, answers(uuid, kind), strict=True) if a == b]
    assert not same, same


@pytest.mark.req("API-BTL-3")
def test_a_repository_that_one_may_not_see_and_one_that_is_not_give_one_answer(site: Site) -> None:
    for token in (None, "looker"):
        shut, none = (site.get(f"/repo/{name}/v1/universe", token) for name in ("shut", "none"))
        assert shut.status_code == none.status_code == 404
        assert shut.text.replace("shut", "none") == none.text
    assert site.get("/repo/shut/v1/universe", "insider").status_code == 200
    assert site.get("/repo/field/v1/universe", "wrong").status_code == 401
    assert site.get("/repo/field/v1/universe", "good").status_code == 403


@pytest.mark.req("API-BTL-3")
def test_the_index_lists_what_the_caller_may_see(site: Site) -> None:
    index = "/configs/repositories.yaml"
    assert "shut" not in site.get(index).json()
    assert "shut" not in site.get(index, "looker").json()
    found = site.get(index, "insider").json()
    assert found["shut"] == f"{site.url}/api/butler/repo/shut/butler.yaml"


@pytest.mark.req("API-BTL-4")
def test_a_client_cannot_say_who_it_is_but_by_its_token(site: Site) -> None:
    said = {"X-Auth-Request-User": "vera", "X-Auth-Request-Token": "insider"}
    assert site.get("/repo/shut/v1/universe", None, **said).status_code == 404
    path = f"/repo/field/v1/dataset/{site.ids['secret']}"
    assert site.get(path, "looker", **said).json() == {"dataset_ref": None}
    for path in ("/auth/api/v1/user-info", "/api/v1/user-info"):
        assert httpx.get(site.url + path).status_code == 404


@pytest.mark.req("API-BTL-5")
def test_a_file_has_a_signed_address_that_expires(site: Site) -> None:
    path = f"/repo/field/v1/get_file/{site.ids['summary']}"
    (file,) = site.get(path).json()["artifact"]["file_info"]
    assert file["auth"] == "none"
    url = file["url"]
    assert httpx.get(url).status_code == 200
    part = httpx.get(url, headers={"Range": "bytes=0-3"})
    assert (part.status_code, len(part.content)) == (206, 4)
    assert httpx.get(url[:-1] + ("0" if url[-1] != "0" else "1")).status_code == 403
    assert httpx.get(url.partition("?")[0]).status_code in {403, 404}


@pytest.mark.req("API-BTL-6")
def test_a_release_that_is_published_later_is_served_without_a_restart(site: Site) -> None:
    assert site.get("/repo/late/v1/universe").status_code == 404
    ids = _published(site.store, site.folder, "late", "public")
    assert "late" in site.get("/configs/repositories.yaml").json()
    found = httpx.get(f"{site.url}/repertoire/discovery").json()["datasets"]["late"]
    assert found["butler_config"] == f"{site.url}/api/butler/repo/late/butler.yaml"
    assert site.client("late", "secret")["found"] == [str(ids["secret"])]


@pytest.mark.req("API-BTL-1")
def test_wrong_requests_are_refused_in_words(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "field/v1/find_dataset"
    assert site.post(path, {"dataset_type": 1}).status_code == 422
    absent = site.get("/repo/field/v1/nothing")
    assert (absent.status_code, absent.json()) == (404, {"detail": "Not Found"})
    url = f"{site.url}/api/butler/repo/{path}"
    assert httpx.post(url, content=iter([b"{}"])).status_code == 413
    monkeypatch.setattr("cerro_services.butler.server.LONGEST", 10)
    long = httpx.post(url, content=b"{         }")
    assert (long.status_code, long.json()["error"]) == (413, "too_long")


@pytest.mark.req("API-BTL-1")
def test_the_server_leaves_the_other_services_of_its_process_as_they_are(site: Site) -> None:
    assert site.get("/repo/field/v1/universe").status_code == 200
    # Sentry's SDK, which the server would start, wraps it.
    assert not hasattr(threading.Thread.start, "__wrapped__")
    query = {"LANG": "ADQL", "QUERY": "SELECT COUNT(*) AS n FROM TAP_SCHEMA.tables"}
    assert httpx.post(f"{site.url}/api/tap/sync", data=query, timeout=30).status_code == 200

"""A person's own server: what it finds there, how it starts, and how it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest
from hub.tests.support import ADMIN_PASSWORD, Person, Platform, identify, running
from tests.support.waiting import eventually

from cerro_hub.lab.butler import index_of


class Lab:
    """A running server, spoken to as its own notebooks do."""

    def __init__(self, platform: Platform, name: str) -> None:
        self.home = platform.home / "homes" / name
        self.runtime = platform.home / "run/labs" / name
        self.address = f"{platform.address}user/{name}/"
        self.process = next(
            p
            for p in platform.processes()
            if "cerro_hub.lab.start" in p.cmdline() and p.environ()["JUPYTERHUB_USER"] == name
        )
        self.env = self.process.environ()

    def get(self, path: str) -> httpx.Response:
        headers = {"Authorization": f"token {self.env['CERRO_TOKEN']}"}
        return httpx.get(self.address + path, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def lab(platform: Platform) -> Lab:
    person = Person(platform.address)
    person.login("ada", ADMIN_PASSWORD)
    person.start_server()
    return Lab(platform, "ada")


@pytest.mark.req("HUB-3")
def test_the_environment_is_the_one_that_the_rsp_tools_look_for(
    platform: Platform, lab: Lab
) -> None:
    assert lab.env["CERRO_URL"] == platform.address
    assert lab.env["EXTERNAL_INSTANCE_URL"] == platform.address
    assert lab.env["REPERTOIRE_BASE_URL"] == f"{platform.address}repertoire"
    assert lab.env["ACCESS_TOKEN"] == lab.env["CERRO_TOKEN"]
    assert lab.env["NUBLADO_RUNTIME_MOUNTS_DIR"] == str(lab.runtime)
    assert lab.env["RSP_SITE_TYPE"] == "science"
    assert lab.env["BUTLER_RUBIN_ACCESS_TOKEN"] == lab.env["CERRO_TOKEN"]
    assert lab.env["DAF_BUTLER_REPOSITORY_INDEX"] == str(index_of(lab.runtime))
    assert lab.env["DAF_BUTLER_CONFIG_PATH"] == str(lab.runtime / "butler")
    assert lab.env["HOME"] == str(lab.home)


@pytest.mark.req("HUB-3")
def test_the_hubs_own_environment_stays_out_of_it(lab: Lab) -> None:
    assert not {"CERRO_HOME", "CERRO_WIRING", "CERRO_ADMIN_PASSWORD"} & lab.env.keys()
    assert not {"CONFIGPROXY_AUTH_TOKEN", "PYTHONPATH"} & lab.env.keys()


@pytest.mark.req("HUB-3")
def test_the_token_is_where_lsst_rsp_reads_it_and_for_its_owner_only(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUBLADO_RUNTIME_MOUNTS_DIR", str(lab.runtime))
    from lsst.rsp import get_access_token

    assert get_access_token() == lab.env["CERRO_TOKEN"]
    assert (lab.runtime / "secrets/token").stat().st_mode & 0o777 == 0o600
    assert lab.runtime.stat().st_mode & 0o077 == 0


@pytest.mark.req("HUB-3")
def test_its_token_reads_data_as_its_person_and_can_do_little_else(
    platform: Platform, lab: Lab
) -> None:
    answer = identify(platform.address, lab.env["CERRO_TOKEN"]).json()
    assert (answer["name"], answer["groups"]) == ("ada", ["data-rights"])
    assert "custom:read:tap" in answer["scopes"]
    assert not [s for s in answer["scopes"] if s.startswith(("admin", "list", "tokens", "delete"))]


@pytest.mark.req("HUB-3")
def test_the_discovery_document_is_there_when_the_services_are(
    platform: Platform, lab: Lab
) -> None:
    assert "services" in platform.states()
    document = lab.runtime / "discovery/v1.json"
    eventually(document.exists, "the discovery document is there")
    assert "datasets" in json.loads(document.read_text())


@pytest.mark.req("HUB-3")
def test_the_tutorials_are_there_and_the_home_can_be_written(lab: Lab) -> None:
    assert lab.get("api/contents/notebooks/tutorials/01_first.ipynb").status_code == 200
    assert (lab.home / "notebooks/tutorials/data/readme.txt").read_text() == "stars\n"
    headers = {"Authorization": f"token {lab.env['CERRO_TOKEN']}"}
    body = {"type": "file", "format": "text", "content": "mine"}
    written = httpx.put(f"{lab.address}api/contents/mine.txt", headers=headers, json=body)
    assert written.status_code == 201
    assert (lab.home / "mine.txt").read_text() == "mine"


@pytest.mark.req("HUB-3")
def test_the_browser_cannot_be_made_to_render_a_notebook(lab: Lab) -> None:
    refused = lab.get("nbconvert/html/notebooks/tutorials/01_first.ipynb")
    assert refused.status_code == 403
    assert "jupyter nbconvert" in refused.text
    assert lab.get("api/nbconvert").json() == {}


@pytest.mark.req("HUB-3")
def test_jupyterlab_asks_no_other_host(lab: Lab) -> None:
    page = lab.get("lab").text
    config = re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert config
    settings = json.loads(config.group(1))
    assert "@jupyterlab/apputils-extension:announcements" in settings["disabledExtensions"]
    assert settings["extensionManager"]["can_install"] is False
    assert lab.get("lab/api/news").json()["news"] == []
    assert lab.get("lab/api/update").json()["notification"] is None


@pytest.mark.req("HUB-3")
def test_nobody_else_can_open_it(platform: Platform, lab: Lab) -> None:
    other = Person(platform.address)
    store = platform.run("user", "add", "eve", "--password-stdin", text="eves-password-1\n")
    assert store.returncode == 0, store.stderr
    other.login("eve", "eves-password-1")
    assert other.http.get("user/ada/lab").status_code == 403
    assert other.http.get("user/ada/api/contents").status_code == 403


@pytest.mark.req("HUB-3")
def test_a_broken_jupyter_configuration_does_not_lock_its_owner_out(
    platform: Platform, ada: Person, lab: Lab
) -> None:
    config = lab.home / ".jupyter/jupyter_server_config.py"
    config.parent.mkdir(exist_ok=True)
    config.write_text("raise RuntimeError('broken')")
    ada.api("DELETE", "users/ada/server")
    eventually(lambda: not ada.server(), "the server has stopped")
    ada.start_server()
    assert not lab.process.is_running()
    config.unlink()


@pytest.mark.req("HUB-3")
def test_a_server_that_dies_while_it_starts_is_told_with_its_last_words(
    platform: Platform,
) -> None:
    person = Person(platform.address)
    person.login("otto", ADMIN_PASSWORD)
    # A folder that cannot be one: a file has its place.
    blocked = platform.home / "homes/otto"
    blocked.write_text("")
    try:
        person.api("POST", "users/otto/server")
        eventually(
            lambda: "<h1>Your server did not start</h1>" in _pending_page(person),
            "the page says that it failed",
        )
        page = _pending_page(person)
    finally:
        blocked.unlink()
    assert "Your folder cannot be prepared" in page


def _pending_page(person: Person) -> str:
    return person.http.get(f"hub/spawn-pending/{person.name}").text


@pytest.mark.req("HUB-8")
def test_an_idle_server_is_stopped_though_its_tab_is_open(place: Path) -> None:
    quick = {"CERRO_HUB_LAB__IDLE_TIMEOUT": "3"}
    others = ["services", "portal"]
    with running(place / "idle", env=quick, without=others) as platform:
        person = Person(platform.address)
        person.login("admin", ADMIN_PASSWORD)
        person.start_server()

        def gone() -> bool:
            # What an open tab does all the time.
            person.http.get("user/admin/api/kernels")
            return not person.server()

        eventually(gone, "the idle server is stopped", 40)
        assert not [p for p in platform.processes() if "cerro_hub.lab.start" in p.cmdline()]


@pytest.mark.req("HUB-3")
def test_the_secrets_of_the_platform_are_for_its_owner_only(platform: Platform) -> None:
    for path in (platform.home / "hub").rglob("*"):
        if path.is_file() and path.suffix != ".lock":
            assert path.parent.stat().st_mode & 0o077 == 0
    for secret in (platform.home / "hub/secrets").iterdir():
        assert secret.stat().st_mode & 0o777 == 0o600
    assert (platform.home / "hub/accounts.json").stat().st_mode & 0o777 == 0o600

"""The hub's settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from cerro_hub.errors import SettingsError
from cerro_hub.home import Home
from cerro_hub.settings import load
from cerro_hub.settings_reference import table


def _settings_file(folder: Path, text: str) -> Home:
    (folder / "cerro.yaml").write_text(text)
    return Home(folder)


@pytest.mark.req("HUB-9")
def test_without_settings_only_this_machine_is_served(tmp_path: Path) -> None:
    settings = load(Home(tmp_path))
    assert settings.host == "127.0.0.1"
    assert settings.address() == "http://127.0.0.1:8000/"


@pytest.mark.req("HUB-9")
def test_the_command_line_goes_before_the_environment_and_that_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = _settings_file(tmp_path, "hub: {port: 8001, title: Field}\nservices: {other: 1}\n")
    assert load(home).port == 8001
    monkeypatch.setenv("CERRO_HUB_PORT", "8002")
    assert load(home).port == 8002
    assert load(home, port=8003, host=None).port == 8003
    assert load(home).title == "Field"


@pytest.mark.req("HUB-7")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hub: {prot: 8000}", r"cerro\.yaml\): prot: Extra inputs"),
        ("hub: {port: 99999}", r"port: Input should be less than or equal to 65535"),
        ("hub: [1, 2]", r"must be a mapping"),
        ("hub: {port: [}", r"Cannot read .*cerro\.yaml"),
        ("hub: {auth: oidc}", r"section 'oidc' is missing"),
        (
            "hub: {auth: oidc, oidc: {client_id: a, client_secret: b, issuer: 'https://a.b'}}",
            r"nobody may log in",
        ),
    ],
)
def test_a_setting_that_will_not_do_is_said_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        load(_settings_file(tmp_path, text))


@pytest.mark.req("HUB-9")
def test_the_address_behind_a_tls_proxy_is_the_one_people_type(tmp_path: Path) -> None:
    home = _settings_file(tmp_path, "hub: {external_url: 'https://data.example.org/'}")
    assert load(home).address() == "https://data.example.org/"


@pytest.mark.req("HUB-7")
def test_the_manual_lists_every_setting_as_it_is() -> None:
    manual = Path(__file__).parents[2] / "docs/operate.md"
    assert table() in manual.read_text(), "run python -m cerro_hub.settings_reference"

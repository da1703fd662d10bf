"""The portal's settings come from one file and the environment."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from cerro_portal.config import load


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CERRO_TITLE", "CERRO_WELCOME", "CERRO_EXTERNAL_URL", "CERRO_SERVICES_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.req("HOME-1")
def test_the_environment_goes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cerro.yaml").write_text("portal:\n  title: From file\n  welcome: Hello\nhub: {}\n")
    monkeypatch.setenv("CERRO_TITLE", "From environment")
    settings = load(tmp_path)
    assert (settings.title, settings.welcome) == ("From environment", "Hello")


@pytest.mark.req("HOME-1")
def test_addresses_end_in_a_slash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERRO_EXTERNAL_URL", "https://sky.example")
    assert load(tmp_path).external_url == "https://sky.example/"


@pytest.mark.req("HOME-1")
@pytest.mark.parametrize("text", ["portal: [", "portal:\n  title: [1]\n"])
def test_a_wrong_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "cerro.yaml").write_text(text)
    with pytest.raises(click.ClickException, match=r"cerro\.yaml"):
        load(tmp_path)

"""The platform's folder is found in the order that the documentation promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from cerro import home


@pytest.mark.req("CLI-4")
def test_the_environment_names_the_home(tmp_path: Path) -> None:
    (tmp_path / ".cerro").mkdir()
    named = tmp_path / "elsewhere"
    assert home.resolve(tmp_path, {"CERRO_HOME": str(named)}) == named


@pytest.mark.req("CLI-4")
def test_the_nearest_dot_cerro_above_is_the_home(tmp_path: Path) -> None:
    (tmp_path / ".cerro").mkdir()
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert home.resolve(below, {}) == tmp_path / ".cerro"


@pytest.mark.req("CLI-4")
def test_without_any_the_users_data_folder_is_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert home.resolve(tmp_path, {}) == tmp_path / "data" / "cerro"


@pytest.mark.req("CLI-4")
def test_export_sets_the_variable_for_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CERRO_HOME", "relative")
    monkeypatch.chdir(tmp_path)
    assert home.export() == tmp_path / "relative"
    import os

    assert os.environ["CERRO_HOME"] == str(tmp_path / "relative")

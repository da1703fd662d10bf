"""The tutorials in a person's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from cerro_hub.lab.tutorials import copy_tutorials


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "data").mkdir(parents=True)
    (folder / "01.ipynb").write_text("first")
    (folder / "data/stars.csv").write_text("ra,dec\n")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints/01.ipynb").write_text("old")
    return folder


@pytest.mark.req("HUB-3")
def test_they_are_copied_with_their_folders(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "home/notebooks/tutorials"
    assert copy_tutorials(source, target) == ["01.ipynb", "data/stars.csv"]
    assert (target / "data/stars.csv").read_text() == "ra,dec\n"
    assert not (target / ".ipynb_checkpoints").exists()
    assert copy_tutorials(source, target) == []


@pytest.mark.req("HUB-3")
def test_what_the_person_changed_stays(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    copy_tutorials(source, target)
    (target / "01.ipynb").write_text("my own work")
    (source / "01.ipynb").write_text("second edition")
    (source / "data/stars.csv").write_text("ra,dec,g\n")
    assert copy_tutorials(source, target) == ["data/stars.csv"]
    assert (target / "01.ipynb").read_text() == "my own work"


@pytest.mark.req("HUB-3")
def test_a_file_of_the_persons_own_with_the_same_name_stays(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.mkdir()
    (target / "01.ipynb").write_text("was here before")
    assert copy_tutorials(source, target) == ["data/stars.csv"]
    assert (target / "01.ipynb").read_text() == "was here before"


@pytest.mark.req("HUB-3")
def test_what_was_deleted_comes_back_fresh(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    copy_tutorials(source, target)
    (target / "01.ipynb").unlink()
    assert copy_tutorials(source, target) == ["01.ipynb"]


@pytest.mark.req("HUB-3")
def test_no_tutorials_are_no_error(tmp_path: Path) -> None:
    assert copy_tutorials(tmp_path / "nowhere", tmp_path / "mine") == []

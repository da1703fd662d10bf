"""A tiny simulated survey and the real VISTA exposures, each brought into a repository once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cerro_pipelines import instruments
from cerro_pipelines.ingest import ingest
from cerro_pipelines.simulate.config import SurveyConfig
from cerro_pipelines.simulate.survey import simulate

TRIAL_DATA = Path(
    os.environ.get("CERRO_TRIAL_DATA") or Path(__file__).parents[3] / "shared" / "data"
)


@pytest.fixture(scope="session")
def tiny_survey() -> SurveyConfig:
    """A survey of 80 arcsec with six visits a band: seconds, not minutes."""
    return SurveyConfig(n_pixels=400, visits_per_band=6)


@pytest.fixture(scope="session")
def survey_root(tiny_survey: SurveyConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that holds the raw images of the tiny survey. Tests must not write to it."""
    root = tmp_path_factory.mktemp("survey") / "repo"
    simulate(root, tiny_survey, jobs=2)
    return root


@pytest.fixture(scope="session")
def vista_files() -> list[Path]:
    """The eight real VISTA exposures."""
    folder = TRIAL_DATA / "images" / "vista_H_xmmlss_8exp" / "exposures"
    files = sorted(folder.glob("*.fits"))
    if not files:
        pytest.skip(f"no VISTA exposures in {folder}: set CERRO_TRIAL_DATA")
    return files


@pytest.fixture(scope="session")
def vista_root(vista_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that holds two VISTA exposures. Tests must not write to it."""
    root = tmp_path_factory.mktemp("vista") / "repo"
    ingest(root, vista_files[:2], instruments.load("vircam"))
    return root

"""Pipelines run in processes that stay; what fails is named with its data."""

from __future__ import annotations

from pathlib import Path

import pytest

from cerro_pipelines import repository
from cerro_pipelines.cli.settings import parse_settings
from cerro_pipelines.execute import PipelineError, Progress, run_pipeline
from cerro_pipelines.simulate.config import SurveyConfig
from cerro_pipelines.simulate.survey import TRUTH_RUN, simulate

SIMULATE = Path(repository.__file__).parent / "pipelines" / "simulate.yaml"


@pytest.fixture(scope="module")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("execute") / "repo"
    simulate(root, SurveyConfig(n_pixels=200, visits_per_band=1))
    return root


@pytest.mark.req("PIPE-3")
def test_progress_counts_every_quantum(small_root: Path) -> None:
    seen: list[Progress] = []
    settings = {"simulate:n_pixels": 200, "simulate:dead_columns": 0}
    summary = run_pipeline(
        small_root,
        SIMULATE,
        inputs=[TRUTH_RUN],
        run="again",
        config=settings,
        where="instrument = 'SimCam'",
        jobs=2,
        progress=seen.append,
    )
    assert summary.quanta == {"simulate": 3}
    assert [(p.task, p.done, p.total) for p in seen] == [("simulate", n, 3) for n in (1, 2, 3)]
    with pytest.raises(PipelineError, match="another configuration"):
        run_pipeline(
            small_root,
            SIMULATE,
            inputs=[TRUTH_RUN],
            run="again",
            config={**settings, "simulate:dead_columns": 1},
            where="instrument = 'SimCam'",
        )


@pytest.mark.req("PIPE-3")
def test_a_failure_names_task_and_data(small_root: Path) -> None:
    with pytest.raises(PipelineError, match=r"simulate failed for .*exposure=\d.*: .+"):
        run_pipeline(
            small_root,
            SIMULATE,
            inputs=[TRUTH_RUN],
            run="failing",
            config={"simulate:n_pixels": -5},
            where="instrument = 'SimCam'",
        )


@pytest.mark.req("PIPE-3")
def test_no_data_is_said(small_root: Path) -> None:
    with pytest.raises(PipelineError, match="finds no data to work on"):
        run_pipeline(
            small_root,
            SIMULATE,
            inputs=[TRUTH_RUN],
            run="nothing",
            where="instrument = 'SimCam' AND exposure = 99",
        )


@pytest.mark.req("PIPE-3")
@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"detect:threshold": 5}, "no task detect; it has simulate"),
        ({"simulate:speed": 5}, "does not fit"),
        ({"simulate": 5}, "task:field"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(
    small_root: Path, config: dict[str, object], reason: str
) -> None:
    with pytest.raises(PipelineError, match=reason):
        run_pipeline(small_root, SIMULATE, inputs=[TRUTH_RUN], run="x", config=config)


@pytest.mark.req("PIPE-3")
def test_settings_are_read_as_what_they_look_like() -> None:
    assert parse_settings(["a:b=5", "a:c=true", "d:e=x"]) == {"a:b": 5, "a:c": True, "d:e": "x"}
    with pytest.raises(PipelineError, match="task:field=value"):
        parse_settings(["threshold=5"])

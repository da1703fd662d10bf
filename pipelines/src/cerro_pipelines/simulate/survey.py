"""Simulate the survey: make the truth, a repository with its records, and the raw images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.table import Table
from astropy.time import Time
from lsst.daf.butler import Butler

from cerro_pipelines import datasets, instruments, repository
from cerro_pipelines.execute import ProgressCallback, RunSummary, run_pipeline
from cerro_pipelines.exposure import Exposure
from cerro_pipelines.schema.columns import conform
from cerro_pipelines.workers import PIPELINES

from .config import BANDS, SurveyConfig
from .plan import EXPOSURE_TIME, make_moving, make_plan, visit_wcs
from .scene import flux_from_mag, make_galaxies, make_stars
from .task import _info
from .variability import VariableSky, make_variables

__all__ = ["TRUTH_RUN", "make_tables", "simulate"]

TRUTH_RUN = "SimCam/truth"
"""Collection of the plan and the truth tables."""


def make_tables(config: SurveyConfig) -> dict[str, Table]:
    """Make plan and truth, by dataset type: the same tables for the same configuration."""
    plan = make_plan(config)
    galaxies = make_galaxies(config)
    stars = make_stars(config)
    variables = make_variables(config, galaxies)
    n_star, n_galaxy, n_variable = len(stars), len(galaxies), len(variables.table)
    first_galaxy, first_variable = n_star + 1, n_star + n_galaxy + 1
    truth = _truth(plan, stars, galaxies, variables, first_galaxy)
    ids = np.arange(first_variable, first_variable + n_variable)
    per_visit = [
        {
            "truthId": ids,
            "visit": np.full(n_variable, row["visit"]),
            "band": np.full(n_variable, str(row["band"])),
            "expMidptMJD": np.full(n_variable, row["mjd"]),
            "flux": variables.flux(float(row["mjd"]), str(row["band"])),
        }
        for row in plan
    ]
    truth_visit = {k: np.concatenate([p[k] for p in per_visit]) for k in per_visit[0]}
    moving = make_moving(config, plan)
    return {
        datasets.SURVEY_PLAN.name: plan,
        datasets.TRUTH_OBJECT.name: truth,
        datasets.TRUTH_VISIT.name: conform("TruthVisit", truth_visit),
        datasets.TRUTH_MOVING.name: conform(
            "TruthMoving", {c: np.asarray(moving[c]) for c in moving.colnames}
        ),
    }


def _truth(
    plan: Table, stars: Table, galaxies: Table, variables: VariableSky, first_galaxy: int
) -> Table:
    table = variables.table
    n_star, n_galaxy, n_variable = len(stars), len(galaxies), len(table)
    total = n_star + n_galaxy + n_variable
    kinds = np.asarray(table["variableType"]).astype(str)
    is_galaxy = np.zeros(total, bool)
    is_galaxy[n_star : n_star + n_galaxy] = True
    is_variable = np.zeros(total, bool)
    is_variable[n_star + n_galaxy :] = True
    supernova = np.zeros(total, bool)
    supernova[n_star + n_galaxy :] = kinds == "supernova"

    def of_galaxies(name: str) -> np.ma.MaskedArray:
        values = np.ma.masked_all(total)
        values[is_galaxy] = np.asarray(galaxies[name], float)
        return values

    def of_variables(name: str) -> np.ma.MaskedArray:
        values = np.ma.masked_all(total)
        values[is_variable] = np.ma.masked_invalid(np.asarray(table[name], float))
        return values

    kind_column = np.ma.masked_all(total, "U16")
    kind_column[is_variable] = kinds
    host = np.ma.masked_all(total, np.int64)
    host[supernova] = np.asarray(table["host"])[kinds == "supernova"] + first_galaxy
    columns = {
        "truthId": np.arange(1, total + 1),
        "ra": np.concatenate([stars["ra"], galaxies["ra"], table["ra"]]),
        "dec": np.concatenate([stars["dec"], galaxies["dec"], table["dec"]]),
        "truthType": np.where(supernova, "transient", np.where(is_galaxy, "galaxy", "star")),
        "isPointSource": ~is_galaxy,
        "isVariable": is_variable,
        "variableType": kind_column,
        "period": of_variables("period"),
        "amplitude": of_variables("amplitude"),
        "epoch": of_variables("epoch"),
        "hostId": host,
        **{
            name: of_galaxies(name)
            for name in ("halfLightRadius", "sersicIndex", "axisRatio", "positionAngle")
        },
    }
    times = np.asarray(plan["mjd"])
    for band in BANDS:
        own = times[np.asarray(plan["band"]) == band]
        mean = np.mean([variables.flux(float(t), band) for t in own], axis=0)
        peak = flux_from_mag(table[f"{band}_mag"])
        changing = np.where(kinds == "supernova", peak, mean)
        flux = np.concatenate(
            [flux_from_mag(stars[f"{band}_mag"]), flux_from_mag(galaxies[f"{band}_mag"]), changing]
        )
        columns[f"{band}_flux"] = flux
        columns[f"{band}_mag"] = 31.4 - 2.5 * np.log10(flux)
    return conform("TruthObject", columns, BANDS)


def _observations(plan: Table, config: SurveyConfig) -> list[repository.Observation]:
    observations = []
    for row in plan:
        wcs = visit_wcs(config, row["ra"], row["dec"], row["rotation"])
        shape = (config.n_pixels, config.n_pixels)
        outline = Exposure.from_arrays(
            np.broadcast_to(np.float32(0), shape), wcs, _info(row, config), unit="adu"
        )
        half = EXPOSURE_TIME / 2 / 86400.0
        observations.append(
            repository.Observation(
                visit=int(row["visit"]),
                name=f"sim_{int(row['visit']):05d}",
                physical_filter=f"{row['band']}_sim",
                begin=Time(row["mjd"] - half, format="mjd", scale="tai"),
                end=Time(row["mjd"] + half, format="mjd", scale="tai"),
                exposure_time=EXPOSURE_TIME,
                footprints={0: repository.footprint(outline)},
                target="sim",
                airmass=float(row["airmass"]),
                sky_angle=float(row["rotation"]),
                simulated=True,
            )
        )
    return observations


def simulate(
    root: Path,
    config: SurveyConfig | None = None,
    *,
    jobs: int = 1,
    progress: ProgressCallback | None = None,
) -> RunSummary:
    """Simulate the survey into a Butler repository, which is made if missing.

    An interrupted simulation goes on where it stopped.

    Parameters
    ----------
    root
        Folder of the repository.
    config
        The survey; that of the demo when omitted.
    jobs
        Number of processes.
    progress
        Called after each raw image.

    Raises
    ------
    RepositoryError
        If the folder holds another survey.
    PipelineError
        If an image could not be simulated.
    """
    survey = config or SurveyConfig()
    butler = repository.create(root)
    instrument = instruments.load("simcam")
    repository.register_instrument(butler, instrument)
    butler.collections.register(TRUTH_RUN)
    tables = make_tables(survey)
    _store(butler, tables, survey)
    return run_pipeline(
        root,
        PIPELINES / "simulate.yaml",
        inputs=[TRUTH_RUN],
        run=repository.raw_collection(instrument.name),
        where=f"instrument = '{instrument.name}'",
        config={"simulate:seed": survey.seed, "simulate:n_pixels": survey.n_pixels},
        jobs=jobs,
        progress=progress,
    )


def _store(butler: Butler, tables: dict[str, Table], config: SurveyConfig) -> None:
    """Store records and tables in one step, or check that the same survey is there already."""
    existing = butler.query_datasets(
        datasets.SURVEY_PLAN.name, collections=TRUTH_RUN, explain=False
    )
    if existing:
        stored = butler.get(existing[0])
        plan = tables[datasets.SURVEY_PLAN.name]
        if len(stored) != len(plan) or not np.array_equal(stored["mjd"], plan["mjd"]):
            raise repository.RepositoryError(
                "The repository holds a survey that was simulated with another seed or size: "
                "give a new folder."
            )
        return
    with butler.transaction():
        repository.insert_observations(
            butler, "SimCam", _observations(tables[datasets.SURVEY_PLAN.name], config)
        )
        for name, table in tables.items():
            butler.put(table, name, instrument="SimCam", run=TRUTH_RUN)

"""``cerro pipeline``: simulate, ingest, reduce, schema.

This module is imported whenever any ``cerro`` command starts, so it imports nothing heavy.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from cerro_pipelines.workers import PIPELINES, warm_up

from .report import clear_errors, quantum_reporter, step_reporter

__all__ = ["pipeline"]


def _processors() -> int:
    """Give the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_JOBS = click.option(
    "--jobs",
    "-j",
    type=click.IntRange(min=1),
    default=_processors,
    show_default="all processors",
    help="Number of processes.",
)
_VERBOSE = click.option("--verbose", "-v", is_flag=True, help="Say what tasks log.")


@click.group()
def pipeline() -> None:
    """Turn exposures into coadds and catalogues.

    A repository (REPO) is a Butler repository in a folder. It is filled by `simulate` or `ingest`;
    `reduce` makes images and tables of what it holds; `schema` describes those tables for a
    release.
    """


@pipeline.command()
@click.argument("repo", type=click.Path(path_type=Path))
@click.option("--seed", type=int, default=None, help="The same seed gives the same survey.")
@click.option("--visits", type=click.IntRange(1, 40), default=None, help="Visits a band.")
@click.option(
    "--pixels",
    type=click.IntRange(200, 8000),
    default=None,
    help="Side of the detector; objects scale with its area.",
)
@_JOBS
@_VERBOSE
@clear_errors
def simulate(
    *,
    repo: Path,
    seed: int | None,
    visits: int | None,
    pixels: int | None,
    jobs: int,
    verbose: bool,
) -> None:
    """Simulate a survey in g, r and i with known truth into REPO."""
    reporter = quantum_reporter(verbose=verbose)
    reporter.say("loading the simulation")
    warm_up(PIPELINES / "simulate.yaml")
    from cerro_pipelines.simulate.config import SurveyConfig
    from cerro_pipelines.simulate.survey import simulate as run

    given = {"seed": seed, "visits_per_band": visits, "n_pixels": pixels}
    config = SurveyConfig(**{k: v for k, v in given.items() if v is not None})
    with reporter:
        summary = run(repo, config, jobs=jobs, progress=reporter)
    count = sum(summary.quanta.values())
    done = f"{count} raw images" if count else "all raw images were there already"
    click.echo(f"Simulated into {repo}: {done} in {summary.run}.")
    click.echo(f"Next: cerro pipeline reduce {repo}")


@pipeline.command()
@click.argument("repo", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--instrument",
    "-i",
    required=True,
    help="Name of an instrument that Cerro knows, or a YAML file that describes one.",
)
@click.option("--skip-known", is_flag=True, help="Pass over exposures that REPO holds already.")
@_VERBOSE
@clear_errors
def ingest(
    *, repo: Path, files: tuple[Path, ...], instrument: str, skip_known: bool, verbose: bool
) -> None:
    """Ingest FITS FILES into REPO.

    Every file is checked first; if one is truncated, foreign or known already, nothing is ingested.
    """
    reporter = step_reporter(verbose=verbose)
    reporter.say("loading")
    from cerro_pipelines import instruments
    from cerro_pipelines.ingest import ingest as run

    description = instruments.load(instrument)
    with reporter:
        summary = run(repo, files, description, skip_known=skip_known, progress=reporter)
    visits = ", ".join(f"{n} in {band}" for band, n in sorted(summary.visits.items())) or "none"
    click.echo(
        f"Ingested {summary.images} images of {summary.files} files into {summary.collection} "
        f"of {repo} (visits: {visits})."
    )
    click.echo(f"Next: cerro pipeline reduce {repo}")


@pipeline.command()
@click.argument("repo", type=click.Path(path_type=Path))
@click.option(
    "--output", default="reduced", show_default=True, help="Collection that holds the result."
)
@click.option("--instrument", "-i", default=None, help="Which one, if REPO has several.")
@click.option("--pipeline", "-p", "pipeline_file", default=None, help="Pipeline YAML of your own.")
@click.option("--where", default="", help="Restriction of the data, such as \"band = 'r'\".")
@click.option(
    "--config",
    "-c",
    "settings",
    multiple=True,
    metavar="TASK:FIELD=VALUE",
    help="Configure a task.",
)
@click.option("--pixel-scale", type=float, default=None, help="Pixels of the coadds, in arcsec.")
@click.option(
    "--patch-size",
    type=click.IntRange(min=100),
    default=900,
    show_default=True,
    help="About the side of a patch, in pixels.",
)
@_JOBS
@_VERBOSE
@clear_errors
def reduce(
    *,
    repo: Path,
    output: str,
    instrument: str | None,
    pipeline_file: str | None,
    where: str,
    settings: tuple[str, ...],
    pixel_scale: float | None,
    patch_size: int,
    jobs: int,
    verbose: bool,
) -> None:
    """Reduce the raw images of REPO to coadds, objects, sources and light curves.

    A run that was interrupted goes on where it stopped.
    """
    reporter = quantum_reporter(verbose=verbose)
    reporter.say("loading the pipeline")
    warm_up(Path(pipeline_file.partition("#")[0]) if pipeline_file else PIPELINES / "reduce.yaml")
    from cerro_pipelines.reduce import reduce as run

    from .settings import parse_settings

    config = parse_settings(settings)
    with reporter:
        result = run(
            repo,
            output=output,
            instrument=instrument,
            pipeline=pipeline_file,
            where=where,
            config=config,
            pixel_scale=pixel_scale,
            patch_size=patch_size,
            jobs=jobs,
            progress=reporter,
        )
    count = sum(result.quanta.values())
    done = f"{count} steps" if count else "everything was there already"
    click.echo(f"Reduced {repo}: {done}; collection {result.collection}.")
    click.echo(f"Next: cerro pipeline schema {repo} --name NAME --collection {output} -o NAME.yaml")


@pipeline.command()
@click.argument("repo", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the schema: that of the release.")
@click.option("--collection", default=None, help="Which reduction, if REPO has several.")
@click.option("--description", default=None, help="One sentence on the release.")
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path), help="File to write.")
@clear_errors
def schema(
    repo: Path, name: str, collection: str | None, description: str | None, out: Path
) -> None:
    """Write the Felis schema of the tables that the reduction of REPO made."""
    from cerro_pipelines import repository
    from cerro_pipelines.reduce import choose_reduction
    from cerro_pipelines.schema.felis import felis_document, tables_of, write_schema

    butler = repository.open_repository(repo)
    chosen = choose_reduction(butler, collection)
    models = tables_of(butler, [chosen])
    write_schema(felis_document(name, models, description=description), out)
    columns = sum(len(m.columns) for m in models)
    click.echo(f"Wrote {out}: {len(models)} tables, {columns} columns.")
    click.echo(f'Next: cerro release create {name} --schema {out} --title "…"')
    click.echo(f"      cerro release ingest {name} --butler {repo} --collection {chosen}")

"""Reduce what a repository holds: lay the sky map, run the pipeline, name the result."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsst.daf.butler import Butler, CollectionType  # type: ignore[attr-defined]

from . import datasets, repository
from .execute import ProgressCallback, run_pipeline
from .instruments.model import Instrument
from .skymap_records import define_sky_map
from .workers import PIPELINES

__all__ = ["DEFAULT_OUTPUT", "Reduction", "choose_reduction", "reduce"]

DEFAULT_OUTPUT = "reduced"
"""Collection that a reduction is found under when no other name is given."""


@dataclasses.dataclass(frozen=True)
class Reduction:
    """What a reduction made: its collection, the run in it, the sky map, and quanta by task."""

    collection: str
    run: str
    sky_map: str
    quanta: dict[str, int]


def choose_reduction(butler: Butler, name: str | None) -> str:
    """Give the collection of a reduction: the named one, or the only one there is.

    Raises
    ------
    RepositoryError
        If there is no such reduction, or there are several and none is named.
    """
    chains = butler.collections.query_info("*", collection_types=CollectionType.CHAINED)
    found = sorted(c.name for c in chains if any(m.startswith(f"{c.name}/") for m in c.children))
    if name is not None:
        if name in butler.collections.query("*"):
            return name
        raise repository.RepositoryError(
            f"There is no collection {name}; reductions are {', '.join(found) or 'none'}."
        )
    if not found:
        raise repository.RepositoryError(
            "The repository holds no reduction: run `cerro pipeline reduce` first."
        )
    if len(found) > 1:
        raise repository.RepositoryError(
            f"There are several reductions: say which with --collection: {', '.join(found)}."
        )
    return found[0]


def _choose(butler: Butler, name: str | None) -> Instrument:
    found = repository.instruments_of(butler)
    if name is None:
        if len(found) == 1:
            return next(iter(found.values()))
        raise repository.RepositoryError(
            f"The repository holds exposures of {', '.join(found)}: say which with --instrument."
            if found
            else "The repository holds no exposures: run `cerro pipeline ingest` first."
        )
    for own, instrument in found.items():
        if own.lower() == name.lower():
            return instrument
    raise repository.RepositoryError(
        f"The repository holds no exposures of {name}, only of {', '.join(found) or 'none'}."
    )


def _pipeline_file(text: str) -> str:
    file, _, subset = text.partition("#")
    path = Path(file) if Path(file).is_file() else PIPELINES / file
    if not path.is_file():
        ours = ", ".join(sorted(p.name for p in PIPELINES.glob("*.yaml")))
        raise repository.RepositoryError(f"There is no pipeline {file}; ours are {ours}.")
    return f"{path}#{subset}" if subset else str(path)


def _digest(butler: Butler, collection: str, *facts: Any) -> str:
    """Name a run by what goes in: the same call resumes, a changed one starts anew."""
    refs = butler.query_datasets(
        datasets.RAW.name, collections=collection, explain=False, limit=None
    )
    text = json.dumps([sorted(str(r.id) for r in refs), *facts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def reduce(
    root: Path,
    *,
    output: str = DEFAULT_OUTPUT,
    instrument: str | None = None,
    pipeline: str | None = None,
    where: str = "",
    config: Mapping[str, Any] | None = None,
    pixel_scale: float | None = None,
    patch_size: int = 900,
    jobs: int = 1,
    progress: ProgressCallback | None = None,
) -> Reduction:
    """Reduce all raw images of an instrument to coadds and tables.

    Parameters
    ----------
    root
        The Butler repository.
    output
        Collection under which the result is found. The same call goes on where it was interrupted;
        with further exposures or other settings it makes a new run and puts that in front.
    instrument
        Which one, where the repository has several.
    pipeline
        Pipeline YAML; that of the instrument when omitted.
    where
        Restriction of the data in Butler's expression language, such as ``band = 'r'``.
    config
        Configuration of tasks, ``{"task:field": value}``; added to that of the instrument.
    pixel_scale, patch_size
        Of the coadds: arcsec; about the side of a patch in pixels.
    jobs
        Number of processes.
    progress
        Called after each quantum.

    Raises
    ------
    RepositoryError
        If there is nothing to reduce.
    PipelineError
        If a task failed.
    """
    butler = repository.open_repository(root, writeable=True)
    chosen = _choose(butler, instrument)
    raw = repository.raw_collection(chosen.name)
    file = _pipeline_file(pipeline or chosen.pipeline)
    settings = {**chosen.reduce, **(config or {})}
    sky_map, tracts = define_sky_map(butler, chosen, pixel_scale=pixel_scale, patch_size=patch_size)
    text = Path(file.partition("#")[0]).read_text(encoding="utf-8")
    layout = [t.to_dict() for t in tracts]
    run = f"{output}/{_digest(butler, raw, text, file.partition('#')[2], settings, where, layout)}"
    inputs = [raw, repository.SKY_MAP_RUN]
    terms = [f"instrument = '{chosen.name}'", f"skymap = '{sky_map}'"]
    if where:
        terms.append(f"({where})")
    summary = run_pipeline(
        root,
        file,
        inputs=inputs,
        run=run,
        where=" AND ".join(terms),
        config=settings,
        jobs=jobs,
        progress=progress,
    )
    truth = f"{chosen.name}/truth"
    members = [run, *inputs, *butler.collections.query(truth + "*")]
    butler.collections.register(output, CollectionType.CHAINED)
    butler.collections.redefine_chain(output, list(dict.fromkeys(members)))
    return Reduction(output, run, sky_map, summary.quanta)

"""Tasks that bring parts of tables together: ForcedSource of a tract, Visit of an instrument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lsst.pipe.base as pipe_base
import lsst.pipe.base.connectionTypes as connection_types
import numpy as np
from astropy.table import Table, vstack

from cerro_pipelines.datasets import (
    FORCED_SOURCE,
    FORCED_SOURCE_VISIT,
    VISIT_SUMMARY,
    VISIT_TABLE,
)
from cerro_pipelines.schema.columns import conform, empty


class MergeForcedSourcesConnections(
    pipe_base.PipelineTaskConnections, dimensions=("skymap", "tract")
):
    """Forced photometry of all visits in; one table out."""

    forced_source_visits = connection_types.Input(
        doc=FORCED_SOURCE_VISIT.doc, **FORCED_SOURCE_VISIT.connection(multiple=True)
    )
    forced_source = connection_types.Output(doc=FORCED_SOURCE.doc, **FORCED_SOURCE.connection())


class MergeForcedSourcesConfig(
    pipe_base.PipelineTaskConfig, pipelineConnections=MergeForcedSourcesConnections
):
    """`MergeForcedSourcesTask` needs no settings."""


class MergeForcedSourcesTask(pipe_base.PipelineTask):
    """Join the forced photometry of the visits of a tract, ordered by object and visit."""

    ConfigClass = MergeForcedSourcesConfig
    _DefaultName = "mergeForcedSources"

    def run(self, forced_source_visits: Sequence[Table]) -> pipe_base.Struct:
        """Join tables.

        Parameters
        ----------
        forced_source_visits
            Forced photometry of each visit image.

        Returns
        -------
        result
            ``forced_source`` (`Table`).
        """
        parts = [t for t in forced_source_visits if len(t)]
        if not parts:
            return pipe_base.Struct(forced_source=empty("ForcedSource"))
        table = vstack(parts, metadata_conflicts="silent")
        order = np.lexsort([table["detector"], table["visit"], table["objectId"]])
        return pipe_base.Struct(forced_source=table[order])


class MakeVisitTableConnections(pipe_base.PipelineTaskConnections, dimensions=("instrument",)):
    """Summaries of all visit images in; the table Visit out."""

    visit_summaries = connection_types.Input(
        doc=VISIT_SUMMARY.doc, **VISIT_SUMMARY.connection(multiple=True)
    )
    visit_table = connection_types.Output(doc=VISIT_TABLE.doc, **VISIT_TABLE.connection())


class MakeVisitTableConfig(
    pipe_base.PipelineTaskConfig, pipelineConnections=MakeVisitTableConnections
):
    """`MakeVisitTableTask` needs no settings."""


class MakeVisitTableTask(pipe_base.PipelineTask):
    """Make the table Visit: a row for each visit, from the summaries of its detectors."""

    ConfigClass = MakeVisitTableConfig
    _DefaultName = "makeVisitTable"

    def run(self, visit_summaries: Sequence[Mapping[str, Any]]) -> pipe_base.Struct:
        """Make the table.

        Parameters
        ----------
        visit_summaries
            What `cerro_pipelines.tasks.calibrate.summarize` said of each image.

        Returns
        -------
        result
            ``visit_table`` (`Table`).
        """
        visits: dict[int, list[Mapping[str, Any]]] = {}
        for summary in visit_summaries:
            visits.setdefault(int(summary["visit"]), []).append(summary)
        rows = [_row(visit, parts) for visit, parts in sorted(visits.items())]
        if not rows:
            return pipe_base.Struct(visit_table=empty("Visit"))
        columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        return pipe_base.Struct(visit_table=conform("Visit", columns))


def _row(visit: int, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = parts[0]

    def mean(name: str) -> float:
        known = [float(p[name]) for p in parts if p.get(name) is not None]
        return float(np.mean(known)) if known else float("nan")

    # The mean direction, not the mean angle: a visit may straddle right ascension 0.
    ra = np.radians([p["ra"] for p in parts])
    dec = np.radians([p["dec"] for p in parts])
    x, y, z = (
        (np.cos(dec) * np.cos(ra)).mean(),
        (np.cos(dec) * np.sin(ra)).mean(),
        np.sin(dec).mean(),
    )
    return {
        "visit": visit,
        "physical_filter": first["physical_filter"] or first["band"],
        "band": first["band"],
        "ra": float(np.degrees(np.arctan2(y, x)) % 360.0),
        "dec": float(np.degrees(np.arctan2(z, np.hypot(x, y)))),
        "skyRotation": mean("sky_rotation"),
        "airmass": mean("airmass"),
        "expTime": mean("exposure_time"),
        "expMidptMJD": mean("mjd_mid"),
        "obsStartMJD": mean("mjd_start"),
        "nDetectors": len(parts),
        "nSources": sum(int(p["sources"]) for p in parts),
        "pixelScale": mean("pixel_scale"),
        "seeing": mean("seeing"),
        "zeroPoint": mean("zero_point"),
        "skyBg": mean("sky"),
        "skyNoise": mean("sky_noise"),
        "magLim": mean("mag_limit"),
    }

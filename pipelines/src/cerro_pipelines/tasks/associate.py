"""Task: detections on difference images become the tables DiaSource and DiaObject."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lsst.pex.config as pex_config
import lsst.pipe.base as pipe_base
import lsst.pipe.base.connectionTypes as connection_types
import numpy as np
from astropy.table import Table, vstack

from cerro_pipelines.datasets import DIA_OBJECT, DIA_SOURCE, DIA_SOURCE_VISIT, OBJECT
from cerro_pipelines.difference.link import dia_object_id, link, make_dia_objects
from cerro_pipelines.schema.columns import empty, sort_bands


class AssociateConnections(pipe_base.PipelineTaskConnections, dimensions=("skymap", "tract")):
    """Detections of all visits and the objects in; DiaSource and DiaObject out."""

    dia_source_visits = connection_types.Input(
        doc=DIA_SOURCE_VISIT.doc, **DIA_SOURCE_VISIT.connection(multiple=True)
    )
    object = connection_types.Input(doc=OBJECT.doc, **OBJECT.connection())
    dia_source = connection_types.Output(doc=DIA_SOURCE.doc, **DIA_SOURCE.connection())
    dia_object = connection_types.Output(doc=DIA_OBJECT.doc, **DIA_OBJECT.connection())


class AssociateConfig(pipe_base.PipelineTaskConfig, pipelineConnections=AssociateConnections):
    """Settings of `AssociateTask`."""

    radius = pex_config.Field[float](
        doc="Distance in arcsec within which detections are one and the same object.", default=0.5
    )


class AssociateTask(pipe_base.PipelineTask):
    """Link the detections of a tract by position; one that stands alone may have moved on."""

    ConfigClass = AssociateConfig
    config: AssociateConfig
    _DefaultName = "associate"

    def runQuantum(  # noqa: N802 - Rubin's name
        self,
        butlerQC: Any,  # noqa: N803
        inputRefs: Any,  # noqa: N803
        outputRefs: Any,  # noqa: N803
    ) -> None:
        """Read all, run, write."""
        tract = int(butlerQC.quantum.dataId["tract"])
        butlerQC.put(self.run(tract=tract, **butlerQC.get(inputRefs)), outputRefs)

    def run(
        self,
        dia_source_visits: Sequence[Table],
        object: Table,  # noqa: A002 - the dataset's name
        tract: int,
    ) -> pipe_base.Struct:
        """Link detections.

        Parameters
        ----------
        dia_source_visits
            Detections on each difference image.
        object
            Objects of the tract.
        tract
            Number of the tract.

        Returns
        -------
        result
            ``dia_source`` and ``dia_object`` (`Table`).
        """
        bands = sort_bands(
            c.removesuffix("_psfFlux") for c in object.colnames if c.endswith("_psfFlux")
        )
        parts = [t for t in dia_source_visits if len(t)]
        if not parts:
            return pipe_base.Struct(
                dia_source=empty("DiaSource"), dia_object=empty("DiaObject", bands)
            )
        sources = vstack(parts, metadata_conflicts="silent")
        sources.sort("diaSourceId")
        groups = link(np.asarray(sources["ra"]), np.asarray(sources["dec"]), self.config.radius)
        sources["diaObjectId"] = dia_object_id(tract, groups)
        objects = make_dia_objects(sources, object, tract, bands)
        alone = int(np.count_nonzero(np.asarray(objects["nDiaSources"]) == 1))
        self.log.info(
            "%d DiaSources, %d DiaObjects; %d were seen once only.",
            len(sources), len(objects), alone,
        )  # fmt: skip
        return pipe_base.Struct(dia_source=sources, dia_object=objects)

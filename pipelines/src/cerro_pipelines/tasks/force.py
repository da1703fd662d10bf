"""Task: the flux of every object in a visit."""

from __future__ import annotations

from typing import Any

import lsst.pipe.base as pipe_base
import lsst.pipe.base.connectionTypes as connection_types
from astropy.table import Table
from lsst.images import MaskedImage

from cerro_pipelines.datasets import DIFFERENCE_IMAGE, FORCED_SOURCE_VISIT, OBJECT, VISIT_IMAGE
from cerro_pipelines.exposure import Exposure
from cerro_pipelines.measure.forced import force


class ForcePhotometryConnections(
    pipe_base.PipelineTaskConnections,
    dimensions=("instrument", "visit", "detector", "skymap", "tract"),
):
    """Objects, visit image and difference image in; forced photometry out."""

    visit_image = connection_types.Input(doc=VISIT_IMAGE.doc, **VISIT_IMAGE.connection())
    difference_image = connection_types.Input(
        doc=DIFFERENCE_IMAGE.doc, **DIFFERENCE_IMAGE.connection()
    )
    object = connection_types.Input(doc=OBJECT.doc, **OBJECT.connection())
    forced_source_visit = connection_types.Output(
        doc=FORCED_SOURCE_VISIT.doc, **FORCED_SOURCE_VISIT.connection()
    )


class ForcePhotometryConfig(
    pipe_base.PipelineTaskConfig, pipelineConnections=ForcePhotometryConnections
):
    """`ForcePhotometryTask` needs no settings."""


class ForcePhotometryTask(pipe_base.PipelineTask):
    """Fit the PSF at the position of every object on a visit image and its difference image."""

    ConfigClass = ForcePhotometryConfig
    _DefaultName = "forcePhotometry"

    def run(
        self,
        visit_image: MaskedImage,
        object: Table,  # noqa: A002 - the dataset's name
        difference_image: MaskedImage | None = None,
    ) -> pipe_base.Struct:
        """Measure.

        Parameters
        ----------
        visit_image
            The visit image.
        object
            Objects of the tract.
        difference_image
            The difference image, if there is one.

        Returns
        -------
        result
            ``forced_source_visit`` (`Table`).
        """
        difference: Any = None
        if difference_image is not None:
            difference = Exposure.from_masked_image(difference_image)
        table = force(Exposure.from_masked_image(visit_image), difference, object)
        return pipe_base.Struct(forced_source_visit=table)

"""Tasks: coadds of a patch become objects, and patches become the table Object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lsst.pex.config as pex_config
import lsst.pipe.base as pipe_base
import lsst.pipe.base.connectionTypes as connection_types
from astropy.table import Table
from lsst.images import MaskedImage

from cerro_pipelines.datasets import DEEP_COADD, OBJECT, OBJECT_PATCH, TRACT_DEFINITION
from cerro_pipelines.exposure import Exposure
from cerro_pipelines.measure.object_table import merge_patches, patch_table
from cerro_pipelines.measure.objects import measure_objects
from cerro_pipelines.skymap import Patch, Tract


class MeasureObjectsConnections(
    pipe_base.PipelineTaskConnections, dimensions=("skymap", "tract", "patch")
):
    """Coadds of a patch in; its objects out."""

    tract_definition = connection_types.Input(
        doc=TRACT_DEFINITION.doc, **TRACT_DEFINITION.connection()
    )
    deep_coadds = connection_types.Input(doc=DEEP_COADD.doc, **DEEP_COADD.connection(multiple=True))
    object_patch = connection_types.Output(doc=OBJECT_PATCH.doc, **OBJECT_PATCH.connection())


class MeasureObjectsConfig(
    pipe_base.PipelineTaskConfig, pipelineConnections=MeasureObjectsConnections
):
    """Settings of `MeasureObjectsTask`."""

    threshold = pex_config.Field[float](
        doc="Signal-to-noise ratio on the sum of all bands from which an object is detected.",
        default=5.0,
    )
    min_area = pex_config.Field[int](doc="Least number of pixels of an object.", default=3)
    deblend_contrast = pex_config.Field[float](
        doc="Least share of a blend's flux that makes an object of its own.", default=1e-4
    )
    background_box = pex_config.Field[int](
        doc="Side in pixels of the boxes for what is left of the background.", default=128
    )


class MeasureObjectsTask(pipe_base.PipelineTask):
    """Detect on all bands of a patch together and measure in each band."""

    ConfigClass = MeasureObjectsConfig
    config: MeasureObjectsConfig
    _DefaultName = "measureObjects"

    def runQuantum(  # noqa: N802 - Rubin's name
        self,
        butlerQC: Any,  # noqa: N803
        inputRefs: Any,  # noqa: N803
        outputRefs: Any,  # noqa: N803
    ) -> None:
        """Read the coadds by band, run, write."""
        inputs = butlerQC.get(inputRefs)
        bands = [ref.dataId["band"] for ref in inputRefs.deep_coadds]
        coadds = dict(sorted(zip(bands, inputs["deep_coadds"], strict=True)))
        tract = Tract.from_dict(inputs["tract_definition"])
        patch = tract.patch(butlerQC.quantum.dataId["patch"])
        butlerQC.put(self.run(patch, coadds), outputRefs)

    def run(self, patch: Patch, deep_coadds: Mapping[str, MaskedImage]) -> pipe_base.Struct:
        """Measure the objects of a patch.

        Parameters
        ----------
        patch
            The patch.
        deep_coadds
            Its coadds by band.

        Returns
        -------
        result
            ``object_patch`` (`Table`).
        """
        coadds = {b: Exposure.from_masked_image(image) for b, image in deep_coadds.items()}
        objects = measure_objects(
            coadds,
            threshold=self.config.threshold,
            min_area=self.config.min_area,
            deblend_contrast=self.config.deblend_contrast,
            background_box=self.config.background_box,
        )
        table = patch_table(patch, objects, coadds)
        self.log.info("Patch %d: %d objects.", patch.id, len(table))
        return pipe_base.Struct(object_patch=table)


class MergeObjectsConnections(pipe_base.PipelineTaskConnections, dimensions=("skymap", "tract")):
    """Objects of all patches in; the table of the tract out."""

    object_patches = connection_types.Input(
        doc=OBJECT_PATCH.doc, **OBJECT_PATCH.connection(multiple=True)
    )
    object = connection_types.Output(doc=OBJECT.doc, **OBJECT.connection())


class MergeObjectsConfig(pipe_base.PipelineTaskConfig, pipelineConnections=MergeObjectsConnections):
    """`MergeObjectsTask` needs no settings."""


class MergeObjectsTask(pipe_base.PipelineTask):
    """Join the objects of the patches of a tract into one table."""

    ConfigClass = MergeObjectsConfig
    config: MergeObjectsConfig
    _DefaultName = "mergeObjects"

    def run(self, object_patches: Sequence[Table]) -> pipe_base.Struct:
        """Join tables.

        Parameters
        ----------
        object_patches
            Objects of each patch.

        Returns
        -------
        result
            ``object`` (`Table`).
        """
        return pipe_base.Struct(object=merge_patches(object_patches))

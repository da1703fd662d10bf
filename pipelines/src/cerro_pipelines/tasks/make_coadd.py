"""Task: visit images of a band become the coadd of a patch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import lsst.pex.config as pex_config
import lsst.pipe.base as pipe_base
import lsst.pipe.base.connectionTypes as connection_types
import numpy as np
from lsst.daf.butler import DeferredDatasetHandle
from lsst.images import Box

from cerro_pipelines.coadd.build import build_coadd
from cerro_pipelines.coadd.mapping import PixelMapping
from cerro_pipelines.datasets import DEEP_COADD, TRACT_DEFINITION, VISIT_IMAGE
from cerro_pipelines.exposure import Exposure
from cerro_pipelines.skymap import Patch, Tract

_MARGIN = 8  # pixels read beyond the patch, for the interpolation


class MakeCoaddConnections(
    pipe_base.PipelineTaskConnections, dimensions=("skymap", "tract", "patch", "band")
):
    """Visit images in; the coadd of a patch out."""

    tract_definition = connection_types.Input(
        doc=TRACT_DEFINITION.doc, **TRACT_DEFINITION.connection()
    )
    visit_images = connection_types.Input(
        doc=VISIT_IMAGE.doc, **VISIT_IMAGE.connection(multiple=True, deferLoad=True)
    )
    deep_coadd = connection_types.Output(doc=DEEP_COADD.doc, **DEEP_COADD.connection())


class MakeCoaddConfig(pipe_base.PipelineTaskConfig, pipelineConnections=MakeCoaddConnections):
    """Settings of `MakeCoaddTask`."""

    clip = pex_config.Field[float](
        doc="Deviation in standard errors from which a pixel of one image is left out.",
        default=5.0,
    )
    psf_radius = pex_config.Field[int](doc="Half width of the PSF in pixels.", default=24)


class MakeCoaddTask(pipe_base.PipelineTask):
    """Resample the visit images that overlap a patch and average them."""

    ConfigClass = MakeCoaddConfig
    config: MakeCoaddConfig
    _DefaultName = "makeCoadd"

    def runQuantum(  # noqa: N802 - Rubin's name
        self,
        butlerQC: Any,  # noqa: N803
        inputRefs: Any,  # noqa: N803
        outputRefs: Any,  # noqa: N803
    ) -> None:
        """Read the tract, run on handles of the images, write the coadd."""
        data_id = butlerQC.quantum.dataId
        inputs = butlerQC.get(inputRefs)
        handles = sorted(
            inputs["visit_images"], key=lambda h: (h.dataId["visit"], h.dataId["detector"])
        )
        tract = Tract.from_dict(inputs["tract_definition"])
        outputs = self.run(tract.patch(data_id["patch"]), data_id["band"], handles)
        butlerQC.put(outputs, outputRefs)

    def run(
        self, patch: Patch, band: str, visit_images: Sequence[DeferredDatasetHandle]
    ) -> pipe_base.Struct:
        """Make the coadd.

        Parameters
        ----------
        patch
            The patch.
        band
            Band of the images.
        visit_images
            Handles of the images; only the parts that meet the patch are read.

        Returns
        -------
        result
            ``deep_coadd`` (`MaskedImage`).

        Raises
        ------
        lsst.pipe.base.NoWorkFound
            If no image has pixels on the patch.
        """
        coadd = build_coadd(
            patch,
            band,
            self._read(patch, visit_images),
            clip=self.config.clip,
            psf_radius=self.config.psf_radius,
        )
        if coadd is None:
            raise pipe_base.NoWorkFound(f"No image in {band} has pixels on patch {patch.id}.")
        return pipe_base.Struct(deep_coadd=coadd.to_masked_image())

    @staticmethod
    def _read(patch: Patch, handles: Sequence[DeferredDatasetHandle]) -> Iterator[Exposure]:
        for handle in handles:
            box = part_on_patch(handle, patch)
            if box is not None:
                yield Exposure.from_masked_image(handle.get(parameters={"bbox": box}))


def part_on_patch(handle: DeferredDatasetHandle, patch: Patch) -> Box | None:
    """Give the part of an image that meets a patch, without reading its pixels.

    Parameters
    ----------
    handle
        Of a visit image.
    patch
        The patch.
    """
    full = handle.get(component="bbox")
    wcs = handle.get(component="sky_projection").as_fits_wcs(full)
    mapping = PixelMapping.between(patch.wcs, patch.shape, wcs)
    rim = np.linspace(0.0, 1.0, 21)
    height, width = patch.shape
    x = np.concatenate([rim, rim, 0 * rim, 0 * rim + 1]) * (width - 1)
    y = np.concatenate([0 * rim, 0 * rim + 1, rim, rim]) * (height - 1)
    px, py = mapping(x, y)
    low_x = max(int(px.min()) - _MARGIN, 0)
    high_x = min(int(px.max()) + _MARGIN + 2, full.x.size)
    low_y = max(int(py.min()) - _MARGIN, 0)
    high_y = min(int(py.max()) + _MARGIN + 2, full.y.size)
    if low_x >= high_x or low_y >= high_y:
        return None
    x0, y0 = full.x.start, full.y.start
    return Box.factory[y0 + low_y : y0 + high_y, x0 + low_x : x0 + high_x]

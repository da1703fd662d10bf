"""Task: a visit image less its template, and what is found on the difference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import lsst.pex.config as pex_config
import lsst.pipe.base as pipe_base
import lsst.pipe.base.connectionTypes as connection_types
import numpy as np
from astropy.table import Table
from lsst.daf.butler import DeferredDatasetHandle
from lsst.images import MaskedImage

from cerro_pipelines.datasets import (
    DEEP_COADD,
    DIA_SOURCE_VISIT,
    DIFFERENCE_IMAGE,
    VISIT_IMAGE,
)
from cerro_pipelines.difference.detect import DiaDetections, detect_differences, psf_amplitudes
from cerro_pipelines.difference.subtract import Difference, subtract
from cerro_pipelines.difference.template import Template, make_template
from cerro_pipelines.exposure import Exposure, Plane
from cerro_pipelines.measure.detrend import BAD
from cerro_pipelines.measure.flags import pixel_flags
from cerro_pipelines.measure.psf_store import attach_psf, find_psf
from cerro_pipelines.schema.columns import conform, empty
from cerro_pipelines.tasks.calibrate import pixel_scale_degrees, source_id


class SubtractImagesConnections(
    pipe_base.PipelineTaskConnections, dimensions=("instrument", "visit", "detector")
):
    """Visit image and coadds in; difference image and its detections out."""

    visit_image = connection_types.Input(doc=VISIT_IMAGE.doc, **VISIT_IMAGE.connection())
    deep_coadds = connection_types.Input(
        doc=DEEP_COADD.doc, **DEEP_COADD.connection(multiple=True, deferLoad=True)
    )
    difference_image = connection_types.Output(
        doc=DIFFERENCE_IMAGE.doc, **DIFFERENCE_IMAGE.connection()
    )
    dia_source_visit = connection_types.Output(
        doc=DIA_SOURCE_VISIT.doc, **DIA_SOURCE_VISIT.connection()
    )


class SubtractImagesConfig(
    pipe_base.PipelineTaskConfig, pipelineConnections=SubtractImagesConnections
):
    """Settings of `SubtractImagesTask`."""

    threshold = pex_config.Field[float](
        doc="Signal-to-noise ratio of a detection of either sign.", default=5.5
    )
    subtraction_error = pex_config.Field[float](
        doc="Share of the template's light that an imperfect PSF may leave.", default=0.02
    )


class SubtractImagesTask(pipe_base.PipelineTask):
    """Subtract the coadd of the band from a visit image and detect what changed."""

    ConfigClass = SubtractImagesConfig
    config: SubtractImagesConfig
    _DefaultName = "subtractImages"

    def runQuantum(  # noqa: N802 - Rubin's name
        self,
        butlerQC: Any,  # noqa: N803
        inputRefs: Any,  # noqa: N803
        outputRefs: Any,  # noqa: N803
    ) -> None:
        """Read the image, run on handles of the coadds in the order of their patches, write."""
        inputs = butlerQC.get(inputRefs)
        band = butlerQC.quantum.dataId["band"]
        handles: Sequence[DeferredDatasetHandle] = sorted(
            (h for h in inputs["deep_coadds"] if h.dataId["band"] == band),
            key=lambda h: (h.dataId["tract"], h.dataId["patch"]),
        )
        coadds = (handle.get() for handle in handles)
        butlerQC.put(self.run(inputs["visit_image"], coadds), outputRefs)

    def run(self, visit_image: MaskedImage, deep_coadds: Iterable[MaskedImage]) -> pipe_base.Struct:
        """Subtract and detect.

        Parameters
        ----------
        visit_image
            The visit image.
        deep_coadds
            Coadds of its band that overlap it.

        Returns
        -------
        result
            ``difference_image`` (`MaskedImage`) and ``dia_source_visit`` (`Table`).

        Raises
        ------
        lsst.pipe.base.NoWorkFound
            If no coadd overlaps the image.
        """
        visit = Exposure.from_masked_image(visit_image)
        template = make_template(visit, map(Exposure.from_masked_image, deep_coadds))
        if template is None:
            raise pipe_base.NoWorkFound(f"No coadd overlaps visit {visit.info.visit}.")
        good = ~visit.has(BAD) & template.good
        result = subtract(
            visit.array, visit.variance, find_psf(visit),
            template.image, template.variance, template.psf, good,
        )  # fmt: skip
        found = detect_differences(
            result,
            template.image,
            good,
            threshold=self.config.threshold,
            subtraction_error=self.config.subtraction_error,
        )
        difference = difference_exposure(visit, result, template)
        table = dia_source_table(visit, difference, found)
        self.log.info("Visit %s: %d detections.", visit.info.visit, len(table))
        return pipe_base.Struct(
            difference_image=difference.to_masked_image(), dia_source_visit=table
        )


def difference_exposure(visit: Exposure, result: Difference, template: Template) -> Exposure:
    """Give the difference image with the mask of the visit and that of the template's coverage.

    Parameters
    ----------
    visit
        The visit image.
    result
        The difference.
    template
        The template.
    """
    mask = visit.mask & ~np.uint8(int(Plane.DETECTED))
    mask[~template.good] |= np.uint8(int(Plane.NO_DATA))
    plain = replace(visit, array=result.image, variance=result.variance, mask=mask, extra={})
    return attach_psf(plain, result.psf)


def dia_source_table(visit: Exposure, difference: Exposure, found: DiaDetections) -> Table:
    """Bring detections into the shape of the table DiaSource, not linked yet (diaObjectId 0).

    Parameters
    ----------
    visit, difference
        The visit image and the difference image.
    found
        Detections on the difference.
    """
    flags = pixel_flags(difference.mask, found.x, found.y)
    clean = ~(flags["edge"] | flags["bad"] | flags["saturated"] | flags["nodata"])
    keep = np.flatnonzero(clean)
    if keep.size == 0:
        return empty("DiaSource")
    x, y = found.x[keep], found.y[keep]
    ra, dec = visit.pixel_to_sky(x, y)
    scale = pixel_scale_degrees(visit)
    good = ~visit.has(BAD)
    stamps = find_psf(visit).draw(x, y, 8)
    science, science_error, _ = psf_amplitudes(visit.array, visit.variance, good, stamps, x, y)
    flux, aperture = found.flux[keep], found.aperture_flux[keep]
    number = source_id(int(visit.info.visit or 0), int(visit.info.detector or 0), keep.size)
    values: dict[str, Any] = {
        "diaSourceId": number,
        "diaObjectId": np.zeros(keep.size, np.int64),
        "visit": visit.info.visit,
        "detector": visit.info.detector,
        "band": visit.info.band,
        "midpointMjdTai": float(visit.info.mjd_mid or 0.0),
        "ra": ra,
        "dec": dec,
        "raErr": found.x_error[keep] * scale,
        "decErr": found.y_error[keep] * scale,
        "x": x,
        "y": y,
        "snr": found.signal_to_noise[keep],
        "psfFlux": flux,
        "psfFluxErr": found.flux_error[keep],
        "psfFlux_flag": ~np.isfinite(flux),
        "apFlux": aperture,
        "apFluxErr": found.aperture_error[keep],
        "apFlux_flag": ~np.isfinite(aperture),
        "scienceFlux": science,
        "scienceFluxErr": science_error,
        **{f"i{k}": found.moments[keep, i] for i, k in enumerate(("xx", "yy", "xy"))},
        "isDipole": found.dipole[keep],
        "isNegative": flux < 0,
        **{
            f"pixelFlags_{name}": flags[name][keep]
            for name in ("bad", "cr", "edge", "nodata", "saturated")
        },
    }
    return conform("DiaSource", values)

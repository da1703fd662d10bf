"""Task: a raw image becomes a visit image and its Source table."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import lsst.pex.config as pex_config
import lsst.pipe.base as pipe_base
import lsst.pipe.base.connectionTypes as connection_types
import numpy as np
from astropy.table import Table
from lsst.images import Image, MaskedImage

from cerro_pipelines.datasets import RAW, SOURCE, VISIT_IMAGE, VISIT_SUMMARY
from cerro_pipelines.exposure import NANOJANSKY_ZERO_POINT, Exposure, ExposureInfo
from cerro_pipelines.measure.detrend import BAD, Detrended, detrend
from cerro_pipelines.measure.flags import pixel_flags
from cerro_pipelines.measure.photometry import APERTURES
from cerro_pipelines.measure.psf import PsfModel
from cerro_pipelines.measure.psf_fit import PsfError
from cerro_pipelines.measure.psf_store import attach_psf
from cerro_pipelines.measure.visit import (
    VisitSources,
    estimate_psf,
    measure_sources,
    psf_moments,
)
from cerro_pipelines.schema.columns import conform, empty


class CalibrateConnections(
    pipe_base.PipelineTaskConnections, dimensions=("instrument", "visit", "detector")
):
    """Raw in; visit image, sources and summary out."""

    raw = connection_types.Input(doc=RAW.doc, **RAW.connection(multiple=True))
    visit_image = connection_types.Output(doc=VISIT_IMAGE.doc, **VISIT_IMAGE.connection())
    source = connection_types.Output(doc=SOURCE.doc, **SOURCE.connection())
    visit_summary = connection_types.Output(doc=VISIT_SUMMARY.doc, **VISIT_SUMMARY.connection())


class CalibrateConfig(pipe_base.PipelineTaskConfig, pipelineConnections=CalibrateConnections):
    """Settings of `CalibrateTask`."""

    background_box = pex_config.Field[int](
        doc="Side in pixels of the boxes in which the background is estimated.", default=128
    )
    threshold = pex_config.Field[float](
        doc="Signal-to-noise ratio from which a source is detected.", default=5.0
    )
    min_area = pex_config.Field[int](doc="Least number of pixels of a source.", default=3)
    deblend_contrast = pex_config.Field[float](
        doc="Least share of a blend's flux that makes a source of its own.", default=0.0003
    )
    psf_radius = pex_config.Field[int](doc="Half width of the PSF in pixels.", default=15)
    rescale_variance = pex_config.Field[bool](
        doc="Scale the variance to the scatter of the background: for images that were resampled "
        "or stacked before.",
        default=False,
    )


class CalibrateTask(pipe_base.PipelineTask):
    """Detrend a raw image, estimate its PSF, detect and measure its sources."""

    ConfigClass = CalibrateConfig
    config: CalibrateConfig
    _DefaultName = "calibrate"

    def runQuantum(  # noqa: N802 - Rubin's name
        self,
        butlerQC: Any,  # noqa: N803
        inputRefs: Any,  # noqa: N803
        outputRefs: Any,  # noqa: N803
    ) -> None:
        """Read the one raw image of the visit, run, write."""
        outputs = self.run(butlerQC.get(inputRefs)["raw"][0])
        butlerQC.put(outputs, outputRefs)

    def run(self, raw: Image) -> pipe_base.Struct:
        """Calibrate a raw image.

        Parameters
        ----------
        raw
            Pixels in adu, as `Exposure.to_image` wrote them.

        Returns
        -------
        result
            ``visit_image`` (`MaskedImage`), ``source`` (`Table`), ``visit_summary`` (`dict`).

        Raises
        ------
        lsst.pipe.base.AlgorithmError
            If the image has too few stars for a PSF.
        """
        original = Exposure.from_image(raw)
        config = self.config
        reduced = detrend(
            original,
            box=config.background_box,
            threshold=config.threshold,
            min_area=config.min_area,
            deblend_contrast=config.deblend_contrast,
            rescale_variance=config.rescale_variance,
        )
        exposure = reduced.exposure
        good = ~exposure.has(BAD)
        try:
            fit = estimate_psf(
                exposure.array,
                exposure.variance,
                good,
                reduced.detections,
                fwhm=_seeing(original.info),
                radius=config.psf_radius,
            )
        except PsfError as error:
            raise pipe_base.NoWorkFound(
                f"Visit {original.info.visit}, detector {original.info.detector}: {error}"
            ) from error
        measured = measure_sources(
            exposure.array, exposure.variance, good, reduced.detections, fit.psf
        )
        used = np.zeros(len(measured.x), dtype=bool)
        used[fit.stars] = True
        table = source_table(reduced, measured, fit.psf, used)
        summary = summarize(original, reduced, fit.psf, len(table), len(fit.stars))
        self.log.info(
            "Visit %s: seeing %.2f arcsec, %d stars for the PSF, %d sources.",
            original.info.visit, summary["seeing"], len(fit.stars), len(table),
        )  # fmt: skip
        image: MaskedImage = attach_psf(exposure, fit.psf).to_masked_image()
        return pipe_base.Struct(visit_image=image, source=table, visit_summary=summary)


def _seeing(info: ExposureInfo) -> float:
    if info.seeing and info.pixel_scale:
        return float(np.clip(info.seeing / info.pixel_scale, 1.5, 15.0))
    return 4.0


def source_id(visit: int, detector: int, count: int) -> np.ndarray:
    """Give identifiers of the sources of an image: visit, detector and a running number, readable.

    Parameters
    ----------
    visit, detector
        Data id of the image; visit below 9e9, detector below 1000.
    count
        Number of sources, below a million.
    """
    return (visit * 1000 + detector) * 1_000_000 + np.arange(1, count + 1, dtype=np.int64)


def source_table(
    reduced: Detrended, measured: VisitSources, psf: PsfModel, used: np.ndarray
) -> Table:
    """Bring measurements into the shape of the table Source.

    Parameters
    ----------
    reduced
        Visit image and background.
    measured
        Measurements of its sources.
    psf
        PSF of the image.
    used
        Whether each source helped to make the PSF.
    """
    exposure = reduced.exposure
    info = exposure.info
    count = len(measured.x)
    if count == 0:
        return empty("Source")
    visit, detector = int(info.visit or 0), int(info.detector or 0)
    ra, dec = exposure.pixel_to_sky(measured.x, measured.y)
    scale = pixel_scale_degrees(exposure)
    flags = pixel_flags(exposure.mask, measured.x, measured.y)
    flags.pop("clipped")
    own = psf_moments(psf)
    column = np.clip(np.rint(measured.x).astype(int), 0, exposure.shape[1] - 1)
    row = np.clip(np.rint(measured.y).astype(int), 0, exposure.shape[0] - 1)
    values: dict[str, Any] = {
        "sourceId": source_id(visit, detector, count),
        "visit": visit,
        "detector": detector,
        "band": info.band,
        "physical_filter": info.physical_filter or info.band,
        "coord_ra": ra,
        "coord_dec": dec,
        "raErr": measured.x_error * scale,
        "decErr": measured.y_error * scale,
        "x": measured.x,
        "y": measured.y,
        "xErr": measured.x_error,
        "yErr": measured.y_error,
        "centroid_flag": measured.centroid_bad,
        "psfFlux": measured.psf_flux,
        "psfFluxErr": measured.psf_error,
        "psfFlux_flag": ~np.isfinite(measured.psf_flux),
        "apFlux_flag": measured.aperture_bad,
        "kronFlux": measured.kron_flux,
        "kronFluxErr": measured.kron_error,
        "kronFlux_flag": measured.kron_bad,
        "sky": reduced.background[row, column],
        "skyErr": reduced.noise,
        **{f"i{k}": measured.moments[:, i] for i, k in enumerate(("xx", "yy", "xy"))},
        **{f"i{k}PSF": own[i] for i, k in enumerate(("xx", "yy", "xy"))},
        "extendedness": measured.extendedness,
        "footprintArea_value": measured.area.astype(np.int32),
        "detect_fromBlend": measured.blended,
        "calib_psf_used": used,
        **{f"pixelFlags_{name}": flag for name, flag in flags.items()},
    }
    for k, radius in enumerate(APERTURES):
        values[f"ap{radius:02d}Flux"] = measured.aperture_flux[:, k]
        values[f"ap{radius:02d}FluxErr"] = measured.aperture_error[:, k]
    return conform("Source", values)


def pixel_scale_degrees(exposure: Exposure) -> float:
    """Side of a pixel in degrees, at the middle of the image."""
    y, x = (exposure.shape[0] - 1) / 2.0, (exposure.shape[1] - 1) / 2.0
    ra, dec = exposure.pixel_to_sky([x, x + 1.0, x], [y, y, y + 1.0])
    width = np.hypot((ra[1] - ra[0]) * np.cos(np.radians(dec[0])), dec[1] - dec[0])
    height = np.hypot((ra[2] - ra[0]) * np.cos(np.radians(dec[0])), dec[2] - dec[0])
    return float(np.sqrt(width * height))


def summarize(
    raw: Exposure, reduced: Detrended, psf: PsfModel, sources: int, stars: int
) -> dict[str, Any]:
    """Say in a few numbers what an image is like; the table Visit is made of this.

    Parameters
    ----------
    raw, reduced
        The image before and after.
    psf
        Its PSF.
    sources, stars
        Number of sources, and of stars that made the PSF.
    """
    exposure, info = reduced.exposure, raw.info
    y, x = (exposure.shape[0] - 1) / 2.0, (exposure.shape[1] - 1) / 2.0
    ra, dec = exposure.pixel_to_sky([x, x], [y, y + 1.0])
    scale = pixel_scale_degrees(exposure) * u.deg.to(u.arcsec)
    good = ~exposure.has(BAD)
    variance = float(np.median(exposure.variance[good])) if good.any() else np.nan
    limit = 5.0 * np.sqrt(variance * psf.effective_area)
    angle = np.degrees(np.arctan2((ra[1] - ra[0]) * np.cos(np.radians(dec[0])), dec[1] - dec[0]))
    middle = info.mjd_mid
    half = (info.exposure_time or 0.0) / 2.0 / 86400.0
    numbers: dict[str, Any] = {
        "visit": info.visit,
        "detector": info.detector,
        "band": info.band,
        "physical_filter": info.physical_filter,
        "ra": float(ra[0]),
        "dec": float(dec[0]),
        "sky_rotation": float(angle % 360.0),
        "airmass": info.airmass,
        "exposure_time": info.exposure_time,
        "mjd_mid": middle,
        "mjd_start": None if middle is None else middle - half,
        "sources": sources,
        "psf_stars": stars,
        "pixel_scale": scale,
        "seeing": psf.fwhm * scale,
        "psf_area": psf.effective_area,
        "zero_point": info.zero_point,
        "sky": float(np.mean(reduced.background)),
        "sky_noise": reduced.noise,
        "mag_limit": float(NANOJANSKY_ZERO_POINT - 2.5 * np.log10(limit)),
    }
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in numbers.items()}

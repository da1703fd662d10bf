"""The task that observes the simulated sky: one raw image a quantum."""

from __future__ import annotations

import math
from typing import Any

import galsim
import lsst.pex.config as pex_config
import lsst.pipe.base as pipe_base
import numpy as np
import numpy.typing as npt
from astropy.table import Row, Table
from lsst.pipe.base import connectionTypes as cT

from cerro_pipelines.datasets import RAW, SURVEY_PLAN, TRUTH_MOVING, TRUTH_OBJECT, TRUTH_VISIT
from cerro_pipelines.exposure import Exposure, ExposureInfo

from .config import SurveyConfig
from .draw import GalaxyPainter, add_objects, draw_star, seeing_psf, stamp_radius
from .plan import EXPOSURE_TIME, GAIN, READ_NOISE, SATURATION, visit_wcs
from .scene import random_stream

__all__ = ["SimulateConfig", "SimulateTask"]

type FloatArray = npt.NDArray[np.floating[Any]]

_LARGEST_STAR = 90
"""Radius of the largest stamp of a star, pixels."""


class SimulateConnections(
    pipe_base.PipelineTaskConnections, dimensions=("instrument", "exposure", "detector")
):
    """Truth and plan in, a raw image out."""

    plan = cT.Input(doc=SURVEY_PLAN.doc, **SURVEY_PLAN.connection())
    truth = cT.Input(doc=TRUTH_OBJECT.doc, **TRUTH_OBJECT.connection())
    truth_visit = cT.Input(doc=TRUTH_VISIT.doc, **TRUTH_VISIT.connection())
    truth_moving = cT.Input(doc=TRUTH_MOVING.doc, **TRUTH_MOVING.connection())
    raw = cT.Output(doc=RAW.doc, **RAW.connection())


class SimulateConfig(pipe_base.PipelineTaskConfig, pipelineConnections=SimulateConnections):
    """What the task must know beside the truth."""

    seed = pex_config.Field[int](doc="Seed of the noise.", default=20260101)
    n_pixels = pex_config.Field[int](doc="Side of the detector, pixels.", default=1700)
    vignetting = pex_config.Field[float](
        doc="Loss of light in the corners, as a fraction; raw images are flat-fielded already, so "
        "that it shows in the noise only.",
        default=0.06,
    )
    dead_columns = pex_config.Field[int](doc="Number of dead columns (NaN).", default=3)


class SimulateTask(pipe_base.PipelineTask):
    """Make a raw image of the simulated sky: objects, sky with a gradient, noise, saturation."""

    ConfigClass = SimulateConfig
    config: SimulateConfig
    _DefaultName = "simulate"

    def runQuantum(  # noqa: N802 - Rubin's name
        self,
        butlerQC: Any,  # noqa: N803
        inputRefs: Any,  # noqa: N803
        outputRefs: Any,  # noqa: N803
    ) -> None:
        """Read the truth, run, write the raw image."""
        visit = int(butlerQC.quantum.dataId["exposure"])
        outputs = self.run(visit=visit, **butlerQC.get(inputRefs))
        butlerQC.put(outputs, outputRefs)

    def run(
        self, visit: int, plan: Table, truth: Table, truth_visit: Table, truth_moving: Table
    ) -> pipe_base.Struct:
        """Simulate a visit.

        Parameters
        ----------
        visit
            Number of the visit in `plan`.
        plan, truth, truth_visit, truth_moving
            As made by `cerro_pipelines.simulate.survey.make_tables`.

        Returns
        -------
        result
            ``raw``: `lsst.images.Image` in adu.
        """
        row = plan[np.asarray(plan["visit"]) == visit][0]
        survey = SurveyConfig(seed=self.config.seed, n_pixels=self.config.n_pixels)
        wcs = visit_wcs(survey, row["ra"], row["dec"], row["rotation"])
        exposure = Exposure.from_arrays(
            np.zeros((survey.n_pixels, survey.n_pixels), np.float32),
            wcs,
            _info(row, survey),
            unit="adu",
        )
        objects = _objects(truth, truth_visit, truth_moving, visit, str(row["band"]))
        self._draw(exposure, objects, row)
        self._observe(exposure, row)
        self.log.info("Visit %d: %d objects drawn.", visit, len(objects))
        return pipe_base.Struct(raw=exposure.to_image())

    def _draw(self, exposure: Exposure, objects: Table, row: Row) -> None:
        psf = seeing_psf(float(row["seeing"]), float(row["shear_1"]), float(row["shear_2"]))
        scale = float(exposure.info.pixel_scale or 0.2)
        noise = float(np.sqrt(row["sky"] / GAIN))
        x, y = exposure.sky_to_pixel(objects["ra"], objects["dec"])
        flux = np.asarray(objects["flux"]) / exposure.info.nanojansky_per_adu
        inside = exposure.contains(x, y, border=-60.0)
        shape = np.asarray(objects["shape"])
        painter = GalaxyPainter(psf, scale)
        for kind in np.unique(shape[inside]):
            rows = inside & (shape == kind)
            radii = stamp_radius(flux[rows], noise, _LARGEST_STAR)
            if kind < 0:
                profile = draw_star(psf, scale, int(radii.max()))
            else:
                one = objects[rows][0]
                size = float(one["halfLightRadius"])
                profile = painter.draw(_galaxy(one, row), size)
                radii = np.clip(radii + math.ceil(2 * size / scale), 9, profile.radius)
            add_objects(exposure.array, profile, x[rows], y[rows], flux=flux[rows], radii=radii)

    def _observe(self, exposure: Exposure, row: Row) -> None:
        """Add sky and noise, saturate, digitize, and lose the dead columns."""
        rng = random_stream(self.config.seed, 6, int(row["visit"]))
        ny, nx = exposure.shape
        v = np.linspace(-1.0, 1.0, ny, dtype=np.float32)[:, None]
        u = np.linspace(-1.0, 1.0, nx, dtype=np.float32)[None, :]
        image = exposure.array
        image += np.float32(row["sky"]) * (
            1 + np.float32(row["sky_slope_x"]) * u + np.float32(row["sky_slope_y"]) * v
        )
        # Vignetted light, once flat-fielded, has the right level but more noise.
        throughput = 1 - np.float32(self.config.vignetting) * (u**2 + v**2) / 2
        variance = np.maximum(image, 0) / (np.float32(GAIN) * throughput)
        variance += np.float32((READ_NOISE / GAIN) ** 2)
        image += np.sqrt(variance) * rng.standard_normal(image.shape, dtype=np.float32)
        np.clip(np.rint(image), 0, SATURATION, out=image)
        columns = random_stream(self.config.seed, 7).integers(0, nx, self.config.dead_columns)
        image[:, columns] = np.nan


def _info(row: Row, survey: SurveyConfig) -> ExposureInfo:
    return ExposureInfo(
        band=str(row["band"]),
        physical_filter=f"{row['band']}_sim",
        instrument="SimCam",
        visit=int(row["visit"]),
        detector=0,
        mjd_mid=float(row["mjd"]),
        exposure_time=EXPOSURE_TIME,
        zero_point=float(row["zero_point"]),
        seeing=float(row["seeing"]),
        gain=GAIN,
        read_noise=READ_NOISE,
        saturation=SATURATION,
        sky_level=0.0,
        pixel_scale=survey.pixel_scale,
        airmass=float(row["airmass"]),
    )


def _galaxy(shape: Row, row: Row) -> galsim.GSObject:
    """Make the profile of a galaxy as the detector sees it, which is turned against the sky."""
    ratio = float(shape["axisRatio"])
    profile = galsim.Sersic(
        n=float(shape["sersicIndex"]),
        # The major axis has the half-light radius; GalSim's shear keeps the area.
        half_light_radius=float(shape["halfLightRadius"]) * np.sqrt(ratio),
    )
    # +x points west and +y north: position angle PA (north through east) is 90 + PA from +x.
    angle = 90.0 + float(shape["positionAngle"]) - float(row["rotation"])
    return profile.shear(q=ratio, beta=angle * galsim.degrees)


def _objects(truth: Table, truth_visit: Table, truth_moving: Table, visit: int, band: str) -> Table:
    """Give everything in the sky at this visit: position, flux (nJy) and shape (-1 for a point)."""
    flux = np.asarray(truth[f"{band}_flux"], dtype=float).copy()
    now = truth_visit[np.asarray(truth_visit["visit"]) == visit]
    order = np.argsort(np.asarray(truth["truthId"]))
    place = order[np.searchsorted(np.asarray(truth["truthId"])[order], np.asarray(now["truthId"]))]
    flux[place] = np.asarray(now["flux"])
    radius = np.ma.filled(truth["halfLightRadius"].astype(float), 0.0)
    index = np.ma.filled(truth["sersicIndex"].astype(float), 0.0)
    ratio = np.ma.filled(truth["axisRatio"].astype(float), 0.0)
    angle = np.ma.filled(truth["positionAngle"].astype(float), 0.0)
    point = np.asarray(truth["isPointSource"])
    # One number a distinct shape, the same whatever the order of rows.
    keys = np.round(np.column_stack([radius, index, ratio, angle]) * 1e4).astype(np.int64)
    _, shape = np.unique(keys, axis=0, return_inverse=True)
    moving = truth_moving[np.asarray(truth_moving["visit"]) == visit]
    extra = len(moving)

    def join(values: FloatArray, more: Any = 0.0) -> FloatArray:
        return np.append(values, np.broadcast_to(np.asarray(more, float), (extra,)))

    return Table(
        {
            "ra": join(np.asarray(truth["ra"]), moving["ra"] if extra else 0.0),
            "dec": join(np.asarray(truth["dec"]), moving["dec"] if extra else 0.0),
            "flux": join(flux, moving["flux"] if extra else 0.0),
            "shape": join(np.where(point, -1, shape.ravel()), -1).astype(int),
            "halfLightRadius": join(radius),
            "sersicIndex": join(index),
            "axisRatio": join(ratio),
            "positionAngle": join(angle),
        }
    )

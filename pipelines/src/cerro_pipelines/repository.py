"""Make and open a Butler repository for Cerro's pipelines, with its dimension records.

The registry is SQLite beside the data; `cerro_pipelines.storage` says how images are written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.time import Time
from lsst.daf.butler import Butler, Timespan
from lsst.sphgeom import ConvexPolygon, LonLat

from . import datasets
from .exposure import Exposure
from .instruments.model import Instrument
from .skymap import polygon
from .storage import butler_config

__all__ = [
    "RAW_RUN",
    "SKY_MAP_RUN",
    "Observation",
    "RepositoryError",
    "create",
    "footprint",
    "insert_observations",
    "instruments_of",
    "open_repository",
    "raw_collection",
    "register_instrument",
]

RAW_RUN = "raw"
"""Last part of the name of the collection of an instrument's raw images: ``SimCam/raw``."""

SKY_MAP_RUN = "skymaps"
"""Collection of all ``tract_definition`` datasets."""


class RepositoryError(Exception):
    """The repository cannot be made or opened, or lacks what is asked of it."""


@dataclasses.dataclass(frozen=True)
class Observation:
    """What Butler must know of an exposure.

    Parameters
    ----------
    visit
        Number of the exposure and of the visit, which are one and the same here.
    name
        Name of the observation for people.
    physical_filter
        Full name of the filter.
    begin, end
        Times at which the shutter opened and closed.
    exposure_time
        Seconds of light.
    footprints
        Right ascension and declination (degrees) of points round the rim of each detector.
    target
        What the observer aimed at.
    airmass
        Airmass, where known.
    sky_angle
        Position angle of the detector's +y axis, degrees from north through east.
    simulated
        True if no telescope took it.
    """

    visit: int
    name: str
    physical_filter: str
    begin: Time
    end: Time
    exposure_time: float
    footprints: Mapping[int, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]
    target: str = "unknown"
    airmass: float | None = None
    sky_angle: float | None = None
    simulated: bool = False

    @property
    def day_obs(self) -> int:
        """The night as YYYYMMDD: the date of the noon (TAI) before the exposure began."""
        noon = Time(self.begin.tai.mjd - 0.5, format="mjd", scale="tai")
        return int(noon.strftime("%Y%m%d"))


def raw_collection(instrument: str) -> str:
    """Give the name of the collection of an instrument's raw images."""
    return f"{instrument}/{RAW_RUN}"


def footprint(exposure: Exposure) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Give points round the rim of an image (degrees): corners and middles of the edges."""
    ny, nx = exposure.shape
    left, mid_x, right = -0.5, (nx - 1) / 2.0, nx - 0.5
    low, mid_y, high = -0.5, (ny - 1) / 2.0, ny - 0.5
    x = [left, mid_x, right, right, right, mid_x, left, left]
    y = [low, low, low, mid_y, high, high, high, mid_y]
    ra, dec = exposure.pixel_to_sky(x, y)
    return np.asarray(ra, np.float64), np.asarray(dec, np.float64)


def create(root: Path) -> Butler:
    """Make a repository, or open it for writing if it exists, with all dataset types registered.

    Raises
    ------
    RepositoryError
        If the folder holds something else, or cannot be written.
    """
    if (root / "butler.yaml").exists():
        return open_repository(root, writeable=True)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise RepositoryError(
            f"{root} exists and is no Butler repository: give another folder or empty this one."
        )
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        Butler.makeRepo(str(root), config=butler_config())
    except OSError as error:
        raise RepositoryError(f"Cannot make a repository in {root}: {error.strerror}.") from error
    butler = open_repository(root, writeable=True)
    for dataset in datasets.ALL:
        butler.registry.registerDatasetType(dataset.type(butler.dimensions))
    butler.collections.register(SKY_MAP_RUN)
    return butler


def open_repository(root: Path, *, writeable: bool = False, run: str | None = None) -> Butler:
    """Open a repository.

    Raises
    ------
    RepositoryError
        If the folder holds none.
    """
    if not (root / "butler.yaml").exists():
        raise RepositoryError(
            f"{root} is no Butler repository. Make one with `cerro pipeline simulate {root}` "
            f"or `cerro pipeline ingest {root} FILES --instrument …`."
        )
    return Butler.from_config(str(root), writeable=writeable, run=run)


def register_instrument(butler: Butler, instrument: Instrument) -> None:
    """Insert the records of an instrument, its detectors and filters; those that exist stay."""
    registry = butler.registry
    name = instrument.name
    butler.collections.register(raw_collection(name))
    registry.syncDimensionData(
        "instrument",
        {
            "name": name,
            "visit_max": 2**40,
            "exposure_max": 2**40,
            "detector_max": max(d.id for d in instrument.detectors) + 1,
            "visit_system": 0,
            "class_name": f"cerro_pipelines.instruments.{name}",
        },
        update=True,
    )
    registry.insertDimensionData(
        "physical_filter",
        *(
            {"instrument": name, "name": full, "band": f.band}
            for full, f in instrument.filters.items()
        ),
        skip_existing=True,
    )
    registry.insertDimensionData(
        "detector",
        *(
            {"instrument": name, "id": d.id, "full_name": d.name, "purpose": "SCIENCE"}
            for d in instrument.detectors
        ),
        skip_existing=True,
    )
    registry.insertDimensionData(
        "visit_system",
        {"instrument": name, "id": 0, "name": "one-to-one"},
        skip_existing=True,
    )
    _store_description(butler, instrument)


def _store_description(butler: Butler, instrument: Instrument) -> None:
    """Keep the description with the data, so that reducing needs no file of the observer's."""
    run = f"{instrument.name}/description"
    butler.collections.register(run)
    name = datasets.INSTRUMENT.name
    wanted = instrument.model_dump(mode="json")
    ref = butler.find_dataset(name, instrument=instrument.name, collections=run)
    if ref is not None:
        if butler.get(ref) == wanted:
            return
        butler.pruneDatasets([ref], disassociate=True, unstore=True, purge=True)
    butler.put(wanted, name, instrument=instrument.name, run=run)


def instruments_of(butler: Butler) -> dict[str, Instrument]:
    """Give the instruments of a repository by name."""
    names = [record.name for record in butler.registry.queryDimensionRecords("instrument")]
    found = {}
    for name in sorted(names):
        ref = butler.find_dataset(
            datasets.INSTRUMENT.name, instrument=name, collections=f"{name}/description"
        )
        if ref is not None:
            found[name] = Instrument.model_validate(butler.get(ref))
    return found


def _hull(regions: Iterable[ConvexPolygon]) -> ConvexPolygon:
    return ConvexPolygon([v for region in regions for v in region.getVertices()])


def insert_observations(
    butler: Butler, instrument: str, observations: Sequence[Observation]
) -> None:
    """Insert the records of exposures, visits and their regions on the sky.

    A further detector of a visit that is known widens the region of that visit.
    """
    registry = butler.registry
    known = {
        record.id: record
        for record in registry.queryDimensionRecords("visit", instrument=instrument)
        if record.id in {o.visit for o in observations}
    }
    rows: dict[str, list[dict[str, Any]]] = {
        element: []
        for element in (
            "day_obs",
            "group",
            "exposure",
            "visit",
            "visit_definition",
            "visit_system_membership",
            "visit_detector_region",
        )
    }
    for sequence, obs in enumerate(sorted(observations, key=lambda o: o.visit)):
        regions = {d: polygon(*points) for d, points in obs.footprints.items()}
        parts = [*regions.values()]
        if obs.visit in known:
            parts.append(known[obs.visit].region)
        hull = _hull(parts)
        shared = _shared(instrument, obs, sequence)
        centre = LonLat(hull.getCentroid())
        rows["day_obs"].append({"instrument": instrument, "id": obs.day_obs})
        rows["group"].append({"instrument": instrument, "name": str(obs.visit)})
        rows["exposure"].append(
            {
                **shared,
                "obs_id": obs.name,
                "group": str(obs.visit),
                "dark_time": obs.exposure_time,
                "observation_type": "science",
                "seq_start": sequence,
                "seq_end": sequence,
                "tracking_ra": centre.getLon().asDegrees(),
                "tracking_dec": centre.getLat().asDegrees(),
                "sky_angle": obs.sky_angle,
                "has_simulated": obs.simulated,
                "can_see_sky": True,
            }
        )
        rows["visit"].append({**shared, "name": obs.name, "region": hull})
        rows["visit_definition"].append(
            {"instrument": instrument, "exposure": obs.visit, "visit": obs.visit}
        )
        rows["visit_system_membership"].append(
            {"instrument": instrument, "visit": obs.visit, "visit_system": 0}
        )
        rows["visit_detector_region"] += [
            {"instrument": instrument, "visit": obs.visit, "detector": d, "region": region}
            for d, region in regions.items()
        ]
    with butler.transaction():
        for element, records in rows.items():
            widened = element == "visit"
            registry.insertDimensionData(
                element, *_unique(records), replace=widened, skip_existing=not widened
            )


def _shared(instrument: str, obs: Observation, sequence: int) -> dict[str, Any]:
    zenith = None
    if obs.airmass is not None and obs.airmass >= 1.0:
        zenith = float(np.degrees(np.arccos(1.0 / obs.airmass)))
    return {
        "instrument": instrument,
        "id": obs.visit,
        "physical_filter": obs.physical_filter,
        "day_obs": obs.day_obs,
        "seq_num": sequence,
        "exposure_time": obs.exposure_time,
        "target_name": obs.target,
        "observation_reason": "science",
        "science_program": obs.target,
        "azimuth": None,
        "zenith_angle": zenith,
        "timespan": Timespan(obs.begin.tai, obs.end.tai),
    }


def _unique(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop repeated records (two exposures of a night share its ``day_obs``)."""
    seen: dict[tuple[str, ...], dict[str, Any]] = {}
    for record in records:
        names = ("id", "name", "visit", "detector", "exposure")
        seen.setdefault(tuple(str(record.get(k)) for k in names), record)
    return list(seen.values())

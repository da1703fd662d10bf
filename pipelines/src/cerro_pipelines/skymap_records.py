"""Keep sky maps in a repository: records for Butler, projections as ``tract_definition``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from lsst.daf.butler import Butler
from lsst.sphgeom import ConvexPolygon, LonLat

from . import datasets
from .instruments.model import Instrument
from .repository import SKY_MAP_RUN, RepositoryError
from .skymap import Tract, make_tracts, sky_map_hash

__all__ = ["define_sky_map"]


def _corners(region: ConvexPolygon) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    points = [LonLat(v) for v in region.getVertices()]
    return (
        np.array([p.getLon().asDegrees() for p in points]),
        np.array([p.getLat().asDegrees() for p in points]),
    )


def define_sky_map(
    butler: Butler,
    instrument: Instrument,
    *,
    pixel_scale: float | None = None,
    patch_size: int = 900,
    border: int = 60,
) -> tuple[str, list[Tract]]:
    """Give the sky map that holds all exposures of an instrument, and make it where there is none.

    An existing sky map is used as long as every exposure lies in it and its pixels and patches
    are those asked for. Otherwise a new one is made under the next number (``simcam_2``), so pixels
    never shift under a finished coadd.

    Parameters
    ----------
    butler
        The repository, writeable.
    instrument
        The instrument whose exposures it is for.
    pixel_scale
        Side of a pixel of the coadds, arcsec; the instrument's own when omitted.
    patch_size, border
        See `cerro_pipelines.skymap.make_tracts`.

    Returns
    -------
    name, tracts
        The sky map.

    Raises
    ------
    RepositoryError
        If the repository holds no exposures of the instrument.
    """
    registry = butler.registry
    regions = [
        record.region
        for record in registry.queryDimensionRecords(
            "visit_detector_region", instrument=instrument.name
        )
    ]
    if not regions:
        raise RepositoryError(f"The repository holds no exposures of {instrument.name}.")
    scale = pixel_scale or instrument.tract_pixel_scale
    stem = instrument.name.lower()
    number = 0
    while True:
        number += 1
        name = f"{stem}_{number}"
        tracts = _read_tracts(butler, name)
        if not tracts:
            break
        same = all(
            (t.pixel_scale, t.requested_size, t.border) == (scale, patch_size, border)
            for t in tracts
        )
        if same and all(any(t.region.contains(r) for t in tracts) for r in regions):
            return name, tracts
    tracts = make_tracts(
        name,
        [_corners(r) for r in regions],
        pixel_scale=scale,
        patch_size=patch_size,
        border=border,
    )
    _insert_sky_map(butler, name, tracts)
    return name, tracts


def _read_tracts(butler: Butler, name: str) -> list[Tract]:
    refs = butler.query_datasets(
        datasets.TRACT_DEFINITION.name,
        collections=SKY_MAP_RUN,
        where="skymap = :name",
        bind={"name": name},
        explain=False,
    )
    tracts = [Tract.from_dict(butler.get(ref)) for ref in refs]
    return sorted(tracts, key=lambda t: t.id)


def _insert_sky_map(butler: Butler, name: str, tracts: Sequence[Tract]) -> None:
    registry = butler.registry
    with butler.transaction():
        registry.insertDimensionData(
            "skymap",
            {
                "name": name,
                "hash": sky_map_hash(tracts),
                "tract_max": len(tracts),
                "patch_nx_max": max(t.nx for t in tracts),
                "patch_ny_max": max(t.ny for t in tracts),
            },
        )
        registry.insertDimensionData(
            "tract", *({"skymap": name, "id": t.id, "region": t.region} for t in tracts)
        )
        registry.insertDimensionData(
            "patch",
            *(
                {
                    "skymap": name,
                    "tract": t.id,
                    "id": p.id,
                    "cell_x": p.cell_x,
                    "cell_y": p.cell_y,
                    "region": p.region,
                }
                for t in tracts
                for p in t.patches()
            ),
        )
        for tract in tracts:
            butler.put(
                tract.to_dict(),
                datasets.TRACT_DEFINITION.name,
                skymap=name,
                tract=tract.id,
                run=SKY_MAP_RUN,
            )

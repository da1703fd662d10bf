"""Makes a HiPS of a draft's images in one band (HiPS 1.0)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from cerro_services.release.errors import ReleaseError
from cerro_services.release.hips.tiles import merge, pictures, tiles_of
from cerro_services.release.obscore.columns import PATH
from cerro_services.release.progress import Progress

FOLDER = "hips"
DATASET_TYPE = "cerro_dataset_type"
"""In the properties of a HiPS: what it was made of, by which access is granted."""


@dataclass(frozen=True)
class Survey:
    """A HiPS to be made.

    Parameters
    ----------
    dataset_type, band
        The images that it is made of.
    order
        HEALPix order of the finest tiles; None for that whose pixels are as fine as the images'.
    """

    dataset_type: str
    band: str
    order: int | None = None

    @property
    def name(self) -> str:
        """Its folder."""
        return f"{self.dataset_type}_{self.band}"


def build(draft: Path, release: str, survey: Survey, progress: Progress, jobs: int = 1) -> int:
    """Make a HiPS; it replaces an earlier one of the same images, whole or not at all.

    Parameters
    ----------
    draft, release
        The draft's folder, and the name of its release.
    survey
        What to make.
    progress
        Where to say how far it is.
    jobs
        Processes that work at once.

    Returns
    -------
    int
        Number of tiles of all orders.

    Raises
    ------
    ReleaseError
        The index has no such images; those that it has are named.
    """
    files, scale = _files(draft, survey)
    order = survey.order if survey.order is not None else _order(scale)
    target = draft / FOLDER / survey.name
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-") as place:
        made = Path(place)
        parts = [made / f"part-{number}" for number in range(len(files))]
        with ProcessPoolExecutor(jobs) as pool:
            work = pool.map(partial(tiles_of, order=order), files, parts)
            for number, _ in enumerate(work, 1):
                progress.step(f"Tiles of {survey.name}", number, len(files))
        whole = made / "whole"
        cells = merge(parts, whole)
        pictures(whole)
        finest = [cell for at, cell in cells if at == order]
        _moc(whole / "Moc.fits", finest, order)
        write_properties(whole / "properties", _properties(release, survey, order, finest))
        shutil.rmtree(target, ignore_errors=True)
        whole.rename(target)
    return len(cells)


def properties(folder: Path) -> dict[str, str]:
    """Read the properties of a HiPS.

    Parameters
    ----------
    folder
        The HiPS.
    """
    lines = (folder / "properties").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs}


def write_properties(path: Path, values: Mapping[str, str]) -> None:
    """Write the properties of a HiPS (HiPS 1.0 §4.4.1)."""
    text = "".join(f"{key:<20} = {value}\n" for key, value in values.items())
    path.write_text(text, encoding="utf-8")


def _files(draft: Path, survey: Survey) -> tuple[list[Path], float]:
    index = draft / "obscore" / f"{survey.dataset_type}.parquet"
    if not index.is_file():
        known = sorted(path.stem for path in index.parent.glob("*.parquet"))
        raise ReleaseError(
            f"The draft has no images {survey.dataset_type}; it has {', '.join(known) or 'none'}. "
            "Index them first: cerro release obscore."
        )
    table = pq.read_table(index)
    chosen = table.filter(pc.equal(table["lsst_band"], survey.band))
    if not chosen.num_rows:
        bands = sorted({band for band in table["lsst_band"].to_pylist() if band})
        raise ReleaseError(
            f"{survey.dataset_type} has no images in {survey.band}; it has {', '.join(bands)}."
        )
    scale = pc.min(chosen["s_pixel_scale"]).as_py() or 0.2
    return [draft / place for place in chosen[PATH].to_pylist()], float(scale)


def _order(scale: float) -> int:
    """Give the order whose pixels are as fine as an image's, in arcsec (tiles have 512 x 512)."""
    order = 0
    while 58.6323 * 3600 / 512 / 2**order > scale * 1.42 and order < 20:
        order += 1
    return order


def _moc(path: Path, cells: list[int], order: int) -> None:
    import numpy as np
    from mocpy import MOC

    depth = np.full(len(cells), order, dtype=np.uint8)
    moc = MOC.from_healpix_cells(np.array(cells, dtype=np.uint64), depth, max_depth=order)
    moc.save(path, format="fits", overwrite=True)


def _properties(release: str, survey: Survey, order: int, cells: list[int]) -> dict[str, str]:
    import astropy.units as u
    from cdshealpix.nested import healpix_to_lonlat

    lon, lat = healpix_to_lonlat(cells[:1], order)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ")
    return {
        "creator_did": f"ivo://cerro/{release}/{survey.name}",
        "obs_title": f"{release} {survey.dataset_type} {survey.band}",
        "obs_collection": release,
        "dataproduct_type": "image",
        "hips_version": "1.4",
        "hips_release_date": now,
        "hips_status": "public master clonableOnce",
        "hips_frame": "equatorial",
        "hips_order": str(order),
        "hips_order_min": "0",
        "hips_tile_width": "512",
        "hips_tile_format": "png fits",
        "hips_initial_ra": f"{float(lon[0].to_value(u.deg)):.6f}",
        "hips_initial_dec": f"{float(lat[0].to_value(u.deg)):.6f}",
        "hips_initial_fov": f"{4 * 58.6323 / 2**order:.6f}",
        "moc_sky_fraction": f"{len(cells) / (12 * 4**order):.3e}",
        DATASET_TYPE: survey.dataset_type,
    }

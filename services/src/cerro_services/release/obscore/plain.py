"""The images of a folder of plain FITS files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from cerro_services.release.errors import ReleaseError
from cerro_services.release.obscore.columns import PATH
from cerro_services.release.obscore.header import image_hdu, size_and_scale
from cerro_services.release.obscore.rows import SPECTRAL_RANGES, Rows, completed, publisher_did
from cerro_services.release.progress import Progress

FOLDER = "images"
_SUFFIXES = (".fits", ".fits.fz", ".fit", ".fits.gz")


def of_folder(draft: Path, name: str, folder: Path, kind: str, progress: Progress) -> Rows:
    """Copy the FITS files of a folder into a draft, and describe them.

    Parameters
    ----------
    draft, name
        The draft and its release.
    folder
        The folder; those below it are searched too.
    kind
        Dataset type of the images.
    progress
        Where to say how far it is.

    Returns
    -------
    dict
        Rows of ObsCore by dataset type.

    Raises
    ------
    ReleaseError
        There is no file, or one has no image with a place on the sky; it is named.
    """
    if not kind.isidentifier():
        raise ReleaseError(f"{kind!r} is no name of a dataset type: letters, digits and _ only.")
    files = sorted(p for p in folder.rglob("*") if p.name.lower().endswith(_SUFFIXES))
    if not files:
        raise ReleaseError(f"{folder} has no FITS files ({', '.join(_SUFFIXES)}).")
    rows = []
    for number, file in enumerate(files, 1):
        progress.step("Indexing images", number, len(files))
        place = Path(FOLDER) / kind / file.relative_to(folder)
        row = _row(file, name, kind, file.relative_to(folder).as_posix())
        (draft / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, draft / place)
        rows.append({**row, PATH: place.as_posix()})
    return {kind: rows}


def _row(file: Path, name: str, kind: str, identity: str) -> dict[str, Any]:
    from astropy.io import fits

    try:
        with fits.open(file, memmap=True) as hdus:
            hdu = image_hdu(hdus)
            if hdu is None:
                raise ReleaseError(f"{file} has no image of two axes with a WCS on the sky.")
            header = hdus[0].header.copy()
            header.update(hdu.header)
            place = _place(hdu.header, file)
    except (OSError, ValueError) as error:
        raise ReleaseError(f"{file} cannot be read as FITS: {error}") from error
    begin = _begin(header)
    seconds = _number(header, "EXPTIME", "EXPOSURE")
    band = _band(header)
    spectral = SPECTRAL_RANGES.get(band or "", (None, None))
    stem = file.name.split(".")[0]
    return completed(
        {
            **place,
            **size_and_scale(file),
            "dataproduct_subtype": kind,
            "calib_level": 2,
            "obs_collection": name,
            "obs_id": stem,
            "obs_title": str(header.get("OBJECT") or stem),
            "target_name": header.get("OBJECT"),
            "obs_publisher_did": publisher_did(name, identity),
            "access_estsize": max(1, file.stat().st_size // 1000),
            "s_resolution": _number(header, "SEEING"),
            "t_min": begin,
            "t_max": None if begin is None else begin + (seconds or 0.0) / 86400,
            "t_exptime": seconds,
            "em_min": spectral[0],
            "em_max": spectral[1],
            "o_ucd": "phot.flux.density",
            "facility_name": header.get("TELESCOP") or header.get("OBSERVAT"),
            "instrument_name": header.get("INSTRUME"),
            "lsst_band": band,
            "lsst_filter": header.get("FILTER"),
        }
    )


def _place(header: Any, file: Path) -> dict[str, Any]:
    """Give where an image lies: its corners on the sky, its centre and diameter."""
    import numpy as np
    from astropy.coordinates import SkyCoord
    from astropy.wcs import WCS

    wcs = WCS(header, naxis=2).celestial
    nx, ny = int(header["NAXIS1"]), int(header["NAXIS2"])
    corners = wcs.pixel_to_world([-0.5, nx - 0.5, nx - 0.5, -0.5], [-0.5, -0.5, ny - 0.5, ny - 0.5])
    centre = wcs.pixel_to_world((nx - 1) / 2, (ny - 1) / 2)
    if not isinstance(corners, SkyCoord) or not np.isfinite(corners.icrs.ra.deg).all():
        raise ReleaseError(f"{file}: its corners have no place on the sky; see its WCS.")
    corners, centre = corners.icrs, centre.icrs
    points = zip(corners.ra.deg, corners.dec.deg, strict=True)
    return {
        "s_ra": float(centre.ra.deg),
        "s_dec": float(centre.dec.deg),
        "s_fov": float(corners.separation(centre).deg.max() * 2),
        "s_region": "POLYGON ICRS " + " ".join(f"{x:.8f} {y:.8f}" for x, y in points),
    }


def _begin(header: Any) -> float | None:
    from astropy.time import Time

    if (mjd := _number(header, "MJD-OBS", "MJD_OBS")) is not None:
        return mjd
    try:
        return float(Time(str(header["DATE-OBS"]).replace(" ", "T")).mjd)
    except (KeyError, ValueError):
        return None


def _number(header: Any, *names: str) -> float | None:
    for name in names:
        value = header.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def _band(header: Any) -> str | None:
    """Give the band of a filter's name: ``r DECam SDSS c0002 6415.0 1480.0`` is r."""
    for name in ("BAND", "FILTER", "ESO INS FILT1 NAME"):
        words = str(header.get(name) or "").split()
        if not words:
            continue
        if words[0] in SPECTRAL_RANGES:
            return words[0]
        short = words[0].removeprefix("HSC-").split("_")[0]
        for spelled in (short, short.lower()):
            if spelled in SPECTRAL_RANGES:
                return spelled
    return None

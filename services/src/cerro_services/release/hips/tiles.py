"""Tiles of a HiPS: made image by image, joined, and drawn."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_TILE = re.compile(r"Norder(\d+)/Dir\d+/Npix(\d+)\.fits")
_SAMPLE = 64
"""Tiles whose pixels say what is black and what is white."""


def tiles_of(image: Path, folder: Path, order: int) -> None:
    """Make the tiles of one image, of all orders, by reproject.

    Parameters
    ----------
    image
        A FITS file.
    folder
        Where the tiles go.
    order
        HEALPix order of the finest.
    """
    from astropy.io import fits
    from astropy.wcs import WCS
    from reproject import reproject_interp
    from reproject.hips import reproject_to_hips

    from cerro_services.release.obscore.header import image_hdu

    with fits.open(image) as hdus, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hdu = image_hdu(hdus)
        assert hdu is not None
        reproject_to_hips(
            (np.asarray(hdu.data, dtype=np.float32), WCS(hdu.header, naxis=2)),
            coord_system_out="equatorial",
            level=order,
            reproject_function=reproject_interp,
            output_directory=str(folder),
        )


def merge(parts: Sequence[Path], whole: Path) -> list[tuple[int, int]]:
    """Join the tiles of several images; where they overlap, the first that has a value gives it.

    Parameters
    ----------
    parts
        Folders of tiles.
    whole
        Where the joined ones go.

    Returns
    -------
    list of tuple
        Order and number of each tile.
    """
    from astropy.io import fits

    cells: dict[str, list[Path]] = {}
    for part in parts:
        for path in part.rglob("Npix*.fits"):
            cells.setdefault(path.relative_to(part).as_posix(), []).append(path)
    made = []
    for name, paths in sorted(cells.items()):
        match = _TILE.fullmatch(name)
        assert match is not None
        made.append((int(match[1]), int(match[2])))
        target = whole / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if len(paths) == 1:
            shutil.copyfile(paths[0], target)
            continue
        with fits.open(paths[0]) as first:
            pixels = np.array(first[0].data)
            for path in paths[1:]:
                with fits.open(path) as other:
                    pixels = np.where(np.isfinite(pixels), pixels, other[0].data)
            fits.PrimaryHDU(pixels, first[0].header).writeto(target)
    return made


def pictures(whole: Path) -> None:
    """Draw every tile as PNG, all with the same black and white; what is not there is clear."""
    from astropy.io import fits
    from PIL import Image

    paths = sorted(whole.rglob("Npix*.fits"), reverse=True)
    low, high = _limits([np.asarray(fits.getdata(path)) for path in paths[:_SAMPLE]])
    for path in paths:
        pixels = np.asarray(fits.getdata(path))[::-1]
        there = np.isfinite(pixels)
        part = np.clip((np.where(there, pixels, low) - low) / (high - low), 0, 1)
        grey = np.round(255 * np.arcsinh(10 * part) / np.arcsinh(10)).astype(np.uint8)
        drawn = np.stack([grey, (there * 255).astype(np.uint8)], axis=-1)
        Image.fromarray(drawn, "LA").save(path.with_suffix(".png"))


def _limits(tiles: Sequence[npt.NDArray[Any]]) -> tuple[float, float]:
    from astropy.visualization import ZScaleInterval

    values = np.concatenate([tile[np.isfinite(tile)] for tile in tiles] or [np.zeros(1)])
    if not values.size:
        return 0.0, 1.0
    low, high = ZScaleInterval().get_limits(values)
    high = max(high, float(np.percentile(values, 99.7)))
    return (float(low), high) if high > low else (float(low), float(low) + 1)

"""Images whose pixels are known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.wcs import WCS

SCALE = 0.2 / 3600


@dataclass(frozen=True)
class Field:
    """An image that is published.

    Parameters
    ----------
    name
        Name of the file without its ending.
    ra, dec
        Its centre [deg].
    band
        Its filter.
    size
        Pixels in x and y.
    kind
        Its dataset type.
    """

    name: str
    ra: float
    dec: float
    band: str = "r"
    size: tuple[int, int] = (300, 200)
    kind: str = "coadd"

    @property
    def id(self) -> str:
        """Its obs_publisher_did."""
        return f"ivo://cerro/pix?repo=pix&id={self.name}.fits"

    @property
    def wcs(self) -> WCS:
        """Where its pixels are."""
        made = WCS(naxis=2)
        made.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        made.wcs.crval = [self.ra, self.dec]
        made.wcs.crpix = [(self.size[0] + 1) / 2, (self.size[1] + 1) / 2]
        made.wcs.cdelt = [-SCALE, SCALE]
        return made

    @property
    def planes(self) -> dict[str, npt.NDArray[np.generic]]:
        """Its pixels, each different from its neighbours."""
        nx, ny = self.size
        y, x = np.mgrid[:ny, :nx]
        return {
            "IMAGE": (x + 1000.0 * y).astype("f4"),
            "MASK": ((x + y) % 8).astype("i4"),
            "VARIANCE": (1.0 + x % 7).astype("f4"),
        }


FIELDS = (
    Field("middle", 60.0, -30.0),
    Field("green", 60.0, -30.0, "g"),
    Field("infra", 60.0, -30.0, "i"),
    Field("wrap", 0.0, 0.0),
    Field("pole", 10.0, 89.999),
    Field("hidden", 60.0, -30.0, kind="raw"),
)


def write(folder: Path, field: Field) -> Path:
    """Write a field as the pipelines do: three compressed planes."""
    hdus = fits.HDUList([fits.PrimaryHDU()])
    hdus[0].header["MJD-OBS"] = 61000.5
    hdus[0].header["EXPTIME"] = 30.0
    hdus[0].header["FILTER"] = field.band
    hdus[0].header["TELESCOP"] = "Test"
    hdus[0].header["INSTRUME"] = "TestCam"
    for name, pixels in field.planes.items():
        made = fits.CompImageHDU(
            pixels,
            field.wcs.to_header(),
            name=name,
            compression_type="GZIP_2" if pixels.dtype.kind == "f" else "RICE_1",
            quantize_level=0,
            tile_shape=(50, 60),
        )
        if name == "IMAGE":
            made.header["BUNIT"] = "nJy"
        hdus.append(made)
    path = folder / f"{field.name}.fits"
    hdus.writeto(path)
    return path

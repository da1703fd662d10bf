"""What the header of an image says of its pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def image_hdu(hdus: Any) -> Any | None:
    """Give the first HDU that is an image of two axes on the sky; None if there is none."""
    for hdu in hdus:
        header = hdu.header
        if (
            hdu.is_image
            and header.get("NAXIS") == 2
            and "RA" in str(header.get("CTYPE1", "")) + str(header.get("CTYPE2", ""))
        ):
            return hdu
    return None


def size_and_scale(path: Path) -> dict[str, Any]:
    """Give the columns that a FITS file's header says: size and side of its pixels.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    dict
        ``s_xel1``, ``s_xel2`` and ``s_pixel_scale`` [arcsec]; empty if it is no image.
    """
    import numpy as np
    from astropy.io import fits
    from astropy.wcs import WCS
    from astropy.wcs.utils import proj_plane_pixel_scales

    try:
        with fits.open(path, memmap=True) as hdus:
            hdu = image_hdu(hdus)
            if hdu is None:
                return {}
            header = hdu.header
            scale = proj_plane_pixel_scales(WCS(header, naxis=2))
            return {
                "s_xel1": int(header["NAXIS1"]),
                "s_xel2": int(header["NAXIS2"]),
                "s_pixel_scale": float(np.sqrt(scale[0] * scale[1]) * 3600),
            }
    except (OSError, ValueError):
        return {}

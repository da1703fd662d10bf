"""Cutouts as FITS: exact pixels, their planes, and what they were cut from."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cerro_services.cutout.errors import CutoutError
from cerro_services.cutout.reading import (
    Box,
    box_of,
    cut_header,
    image_of,
    opened,
    pixels,
    shared_header,
    wcs_of,
)
from cerro_services.cutout.stencils import Stencil
from cerro_services.images import Image

DETAILS = ("Image", "MaskedImage", "Exposure")
MOST_PIXELS = 64_000_000
"""Pixels of a cutout."""
_PLANES = ("MASK", "VARIANCE")


@dataclass(frozen=True)
class Part:
    """A part of an image that is wanted.

    Parameters
    ----------
    image
        The image.
    stencil
        The part; None for the whole image.
    """

    image: Image
    stencil: Stencil | None

    def box(self, hdu: Any) -> Box:
        """Give its pixels.

        Raises
        ------
        NoOverlapError
            There are none.
        CutoutError
            There are too many.
        """
        height, width = hdu.shape
        if self.stencil is None:
            made = Box(0, width, 0, height)
        else:
            made = box_of(self.stencil, wcs_of(self.image.path, hdu.header), width, height)
        if made.pixels > MOST_PIXELS:
            raise CutoutError(
                f"{made.pixels:,} pixels are too many; {MOST_PIXELS:,} are cut at most. Take the "
                "file itself, by the link #this of DataLink."
            )
        return made


def hdus_of(part: Part, detail: str) -> list[Any]:
    """Cut a part of an image out.

    Parameters
    ----------
    part
        The part.
    detail
        What of it: Image the pixels alone, MaskedImage with mask and variance, Exposure with all
        that the file has.

    Returns
    -------
    list
        The primary HDU, which has no pixels, and the others.

    Raises
    ------
    NoOverlapError
        The stencil shows nothing of the image.
    DamagedImageError
        The file cannot be read.
    """
    from astropy.io import fits

    with opened(part.image.path) as hdus:
        main = image_of(hdus)
        box = part.box(main)
        header = shared_header(hdus[0].header) if hdus[0] is not main else fits.Header()
        made: list[Any] = [fits.PrimaryHDU(header=header)]
        _provenance(made[0].header, part, box)
        made.append(_cut(main, box))
        if detail != "Image":
            made += [_cut(h, box) for h in _others(hdus, main) if _is_plane(h, main, detail)]
        if detail == "Exposure":
            made += [h.copy() for h in _others(hdus, main) if not h.is_image]
    return made


def document(parts: Sequence[list[Any]]) -> bytes:
    """Write cutouts as one FITS file; of several, each extension says by EXTVER whose it is."""
    from astropy.io import fits

    file = fits.HDUList([parts[0][0]])
    for number, hdus in enumerate(parts, 1):
        for hdu in hdus[1:]:
            if len(parts) > 1:
                hdu.ver = number
                for card in hdus[0].header.cards:
                    if card.keyword.startswith("CUT"):
                        hdu.header.append(card, end=True)
            file.append(hdu)
    buffer = io.BytesIO()
    file.writeto(buffer, output_verify="silentfix+ignore")
    return buffer.getvalue()


def _cut(hdu: Any, box: Box) -> Any:
    from astropy.io import fits

    return fits.ImageHDU(pixels(hdu, box), cut_header(hdu.header, box), name=hdu.name or "IMAGE")


def _others(hdus: Any, main: Any) -> Iterator[Any]:
    return (hdu for hdu in hdus[1:] if hdu is not main)


def _is_plane(hdu: Any, main: Any, detail: str) -> bool:
    """Whether an HDU is a plane of the image, which is cut as it is."""
    if not hdu.is_image or hdu.header.get("NAXIS") != 2 or hdu.shape != main.shape:
        return False
    return detail == "Exposure" or hdu.name in _PLANES


def _provenance(header: Any, part: Part, box: Box) -> None:
    """Say what a cutout was cut from, and when."""
    now = datetime.now(UTC).isoformat(timespec="seconds").removesuffix("+00:00")
    header["CUTID"] = part.image.id
    header["CUTOF"] = str(part.stencil or "whole")
    header["CUTX0"] = (box.x0, "first column in the parent, from 0")
    header["CUTY0"] = (box.y0, "first row in the parent, from 0")
    header["CUTDATE"] = (now, "when it was cut (UTC)")
    header["CUTREL"] = (f"{part.image.release} {part.image.version}", "release and version")

"""Cutouts as PNG and JPEG, grey or in the colours of three bands."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cerro_services.cutout.errors import CutoutError
from cerro_services.cutout.reading import image_of, opened, pixels
from cerro_services.cutout.writing import Part
from cerro_services.parameters import Parameters

STRETCHES = ("asinh", "linear", "sqrt", "log")
Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Look:
    """How pixels become a picture.

    Parameters
    ----------
    stretch
        asinh, linear, sqrt or log.
    cuts
        Values that are black and white; None for those that ZScale finds.
    colour
        Whether three images are red, green and blue (Lupton et al. 2004).
    """

    stretch: str
    cuts: tuple[float, float] | None
    colour: bool

    @classmethod
    def read(cls, parameters: Parameters) -> Look:
        """Read STRETCH, CUTS and COLOR.

        Raises
        ------
        CutoutError
            One is wrong.
        """
        stretch = (parameters.get("STRETCH") or STRETCHES[0]).lower()
        if stretch not in STRETCHES:
            raise CutoutError(f"STRETCH={stretch}: it is one of {', '.join(STRETCHES)}.")
        text = parameters.get("CUTS")
        cuts = None
        if text is not None:
            try:
                low, high = map(float, text.split())
            except ValueError:
                low = high = math.nan
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise CutoutError(f"CUTS={text}: two values, the lower first.")
            cuts = (low, high)
        colour = (parameters.get("COLOR", "COLOUR") or "").lower() in {"1", "true", "yes"}
        return cls(stretch, cuts, colour)


def read(part: Part, most: int | None = None) -> Pixels:
    """Read a part of an image as a picture is drawn, north (mostly) up.

    Parameters
    ----------
    part
        The part.
    most
        Pixels of a side at most: of more, every second, third and so on is taken.
    """
    with opened(part.image.path) as hdus:
        hdu = image_of(hdus)
        found = pixels(hdu, part.box(hdu))
    step = 1 if most is None else max(1, math.ceil(max(found.shape) / most))
    return np.asarray(found[::step, ::step][::-1], dtype=np.float32)


def picture(planes: Sequence[Pixels], look: Look, mime: str) -> bytes:
    """Draw a picture.

    Parameters
    ----------
    planes
        One image, or three: red, green and blue.
    look
        How.
    mime
        image/png or image/jpeg.

    Raises
    ------
    CutoutError
        The three have different sizes, so their pixels do not lie on each other.
    """
    from PIL import Image as Drawn

    drawn = _coloured(planes, look) if look.colour else _grey(planes[0], look)
    buffer = io.BytesIO()
    Drawn.fromarray(drawn).save(buffer, "PNG" if mime == "image/png" else "JPEG", quality=90)
    return buffer.getvalue()


def _limits(plane: Pixels, look: Look) -> tuple[float, float]:
    from astropy.visualization import ZScaleInterval

    if look.cuts is not None:
        return look.cuts
    finite = plane[np.isfinite(plane)]
    if not finite.size:
        return 0.0, 1.0
    low, high = ZScaleInterval().get_limits(finite)
    if look.stretch != "linear":
        # ZScale is made for linear pictures; what is stretched has room for what is bright.
        high = max(high, float(np.percentile(finite, 99.5)))
    return (low, high) if high > low else (low, low + 1.0)


def _grey(plane: Pixels, look: Look) -> npt.NDArray[np.uint8]:
    low, high = _limits(plane, look)
    part = np.clip((np.nan_to_num(plane, nan=low) - low) / (high - low), 0, 1)
    if look.stretch == "asinh":
        part = np.arcsinh(part * 10) / math.asinh(10)
    elif look.stretch == "sqrt":
        part = np.sqrt(part)
    elif look.stretch == "log":
        part = np.log1p(part * 1000) / math.log1p(1000)
    return np.asarray(np.round(part * 255), dtype=np.uint8)


def _coloured(planes: Sequence[Pixels], look: Look) -> Any:
    from astropy.visualization import make_lupton_rgb

    if len({plane.shape for plane in planes}) != 1:
        raise CutoutError(
            "The three images have cutouts of different sizes, so their pixels do not lie on each "
            "other. Take coadds of one patch."
        )
    clean = [np.nan_to_num(plane) for plane in planes]
    low, high = _limits(clean[1], look)
    return make_lupton_rgb(*clean, minimum=low, stretch=(high - low) / 2, Q=8)

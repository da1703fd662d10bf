"""What a request for cutouts asks (SODA 1.0 §3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cerro_services.access import Caller
from cerro_services.cutout.errors import CutoutError, DamagedImageError, NoOverlapError
from cerro_services.cutout.pictures import Look, picture, read
from cerro_services.cutout.stencils import Stencil, stencils
from cerro_services.cutout.writing import DETAILS, Part, document, hdus_of
from cerro_services.errors import CerroError
from cerro_services.images import Images, ImageUnavailableError
from cerro_services.parameters import Parameters

FORMATS = {
    "application/fits": "application/fits",
    "image/fits": "application/fits",
    "fits": "application/fits",
    "image/jpeg": "image/jpeg",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "image/png": "image/png",
    "png": "image/png",
}
MOST = 100
"""Cutouts of a request: ID times stencils."""


@dataclass(frozen=True)
class Asked:
    """What a request asks.

    Parameters
    ----------
    parts
        The parts that are wanted.
    missing
        What is said of the identifiers that were not found.
    mime
        Content-Type of the answer.
    detail
        Image, MaskedImage or Exposure.
    look
        Of a picture.
    """

    parts: tuple[Part, ...]
    missing: tuple[str, ...]
    mime: str
    detail: str
    look: Look

    @classmethod
    def read(cls, parameters: Parameters, images: Images, caller: Caller) -> Asked:
        """Read a request.

        Raises
        ------
        CutoutError
            A parameter is missing or wrong.
        ImageUnavailableError
            No identifier is one of an image that the caller may see.
        NoOverlapError
            No image has the wavelengths or times that are asked for.
        """
        ids = [i for i in dict.fromkeys(parameters.values.get("ID", ())) if i]
        if not ids:
            raise CutoutError(
                "ID is missing: the obs_publisher_did of an image, as ObsCore has it."
            )
        mime = FORMATS.get((parameters.get("RESPONSEFORMAT", "FORMAT") or "fits").lower())
        if mime is None:
            raise CutoutError("RESPONSEFORMAT is application/fits, image/jpeg or image/png.")
        detail = parameters.get("CUTOUTDETAIL") or DETAILS[0]
        if detail.lower() not in (names := {name.lower(): name for name in DETAILS}):
            raise CutoutError(f"CUTOUTDETAIL={detail}: it is one of {', '.join(DETAILS)}.")
        look = Look.read(parameters)
        shapes: list[Stencil | None] = [*stencils(parameters)] or [None]
        if len(ids) * len(shapes) > MOST:
            raise CutoutError(
                f"{len(ids) * len(shapes):,} cutouts are too many at once; {MOST} are made at most."
            )
        found = images.find(ids, caller)
        missing = tuple(
            f"There is no image {each} that you may see." for each in ids if each not in found
        )
        if not found:
            raise ImageUnavailableError(missing[0])
        chosen = [
            found[each]
            for each in ids
            if each in found
            and all(
                _meets(parameters, name, found[each].row[low], found[each].row[high])
                for name, low, high in (("BAND", "em_min", "em_max"), ("TIME", "t_min", "t_max"))
            )
        ]
        if not chosen:
            raise NoOverlapError("No image has these wavelengths and times.")
        parts = tuple(Part(image, shape) for image in chosen for shape in shapes)
        wanted = 3 if look.colour else 1
        if mime != "application/fits" and len(parts) != wanted:
            raise CutoutError(
                f"A picture shows {wanted} of the images, with one stencil; {len(parts)} cutouts "
                "were asked for. Write COLOR=true for three, red first."
            )
        return cls(parts, missing, mime, names[detail.lower()], look)

    def answer(self) -> tuple[bytes, list[str]]:
        """Cut, and write.

        Returns
        -------
        tuple
            The document, and what is said of cutouts that could not be made.

        Raises
        ------
        CerroError
            None could be made.
        """
        if self.mime != "application/fits":
            planes = [read(part) for part in self.parts]
            return picture(planes, self.look, self.mime), []
        made, faults = [], list(self.missing)
        first: CerroError | None = None
        for part in self.parts:
            try:
                made.append(hdus_of(part, self.detail))
            except (NoOverlapError, DamagedImageError) as error:
                first = first if isinstance(first, DamagedImageError) else error
                faults.append(f"{part.image.id} {part.stencil or ''}: {error.message}")
        if not made:
            assert first is not None
            raise first
        return document(made), faults


def _meets(parameters: Parameters, name: str, low: float | None, high: float | None) -> bool:
    """Whether what an image covers meets one of the intervals of a parameter."""
    texts = [text for text in parameters.values.get(name, ()) if text.strip()]
    if not texts:
        return True
    for text in texts:
        try:
            values = [float(word) for word in text.split()]
        except ValueError:
            values = []
        if len(values) not in {1, 2} or any(math.isnan(v) for v in values):
            raise CutoutError(f"{name}={text}: one number, or two with a blank between them.")
        begin, end = values[0], values[-1]
        if begin > end:
            raise CutoutError(f"{name}={text}: the lower number is first.")
        if low is not None and high is not None and low <= end and begin <= high:
            return True
    return False

"""What a description of an instrument may say, and how it is read.

A description is a YAML file. Ours lie beside this module; anyone's own is given by path wherever a
name is accepted (``cerro pipeline ingest … --instrument mycam.yaml``).
"""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml

__all__ = [
    "BadPixels",
    "Filter",
    "Header",
    "Instrument",
    "InstrumentError",
    "Keyword",
    "known",
    "load",
]


class InstrumentError(Exception):
    """The description of an instrument is missing or says something that does not fit."""


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Keyword(_Strict):
    """Where a value comes from: ``value = header[keyword] * factor + offset``.

    Parameters
    ----------
    keyword
        Keyword of the FITS header; ``ESO DET CHIP NO`` for a HIERARCH card. Looked up in the
        image's own header first, then in the primary header. None if `value` is the same for all
        exposures.
    value
        The value where the header has no such keyword, or where there is no keyword at all.
    factor, offset
        Applied to what the header says.
    per
        ``pixel`` if the header states an angle in pixels; ``second`` if it states a zero point for
        1 adu per second, so that 2.5 lg(exposure time) is added.
    """

    keyword: str | None = None
    value: float | str | None = None
    factor: float = 1.0
    offset: float = 0.0
    per: Literal["pixel", "second"] | None = None


def _as_keyword(value: Any) -> Any:
    if isinstance(value, str):
        return {"keyword": value}
    return {"value": value} if isinstance(value, int | float) else value


Source = Annotated[Keyword, pydantic.BeforeValidator(_as_keyword)]


class Date(_Strict):
    """Which keyword states the time of the exposure, in which form and scale, and at which end."""

    keyword: str
    format: Literal["mjd", "jd", "isot", "fits"] = "mjd"
    scale: Literal["utc", "tai", "tt"] = "utc"
    at: Literal["begin", "middle", "end"] = "begin"


class Header(_Strict):
    """Where ingest finds what it must know of an exposure.

    Only `date`, `exposure_time` and `zero_point` are required. `images` are patterns for the
    EXTNAME of the HDUs that hold images of the sky, for files that hold weights or masks as well.
    """

    images: tuple[str, ...] = ("*",)
    date: Date
    exposure_time: Source
    filter: Source = Keyword(keyword="FILTER")
    detector: Source = Keyword(value=0)
    exposure: Source | None = None
    zero_point: Source | None = None
    seeing: Source | None = None
    gain: Source | None = None
    read_noise: Source | None = None
    saturation: Source | None = None
    sky_level: Source | None = None
    airmass: Source | None = None
    target: Source = Keyword(keyword="OBJECT", value="unknown")


class BadPixels(_Strict):
    """Which pixel values mean that a pixel is bad; NaN and infinity always do."""

    below: float | None = None
    above: float | None = None
    equal: tuple[float, ...] = ()


class Filter(_Strict):
    """The band that a physical filter belongs to."""

    band: str = pydantic.Field(pattern=r"^[A-Za-z][A-Za-z0-9]{0,15}$")


class Detector(_Strict):
    """A detector: its number and name."""

    id: int = pydantic.Field(ge=0)
    name: str


class Instrument(_Strict):
    """The description of an instrument.

    Parameters
    ----------
    name
        As it stands in the Butler and in tables.
    title
        For people.
    pixel_scale
        Nominal side of a pixel, arcsec.
    coadd_pixel_scale
        Side of a pixel of coadds, arcsec; that of the instrument when omitted.
    detectors
        Number and name of every detector.
    filters
        Band of each physical filter, by the name that the header gives it.
    header
        Where ingest finds the rest.
    bad_pixels
        Values that mark bad pixels.
    pipeline
        Pipeline that reduces it: the name of one of ours, or the path of a YAML file; ``#subset``
        may follow.
    reduce
        Configuration of tasks for this instrument: ``{"task:field": value}``.
    """

    name: str = pydantic.Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,15}$")
    title: str = ""
    pixel_scale: float = pydantic.Field(gt=0)
    coadd_pixel_scale: float | None = pydantic.Field(default=None, gt=0)
    detectors: tuple[Detector, ...] = pydantic.Field(min_length=1)
    filters: dict[str, Filter] = pydantic.Field(min_length=1)
    header: Header | None = None
    bad_pixels: BadPixels = BadPixels()
    pipeline: str = "reduce.yaml"
    reduce: dict[str, bool | int | float | str] = {}

    @property
    def tract_pixel_scale(self) -> float:
        """Side of a pixel of coadds, arcsec."""
        return self.coadd_pixel_scale or self.pixel_scale


def known() -> list[str]:
    """Give the names of the instruments that come with Cerro."""
    folder = importlib.resources.files(__package__)
    return sorted(
        f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")
    )


def load(name_or_path: str | Path) -> Instrument:
    """Read the description of an instrument.

    Parameters
    ----------
    name_or_path
        Name of one that comes with Cerro (``vircam``), or path of a YAML file.

    Raises
    ------
    InstrumentError
        If there is no such description, or it does not fit; the message names the field.
    """
    text_name = str(name_or_path)
    path = Path(name_or_path)
    if text_name.lower() in known():
        folder = importlib.resources.files(__package__)
        text = (folder / f"{text_name.lower()}.yaml").read_text(encoding="utf-8")
    elif path.is_file():
        text = path.read_text(encoding="utf-8")
    else:
        raise InstrumentError(
            f"There is no instrument {text_name}: give the path of its YAML description, "
            f"or one of {', '.join(known())}."
        )
    try:
        return Instrument.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise InstrumentError(f"{text_name} is not YAML: {error}") from error
    except pydantic.ValidationError as error:
        faults = [
            f"{'.'.join(str(p) for p in e['loc']) or 'the file'}: {e['msg']}"
            for e in error.errors(include_url=False)
        ]
        raise InstrumentError(f"{text_name}: {'; '.join(faults)}.") from error

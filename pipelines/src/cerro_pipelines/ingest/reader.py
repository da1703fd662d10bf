"""Read a FITS file as exposures of an instrument, and say precisely why one cannot be read."""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.time import Time, TimeDelta
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS, FITSFixedWarning

from cerro_pipelines.exposure import Exposure, ExposureInfo
from cerro_pipelines.instruments.model import BadPixels, Header, Instrument, Keyword
from cerro_pipelines.repository import Observation, footprint

__all__ = ["FitsExposure", "IngestError", "read_file"]

# Seconds from here number the exposures of instruments that give them no number of their own.
_J2000 = Time("2000-01-01T00:00:00", scale="tai")


class IngestError(Exception):
    """A file was refused; the message names it and says why. Nothing was ingested."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason


@dataclasses.dataclass(frozen=True)
class FitsExposure:
    """An image of one detector in a file, with what Butler and tasks must know of it."""

    path: Path
    exposure: Exposure
    begin: Time
    end: Time
    target: str

    @property
    def key(self) -> tuple[int, int]:
        """Numbers of exposure and detector."""
        return (int(self.exposure.info.visit or 0), int(self.exposure.info.detector or 0))

    def observation(self) -> Observation:
        """Give the records of this image alone."""
        info = self.exposure.info
        north = self.exposure.wcs.pixel_scale_matrix
        return Observation(
            visit=self.key[0],
            name=self.path.name.split(".")[0][:48] + f"_{self.key[0]}",
            physical_filter=str(info.physical_filter),
            begin=self.begin,
            end=self.end,
            exposure_time=float(info.exposure_time or 0.0),
            footprints={self.key[1]: footprint(self.exposure)},
            target=self.target,
            airmass=info.airmass,
            sky_angle=float(np.degrees(np.arctan2(north[0, 1], north[1, 1]))) % 360.0,
        )


@contextlib.contextmanager
def _open(path: Path) -> Iterator[fits.HDUList]:
    """Open a FITS file and refuse it if it is damaged."""
    if not path.is_file():
        raise IngestError(path, "there is no such file.")
    size = path.stat().st_size
    if size == 0:
        raise IngestError(path, "the file is empty.")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            hdus = fits.open(path, memmap=False, lazy_load_hdus=False)
        except OSError as error:
            reason = str(error).rstrip(".")
            raise IngestError(
                path, f"this is no FITS file, or its header is damaged ({reason})."
            ) from error
    with hdus:
        for hdu in hdus:
            place = hdu.fileinfo() or {}
            end = place.get("datLoc", 0) + place.get("datSpan", 0)
            # Compressed files have no honest positions; there, decompression tells.
            if path.suffix.lower() not in {".gz", ".bz2"} and end > size:
                raise IngestError(
                    path, f"the file is truncated: {size} of at least {end} bytes are there."
                )
        damage = [str(w.message) for w in caught if issubclass(w.category, AstropyUserWarning)]
        broken = [d for d in damage if "validating header" in d or "truncated" in d]
        if broken:
            raise IngestError(
                path, f"the file is damaged or truncated ({broken[0].splitlines()[0]})."
            )
        yield hdus


def _is_image(hdu: Any, patterns: Sequence[str]) -> bool:
    plane = hdu.is_image and hdu.header.get("NAXIS", 0) == 2 and min(hdu.shape or (0,)) > 1
    return bool(plane and any(fnmatch.fnmatchcase(hdu.name, p.upper()) for p in patterns))


class _Cards:
    """Look a value up in the header of an image, then in the primary header."""

    def __init__(self, path: Path, own: fits.Header, primary: fits.Header) -> None:
        self._path = path
        self._headers = (own, primary)

    def get(self, keyword: str) -> Any:
        for header in self._headers:
            value = header.get(keyword)
            if value is not None and not isinstance(value, fits.card.Undefined):
                return value
        return None

    def require(self, keyword: str, what: str) -> Any:
        value = self.get(keyword)
        if value is None:
            raise IngestError(self._path, f"keyword {keyword} ({what}) is missing.")
        return value

    def number(self, source: Keyword | None, what: str) -> float | None:
        """Give a number, or None if the instrument's description names no source for it."""
        if source is None:
            return None
        value: Any = self.get(source.keyword) if source.keyword else None
        if value is None:
            if source.value is None:
                value = self.require(source.keyword or "", what)
            else:
                return float(source.value)
        try:
            result = float(value) * source.factor + source.offset
        except (TypeError, ValueError) as error:
            raise IngestError(
                self._path, f"keyword {source.keyword} ({what}) is {value!r}, which is no number."
            ) from error
        if not np.isfinite(result):
            raise IngestError(self._path, f"keyword {source.keyword} ({what}) is {result}.")
        return result

    def text(self, source: Keyword, what: str) -> str:
        value = self.get(source.keyword) if source.keyword else None
        if value is None:
            value = source.value
        if value is None:
            value = self.require(source.keyword or "", what)
        return str(value).strip()

    def whole(self, source: Keyword, what: str) -> int:
        value = self.number(source, what)
        if value is None or value != int(value) or value < 0:
            raise IngestError(
                self._path, f"{what} is {value}: it must be a whole number from 0 up."
            )
        return int(value)


def _times(path: Path, cards: _Cards, header: Header, seconds: float) -> tuple[Time, Time]:
    date = header.date
    value = cards.require(date.keyword, "date of the exposure")
    try:
        moment = Time(value, format=date.format, scale=date.scale).tai
    except (ValueError, TypeError) as error:
        raise IngestError(
            path,
            f"keyword {date.keyword} is {value!r}, which is no date in the form {date.format}.",
        ) from error
    length = TimeDelta(seconds, format="sec")
    shift = {"begin": 0.0, "middle": 0.5, "end": 1.0}[date.at]
    begin = moment - length * shift
    return begin, begin + length


def _wcs(path: Path, header: fits.Header) -> WCS:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        try:
            wcs = WCS(header)
        # wcslib reports through a dozen exception classes; each means that the header states no
        # WCS.
        except Exception as error:
            raise IngestError(path, f"its WCS cannot be read ({error}).") from error
    if not wcs.has_celestial or wcs.naxis != 2 or not wcs.wcs.ctype[0].startswith("RA"):
        raise IngestError(
            path, "its header has no WCS in right ascension and declination (CTYPE1 RA---…)."
        )
    frame = wcs.wcs.radesys or "ICRS"
    if frame not in {"ICRS", "FK5"} or (frame == "FK5" and wcs.wcs.equinox not in {0.0, 2000.0}):
        raise IngestError(path, f"its WCS is in {frame}; only ICRS and FK5 of J2000 are read.")
    # FK5 of J2000 and ICRS differ by less than the errors of a header in FK5.
    wcs.wcs.radesys = "ICRS"
    return wcs


def _clean(data: npt.NDArray[Any], rule: BadPixels) -> npt.NDArray[np.float32]:
    """Give the pixels as float32 with bad ones NaN."""
    pixels = np.array(data, dtype=np.float32)
    bad = ~np.isfinite(pixels)
    if rule.below is not None:
        bad |= pixels < rule.below
    if rule.above is not None:
        bad |= pixels > rule.above
    for value in rule.equal:
        bad |= pixels == np.float32(value)
    pixels[bad] = np.nan
    return pixels


def _check_projection(path: Path, exposure: Exposure) -> None:
    """Refuse a WCS that would not survive being stored, to 1 mas at corners and edges."""
    ra, dec = footprint(exposure)
    try:
        ra_kept, dec_kept = footprint(Exposure.from_image(exposure.to_image()))
    except (ValueError, RuntimeError) as error:
        raise IngestError(
            path, "its WCS has distortions that cannot be kept exactly (a table, or SIP)."
        ) from error
    away = np.hypot((ra - ra_kept) * np.cos(np.radians(dec)), dec - dec_kept) * 3.6e6
    if not np.all(np.isfinite(away)) or away.max() > 1.0:
        raise IngestError(
            path, f"its WCS cannot be kept exactly: stored, it would be {away.max():.2g} mas off."
        )


def _one(path: Path, hdu: Any, primary: fits.Header, instrument: Instrument) -> FitsExposure:
    header = instrument.header
    if header is None:
        raise IngestError(
            path, f"{instrument.name} describes no header, so its files cannot be read."
        )
    cards = _Cards(path, hdu.header, primary)
    seconds = cards.number(header.exposure_time, "exposure time") or 0.0
    if seconds <= 0.0:
        raise IngestError(path, f"the exposure time is {seconds} s.")
    begin, end = _times(path, cards, header, seconds)
    physical = cards.text(header.filter, "filter")
    if physical not in instrument.filters:
        raise IngestError(
            path,
            f"filter {physical!r} is not among those of {instrument.name}: "
            f"{', '.join(instrument.filters)}.",
        )
    detector = cards.whole(header.detector, "number of the detector")
    if detector not in {d.id for d in instrument.detectors}:
        raise IngestError(path, f"{instrument.name} has no detector {detector}.")
    visit = (
        cards.whole(header.exposure, "number of the exposure")
        if header.exposure is not None
        else round((begin - _J2000).sec)
    )
    zero_point = cards.number(header.zero_point, "zero point")
    if zero_point is None:
        raise IngestError(
            path,
            f"the description of {instrument.name} names no zero_point, so fluxes have no scale.",
        )
    if header.zero_point is not None and header.zero_point.per == "second":
        zero_point += 2.5 * float(np.log10(seconds))
    seeing = cards.number(header.seeing, "seeing")
    if seeing is not None and header.seeing is not None and header.seeing.per == "pixel":
        seeing *= instrument.pixel_scale
    wcs = _wcs(path, hdu.header)
    try:
        data = hdu.data
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise IngestError(
            path, f"its pixels cannot be read: truncated or damaged ({error})."
        ) from error
    info = ExposureInfo(
        band=instrument.filters[physical].band,
        physical_filter=physical,
        instrument=instrument.name,
        visit=visit,
        detector=detector,
        mjd_mid=float((begin + (end - begin) / 2).tai.mjd),
        exposure_time=seconds,
        zero_point=zero_point,
        seeing=seeing,
        gain=cards.number(header.gain, "gain"),
        read_noise=cards.number(header.read_noise, "read noise"),
        saturation=cards.number(header.saturation, "saturation"),
        sky_level=cards.number(header.sky_level, "sky level"),
        pixel_scale=instrument.pixel_scale,
        airmass=cards.number(header.airmass, "airmass"),
    )
    exposure = Exposure.from_arrays(_clean(data, instrument.bad_pixels), wcs, info, unit="adu")
    if not np.isfinite(exposure.array).any():
        raise IngestError(path, "all its pixels are bad.")
    exposure.extra["source_file"] = path.name
    _check_projection(path, exposure)
    return FitsExposure(path, exposure, begin, end, cards.text(header.target, "target"))


def read_file(path: Path, instrument: Instrument) -> Sequence[FitsExposure]:
    """Read all images of a file.

    Parameters
    ----------
    path
        A FITS file with one 2-D image for each detector; compressed images are read too.
    instrument
        What took it.

    Raises
    ------
    IngestError
        If the file is not what it should be.
    """
    with _open(path) as hdus:
        patterns = instrument.header.images if instrument.header is not None else ("*",)
        images = [hdu for hdu in hdus if _is_image(hdu, patterns)]
        if not images:
            raise IngestError(path, "there is no 2-D image in the file.")
        return [_one(path, hdu, hdus[0].header, instrument) for hdu in images]

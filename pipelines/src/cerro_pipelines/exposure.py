"""The one image that tasks pass to each other: pixels, variance, mask, WCS, PSF and circumstances.

On disk an exposure is Rubin's `lsst.images.MaskedImage` (Butler storage class ``MaskedImageV2``),
so that notebooks written for the RSP read it as they read Rubin's own. In memory tasks work with
`Exposure`: plain arrays beside an `astropy.wcs.WCS`. `Exposure.from_masked_image` and
`Exposure.to_masked_image` are the only two doors between them.

Pixel coordinates follow one rule: every method of `Exposure` takes and gives coordinates of *its
own array*, 0-based, with the centre of the first pixel at (0, 0). For a cut-out or a patch,
`Exposure.x0` and `Exposure.y0` say where that first pixel lies in the larger grid (detector or
tract).

Both representations of the WCS agree to better than 1e-5 mas on VISTA's ZPN projection with PV
terms (`pipelines/tests/test_exposure.py`), so nothing is approximated on the way.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
from typing import TYPE_CHECKING, Any, Self

import astropy.units as u
import numpy as np
import numpy.typing as npt
from lsst.images import (
    Box,
    DetectorFrame,
    Image,
    Mask,
    MaskedImage,
    MaskPlane,
    MaskSchema,
    SkyProjection,
    TractFrame,
)

if TYPE_CHECKING:
    from astropy.wcs import WCS

__all__ = ["NANOJANSKY_ZERO_POINT", "Exposure", "ExposureInfo", "Plane", "Psf", "mask_schema"]

NANOJANSKY_ZERO_POINT = 31.4
"""AB magnitude of 1 nJy (3631 Jy is magnitude 0; Oke & Gunn 1983)."""

type FloatArray = npt.NDArray[np.floating[Any]]


class Plane(enum.IntFlag):
    """Bits of a mask pixel. Combine with ``|``; test with ``mask & Plane.SAT``."""

    BAD = 1
    SAT = 2
    CR = 4
    EDGE = 8
    NO_DATA = 16
    DETECTED = 32
    DETECTED_NEGATIVE = 64
    CLIPPED = 128


_PLANE_MEANING = {
    Plane.BAD: "Defect of the detector; the value means nothing.",
    Plane.SAT: "The pixel is saturated.",
    Plane.CR: "A cosmic ray or another event inside the detector.",
    Plane.EDGE: "Too near the edge of the image for a full kernel or aperture.",
    Plane.NO_DATA: "No exposure covers this pixel.",
    Plane.DETECTED: "Part of the footprint of a detected source.",
    Plane.DETECTED_NEGATIVE: "Part of the footprint of a negative detection in a difference image.",
    Plane.CLIPPED: "At least one input was rejected as an outlier in the coadd.",
}


def mask_schema() -> MaskSchema:
    """Give the mask planes of `Plane` as Rubin's `lsst.images.MaskSchema`, one byte a pixel."""
    return MaskSchema([MaskPlane(str(p.name), text) for p, text in _PLANE_MEANING.items()])


@dataclasses.dataclass(frozen=True)
class Psf:
    """A point-spread function that is the same over the whole image.

    Parameters
    ----------
    array
        Image of a point source, shape ``(n, n)`` with odd ``n``, centred on the middle pixel, sum
        1.
    fwhm
        Full width at half maximum, in pixels.
    """

    array: npt.NDArray[np.float32]
    fwhm: float

    @property
    def sigma(self) -> float:
        """Width of the Gaussian with the same FWHM, in pixels."""
        return self.fwhm / 2.3548200450309493

    @property
    def effective_area(self) -> float:
        """Area over which background noise enters a PSF flux, 1 / Σ P², in pixels."""
        return float(1.0 / np.sum(np.square(self.array, dtype=np.float64)))

    @classmethod
    def moffat(cls, fwhm: float, *, beta: float = 3.0, size: int | None = None) -> Self:
        """Make a circular Moffat profile, I(r) ∝ (1 + (r/α)²)^-β.

        Parameters
        ----------
        fwhm
            Full width at half maximum, in pixels.
        beta
            Exponent; 2.5 to 4 for seeing, large for a Gaussian.
        size
            Side of the image in pixels, odd; about 9 FWHM when omitted.
        """
        n = size if size is not None else 2 * int(np.ceil(4.5 * fwhm)) + 1
        alpha = fwhm / (2.0 * np.sqrt(2.0 ** (1.0 / beta) - 1.0))
        # Average over 5 x 5 points a pixel: a profile sampled at pixel centres is too sharp for
        # FWHM < 4 pixels.
        fine = (np.arange(5 * n) - (5 * n - 1) / 2.0) / 5.0
        r2 = fine[:, None] ** 2 + fine[None, :] ** 2
        profile = (1.0 + r2 / alpha**2) ** -beta
        image = profile.reshape(n, 5, n, 5).sum(axis=(1, 3))
        return cls((image / image.sum()).astype(np.float32), float(fwhm))

    def _to_metadata(self) -> dict[str, Any]:
        data = np.ascontiguousarray(self.array, dtype="<f4")
        return {
            "psf_fwhm": float(self.fwhm),
            "psf_size": int(data.shape[0]),
            "psf_image": base64.b64encode(data.tobytes()).decode("ascii"),
        }

    @classmethod
    def _from_metadata(cls, metadata: dict[str, Any]) -> Self | None:
        if metadata.get("psf_image") is None:
            return None
        n = int(metadata["psf_size"])
        data = np.frombuffer(base64.b64decode(metadata["psf_image"]), dtype="<f4").reshape(n, n)
        return cls(data.astype(np.float32), float(metadata["psf_fwhm"]))


@dataclasses.dataclass(frozen=True)
class ExposureInfo:
    """The circumstances of an exposure. `None` where it has no meaning (a coadd has no visit).

    Parameters
    ----------
    band, physical_filter
        Short name of the passband (``r``) and full name of the filter.
    instrument, visit, detector
        Data id of a visit image; ``visit`` equals the exposure id of the raw image.
    skymap, tract, patch
        Data id of a coadd.
    mjd_mid
        Middle of the exposure, MJD, TAI, in days.
    exposure_time
        Time the shutter was open, in seconds.
    zero_point
        AB magnitude of a source with 1 adu in this image. Images in nJy have 31.4.
    seeing
        FWHM of stars, in arcsec, as stated by whoever took or simulated the image.
    gain
        Electrons per adu.
    read_noise
        In electrons.
    saturation
        Level in adu, sky included, from which a pixel is saturated.
    sky_level
        Mean sky in adu that was removed before the image came to us; 0 when it is still in.
    pixel_scale
        Nominal side of a pixel, in arcsec.
    airmass
        Airmass at the middle of the exposure.
    """

    band: str
    physical_filter: str | None = None
    instrument: str | None = None
    visit: int | None = None
    detector: int | None = None
    skymap: str | None = None
    tract: int | None = None
    patch: int | None = None
    mjd_mid: float | None = None
    exposure_time: float | None = None
    zero_point: float | None = None
    seeing: float | None = None
    gain: float | None = None
    read_noise: float | None = None
    saturation: float | None = None
    sky_level: float | None = None
    pixel_scale: float | None = None
    airmass: float | None = None

    def replace(self, **changes: Any) -> ExposureInfo:
        """Give a copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    @property
    def nanojansky_per_adu(self) -> float:
        """Factor that turns adu into nJy.

        Raises
        ------
        ValueError
            If the zero point is not known.
        """
        if self.zero_point is None:
            raise ValueError(f"The exposure {self.visit} has no zero point, so no fluxes in nJy.")
        return float(10.0 ** (0.4 * (NANOJANSKY_ZERO_POINT - self.zero_point)))


_INFO_FIELDS = tuple(f.name for f in dataclasses.fields(ExposureInfo))


@dataclasses.dataclass
class Exposure:
    """An image of the sky with everything needed to measure on it.

    Parameters
    ----------
    array
        Pixel values, shape ``(ny, nx)``, in `unit`.
    variance
        Variance of each pixel, the same shape, in `unit` squared. NaN or infinite where unknown.
    mask
        Bits of `Plane`, the same shape, uint8.
    wcs
        Pixel to ICRS, for this array (0-based).
    info
        Circumstances.
    psf
        Point-spread function, where known.
    unit
        ``adu`` before calibration, ``nJy`` after.
    x0, y0
        Position of the first pixel in the larger grid: the tract's for a patch, else 0.
    extra
        Further scalars that travel with the image (numbers, text, booleans).
    """

    array: npt.NDArray[np.float32]
    variance: npt.NDArray[np.float32]
    mask: npt.NDArray[np.uint8]
    wcs: WCS
    info: ExposureInfo
    psf: Psf | None = None
    unit: str = "nJy"
    x0: int = 0
    y0: int = 0
    extra: dict[str, float | int | str | bool | None] = dataclasses.field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return (int(self.array.shape[0]), int(self.array.shape[1]))

    @classmethod
    def from_arrays(
        cls,
        array: FloatArray,
        wcs: WCS,
        info: ExposureInfo,
        *,
        variance: FloatArray | float | None = None,
        mask: npt.NDArray[np.uint8] | None = None,
        psf: Psf | None = None,
        unit: str = "nJy",
        x0: int = 0,
        y0: int = 0,
    ) -> Self:
        """Build an exposure; an omitted variance is infinite (no weight), an omitted mask is clear.

        Raises
        ------
        ValueError
            If variance or mask have another shape than the image.
        """
        data = np.ascontiguousarray(array, dtype=np.float32)
        var = np.full(data.shape, np.inf, np.float32)
        if variance is not None:
            var[...] = variance
        bits = np.zeros(data.shape, np.uint8) if mask is None else np.ascontiguousarray(mask)
        if bits.shape != data.shape or bits.dtype != np.uint8:
            raise ValueError(
                f"The mask is {bits.dtype} {bits.shape}, the image is {data.shape}: "
                "give a uint8 mask of the same shape."
            )
        return cls(data, var, bits, wcs, info, psf, unit, x0, y0)

    def pixel_to_sky(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Give right ascension and declination (ICRS, degrees) of positions in the array."""
        ra, dec = self.wcs.all_pix2world(np.asarray(x, float), np.asarray(y, float), 0)
        return np.asarray(ra), np.asarray(dec)

    def sky_to_pixel(self, ra: npt.ArrayLike, dec: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Give the position in the array of sky coordinates (ICRS, degrees)."""
        # wcs_world2pix is exact for the projections without table or SIP distortions that we read
        # (ZPN and its PV terms included) and much faster than the iterative all_world2pix.
        exact = self.wcs.sip is None and self.wcs.cpdis1 is None and self.wcs.det2im1 is None
        convert = self.wcs.wcs_world2pix if exact else self.wcs.all_world2pix
        x, y = convert(np.asarray(ra, float), np.asarray(dec, float), 0)
        return np.asarray(x), np.asarray(y)

    def contains(
        self, x: npt.ArrayLike, y: npt.ArrayLike, *, border: float = 0.0
    ) -> npt.NDArray[np.bool_]:
        """Say which positions lie in the array and at least `border` pixels from its edge."""
        ny, nx = self.shape
        px, py = np.asarray(x), np.asarray(y)
        inside = (px >= border - 0.5) & (px <= nx - 0.5 - border)
        return np.asarray(inside & (py >= border - 0.5) & (py <= ny - 0.5 - border))

    def has(self, planes: Plane | int) -> npt.NDArray[np.bool_]:
        """Give a boolean image that is true where any of `planes` is set."""
        return np.asarray((self.mask & np.uint8(int(planes))) != 0)

    @property
    def corners(self) -> tuple[FloatArray, FloatArray]:
        """Right ascension and declination (degrees) of the four outer corners."""
        ny, nx = self.shape
        return self.pixel_to_sky([-0.5, nx - 0.5, nx - 0.5, -0.5], [-0.5, -0.5, ny - 0.5, ny - 0.5])

    def _projection(self) -> tuple[Box, SkyProjection[Any]]:
        ny, nx = self.shape
        box = Box.factory[self.y0 : self.y0 + ny, self.x0 : self.x0 + nx]
        frame: Any
        if self.info.tract is not None:
            frame = TractFrame(skymap=self.info.skymap or "", tract=self.info.tract, bbox=box)
        else:
            frame = DetectorFrame(
                instrument=self.info.instrument or "",
                visit=self.info.visit,
                detector=self.info.detector or 0,
                bbox=box,
            )
        projection = SkyProjection.from_fits_wcs(
            self.wcs, frame, pixel_bounds=box, x0=self.x0, y0=self.y0
        )
        return box, projection

    def _metadata(self) -> dict[str, Any]:
        known = {k: _plain(getattr(self.info, k)) for k in _INFO_FIELDS}
        psf = self.psf._to_metadata() if self.psf is not None else {}
        return {**{k: v for k, v in known.items() if v is not None}, **psf, **self.extra}

    def to_masked_image(self) -> MaskedImage:
        """Give Rubin's type, ready for ``butler.put``; PSF and circumstances are metadata."""
        box, projection = self._projection()
        image = Image(self.array, bbox=box, unit=u.Unit(self.unit), sky_projection=projection)
        variance = Image(self.variance, bbox=box, unit=u.Unit(self.unit) ** 2)
        mask = Mask(self.mask[:, :, np.newaxis], schema=mask_schema(), bbox=box)
        return MaskedImage(image, mask=mask, variance=variance, metadata=self._metadata())

    def to_image(self) -> Image:
        """Give Rubin's `lsst.images.Image`: what a ``raw`` dataset holds (no variance, no mask)."""
        box, projection = self._projection()
        return Image(
            self.array,
            bbox=box,
            unit=u.Unit(self.unit),
            sky_projection=projection,
            metadata=self._metadata(),
        )

    @classmethod
    def from_masked_image(cls, image: MaskedImage) -> Self:
        """Read Rubin's type back.

        Raises
        ------
        ValueError
            If the image has no WCS that FITS can state, or its metadata name no band.
        """
        bits = _own_planes(image.mask)
        return cls._from_parts(
            image.image, image.variance.array.astype(np.float32, copy=False), bits, image.metadata
        )

    @classmethod
    def from_image(cls, image: Image) -> Self:
        """Read a ``raw`` dataset; variance (infinite) and mask (clear) are for detrend to fill."""
        shape = image.array.shape
        variance = np.full(shape, np.inf, np.float32)
        return cls._from_parts(image, variance, np.zeros(shape, np.uint8), image.metadata)

    @classmethod
    def _from_parts(
        cls,
        image: Image,
        variance: npt.NDArray[np.float32],
        mask: npt.NDArray[np.uint8],
        mapping: Any,
    ) -> Self:
        metadata = dict(mapping)
        if "band" not in metadata:
            raise ValueError("The image's metadata name no band: it was not written by Cerro.")
        projection = image.sky_projection
        wcs = projection.as_fits_wcs(image.bbox) if projection is not None else None
        if wcs is None:
            raise ValueError("The image has no WCS that FITS can state.")
        info = ExposureInfo(**{k: metadata.pop(k) for k in _INFO_FIELDS if k in metadata})
        psf = Psf._from_metadata(metadata)
        extra = {k: v for k, v in metadata.items() if not k.startswith("psf_")}
        return cls(
            image.array.astype(np.float32, copy=False),
            variance,
            mask,
            wcs,
            info,
            psf,
            str(image.unit),
            int(image.bbox.x.start),
            int(image.bbox.y.start),
            extra,
        )


def _plain(value: Any) -> Any:
    """Turn NumPy scalars into Python's: the image's metadata accept those only."""
    return value.item() if isinstance(value, np.generic) else value


def _own_planes(mask: Mask) -> npt.NDArray[np.uint8]:
    """Give the mask as bits of `Plane`, whatever the order of planes in the file."""
    if [p.name for p in mask.schema if p is not None] == [p.name for p in _PLANE_MEANING]:
        return np.ascontiguousarray(mask.array[..., 0])
    bits = np.zeros(mask.array.shape[:2], np.uint8)
    for plane in _PLANE_MEANING:
        if str(plane.name) in mask.schema.names:
            bits[mask.get(str(plane.name))] |= np.uint8(int(plane))
    return bits

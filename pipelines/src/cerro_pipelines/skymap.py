"""Tracts and patches: the pixels on which coadds are made.

A *tract* is one tangent projection of a part of the sky; it is cut into *patches*. Inner regions of
patches tile the tract without overlap, so that each object belongs to exactly one patch; outer
regions reach over a border into the neighbours, so that an object at the rim is measured whole.

Butler keeps the regions of tracts and patches on the sky (for spatial queries); the projection
itself is a dataset of our own, ``tract_definition``, which holds `Tract.to_dict`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Self

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

__all__ = ["Patch", "Tract", "make_tracts", "polygon"]

type FloatArray = npt.NDArray[np.floating[Any]]


def polygon(ra: npt.ArrayLike, dec: npt.ArrayLike) -> ConvexPolygon:
    """Make a convex region of the sky from corners in degrees."""
    return ConvexPolygon(
        [
            UnitVector3d(LonLat.fromDegrees(float(a) % 360.0, float(d)))
            for a, d in zip(np.ravel(ra), np.ravel(dec), strict=True)
        ]
    )


@dataclasses.dataclass(frozen=True)
class Patch:
    """A patch. Pixel bounds are half-open and in pixels of the tract.

    Parameters
    ----------
    tract
        The tract it belongs to.
    id, cell_x, cell_y
        Its number, and its place in the grid of patches.
    inner, outer
        ``(x_begin, x_end, y_begin, y_end)`` without and with the border.
    """

    tract: Tract
    id: int
    cell_x: int
    cell_y: int
    inner: tuple[int, int, int, int]
    outer: tuple[int, int, int, int]

    @property
    def x0(self) -> int:
        """First column of the outer region, in pixels of the tract."""
        return self.outer[0]

    @property
    def y0(self) -> int:
        """First row of the outer region, in pixels of the tract."""
        return self.outer[2]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the outer region."""
        return (self.outer[3] - self.outer[2], self.outer[1] - self.outer[0])

    @property
    def wcs(self) -> WCS:
        """Projection for an array that covers the outer region."""
        wcs = self.tract.wcs
        wcs.wcs.crpix = [wcs.wcs.crpix[0] - self.x0, wcs.wcs.crpix[1] - self.y0]
        wcs.array_shape = self.shape
        wcs.wcs.set()
        return wcs

    def owns(self, x: npt.ArrayLike, y: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Say which positions, in pixels of the *outer array*, lie in the inner region.

        A position belongs to the patch whose pixel it falls on, so each position of the tract has
        exactly one owner.
        """
        column = np.floor(np.asarray(x, float) + 0.5) + self.x0
        row = np.floor(np.asarray(y, float) + 0.5) + self.y0
        x_begin, x_end, y_begin, y_end = self.inner
        return np.asarray((column >= x_begin) & (column < x_end) & (row >= y_begin) & (row < y_end))

    @property
    def corners(self) -> tuple[FloatArray, FloatArray]:
        """Right ascension and declination (degrees) of the corners of the outer region."""
        x_begin, x_end, y_begin, y_end = self.outer
        x = np.array([x_begin, x_end, x_end, x_begin]) - 0.5
        y = np.array([y_begin, y_begin, y_end, y_end]) - 0.5
        ra, dec = self.tract.wcs.all_pix2world(x, y, 0)
        return ra, dec

    @property
    def region(self) -> ConvexPolygon:
        """The outer region on the sky."""
        return polygon(*self.corners)


@dataclasses.dataclass(frozen=True)
class Tract:
    """A tangent projection cut into patches.

    Parameters
    ----------
    skymap
        Name of the sky map.
    id
        Number of the tract.
    ra, dec
        Tangent point, ICRS, degrees; it falls on the middle of the grid of patches.
    pixel_scale
        Side of a pixel, arcsec.
    patch_size
        Side of the inner region of a patch, pixels.
    border
        Width by which the outer region of a patch reaches into its neighbours, pixels.
    nx, ny
        Number of patches along x (towards west) and y (towards north).
    requested_size
        The patch size that was asked for, of which `patch_size` is the nearest that fits.
    """

    skymap: str
    id: int
    ra: float
    dec: float
    pixel_scale: float
    patch_size: int
    border: int
    nx: int
    ny: int
    requested_size: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return (self.ny * self.patch_size, self.nx * self.patch_size)

    @property
    def wcs(self) -> WCS:
        """Projection of the whole tract, 0-based pixels; a new object each time."""
        height, width = self.shape
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.cunit = ["deg", "deg"]
        wcs.wcs.radesys = "ICRS"
        wcs.wcs.crval = [self.ra, self.dec]
        wcs.wcs.crpix = [(width + 1) / 2.0, (height + 1) / 2.0]
        wcs.wcs.cdelt = [-self.pixel_scale / 3600.0, self.pixel_scale / 3600.0]
        wcs.array_shape = self.shape
        wcs.wcs.set()
        return wcs

    def patch(self, number: int) -> Patch:
        """Give a patch by its number, counted along x first.

        Raises
        ------
        ValueError
            If the tract has no such patch.
        """
        if not 0 <= number < self.nx * self.ny:
            raise ValueError(f"Tract {self.id} of {self.skymap} has no patch {number}.")
        cell_y, cell_x = divmod(number, self.nx)
        size, border = self.patch_size, self.border
        inner = (cell_x * size, (cell_x + 1) * size, cell_y * size, (cell_y + 1) * size)
        height, width = self.shape
        outer = (
            max(inner[0] - border, 0),
            min(inner[1] + border, width),
            max(inner[2] - border, 0),
            min(inner[3] + border, height),
        )
        return Patch(self, number, cell_x, cell_y, inner, outer)

    def patches(self) -> Iterator[Patch]:
        """Give all patches in the order of their numbers."""
        return (self.patch(n) for n in range(self.nx * self.ny))

    @property
    def region(self) -> ConvexPolygon:
        """The tract on the sky."""
        height, width = self.shape
        x = np.array([0, width, width, 0]) - 0.5
        y = np.array([0, 0, height, height]) - 0.5
        return polygon(*self.wcs.all_pix2world(x, y, 0))

    def to_dict(self) -> dict[str, Any]:
        """Give what the dataset ``tract_definition`` holds."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Read the dataset ``tract_definition``."""
        return cls(**data)


def sky_map_hash(tracts: Sequence[Tract]) -> bytes:
    """Give the SHA-1 by which Butler tells sky maps apart."""
    text = json.dumps([t.to_dict() for t in tracts], sort_keys=True)
    return hashlib.sha1(text.encode(), usedforsecurity=False).digest()


def _groups(centres: SkyCoord, radii: FloatArray) -> list[list[int]]:
    """Group circles that touch: each exposure joins the groups of all it overlaps."""
    groups: list[list[int]] = []
    for index in range(len(radii)):
        near = centres[index].separation(centres).deg <= radii[index] + radii
        touching = [g for g in groups if any(near[i] for i in g)]
        groups = [g for g in groups if g not in touching]
        groups.append(sorted(sum(touching, [index])))
    return sorted(groups)


def make_tracts(
    skymap: str,
    corners: Sequence[tuple[FloatArray, FloatArray]],
    *,
    pixel_scale: float,
    patch_size: int = 900,
    border: int = 60,
) -> list[Tract]:
    """Lay tracts over exposures: one for each group of exposures that overlap.

    Parameters
    ----------
    skymap
        Name of the sky map.
    corners
        Right ascension and declination (degrees) of the corners of each exposure.
    pixel_scale
        Side of a pixel of the coadds, arcsec.
    patch_size
        About the side of the inner region of a patch, pixels. It is enlarged by up to a fifth where
        that saves a row of nearly empty patches.
    border
        Overlap of patches, pixels.

    Raises
    ------
    ValueError
        If no exposures are given, or a group of them is wider than a tangent projection bears
        (10°).
    """
    if not corners:
        raise ValueError("No exposures to lay a sky map over.")
    points = [
        SkyCoord(np.asarray(ra), np.asarray(dec), unit="deg").cartesian for ra, dec in corners
    ]
    means = [p.mean() for p in points]
    centres = SkyCoord(
        [m.x.value for m in means],
        [m.y.value for m in means],
        [m.z.value for m in means],
        representation_type="cartesian",
        frame="icrs",
    )
    centres.representation_type = "unitspherical"
    radii = np.array(
        [
            float(np.max(centres[i].separation(SkyCoord(*corners[i], unit="deg")).deg))
            for i in range(len(corners))
        ]
    )
    tracts = []
    for number, members in enumerate(_groups(centres, radii)):
        ra = np.concatenate([np.asarray(corners[i][0]) for i in members])
        dec = np.concatenate([np.asarray(corners[i][1]) for i in members])
        tracts.append(
            _tract(
                skymap,
                number,
                ra,
                dec,
                pixel_scale=pixel_scale,
                patch_size=patch_size,
                border=border,
            )
        )
    return tracts


def _tract(
    skymap: str,
    number: int,
    ra: FloatArray,
    dec: FloatArray,
    *,
    pixel_scale: float,
    patch_size: int,
    border: int,
) -> Tract:
    sky = SkyCoord(ra, dec, unit="deg")
    mean = SkyCoord(sky.cartesian.mean(), frame="icrs")
    origin = SkyCoord(mean.spherical.lon, mean.spherical.lat)
    offset = sky.transform_to(origin.skyoffset_frame())
    lon = offset.lon.wrap_at(180 * u.deg).deg
    lat = offset.lat.deg
    if max(np.ptp(lon), np.ptp(lat)) > 10.0:
        raise ValueError(
            f"The exposures of one group span {max(np.ptp(lon), np.ptp(lat)):.1f} degrees; "
            "reduce them in parts of at most 10 degrees (cerro pipeline reduce --where)."
        )
    centre = origin.directional_offset_by(0 * u.deg, 0 * u.deg).skyoffset_frame()
    middle = SkyCoord(
        (lon.max() + lon.min()) / 2 * u.deg, (lat.max() + lat.min()) / 2 * u.deg, frame=centre
    ).icrs
    width = int(np.ceil(np.ptp(lon) * 3600.0 / pixel_scale)) + 8
    height = int(np.ceil(np.ptp(lat) * 3600.0 / pixel_scale)) + 8
    nx = max(1, round(width / (1.1 * patch_size)))
    ny = max(1, round(height / (1.1 * patch_size)))
    side = max(-(-width // nx), -(-height // ny))
    return Tract(
        skymap=skymap,
        id=number,
        # Rounded to 0.1 mas so that the tract does not hang on the last bit of a trigonometric sum.
        ra=round(float(middle.ra.deg), 7),
        dec=round(float(middle.dec.deg), 7),
        pixel_scale=pixel_scale,
        patch_size=side,
        border=border,
        nx=nx,
        ny=ny,
        requested_size=patch_size,
    )

"""What the simulated survey looks like: its size, cadence and contents."""

from __future__ import annotations

import pydantic

__all__ = ["BANDS", "SurveyConfig"]

BANDS = ("g", "r", "i")
"""Bands of the survey, blue to red."""


class SurveyConfig(pydantic.BaseModel):
    """Settings of the simulated survey. The defaults make the demo release ``sim``.

    Parameters
    ----------
    seed
        The same seed gives the same bits.
    ra, dec
        Centre of the field, ICRS, degrees.
    n_pixels
        Side of the detector, pixels of 0.2 arcsec.
    visits_per_band, nights
        Visits of each band, each on another night, spread over so many nights.
    first_night
        MJD of the first night.
    dither, rotation
        Largest offset of a visit from the centre in each axis (arcsec) and largest rotation
        (degrees).
    stars, galaxies
        Number in a field of 400 arcsec; scaled with the area of the detector.
    periodic, irregular, supernovae
        Number of variables in such a field, scaled likewise but never 0.
    moving
        Number of moving objects.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    seed: int = 20260101
    ra: float = 60.0
    dec: float = -30.0
    n_pixels: int = pydantic.Field(default=1650, ge=200, le=8000)
    visits_per_band: int = pydantic.Field(default=7, ge=1, le=40)
    nights: int = pydantic.Field(default=60, ge=1)
    first_night: float = 61041.0
    dither: float = 4.5
    rotation: float = 1.0
    stars: int = 5000
    galaxies: int = 6200
    periodic: int = 180
    irregular: int = 80
    supernovae: int = 17
    moving: int = 4

    @property
    def pixel_scale(self) -> float:
        """Side of a pixel, arcsec."""
        return 0.2

    @property
    def side(self) -> float:
        """Side of the simulated sky in arcsec: the detector, its dithers and rotated corners."""
        return self.n_pixels * self.pixel_scale * 1.02 + 2 * self.dither + 8.0

    def scaled(self, number: int) -> int:
        """Scale a number from the standard field to this one; at least 1."""
        return max(1, round(number * (self.n_pixels * self.pixel_scale / 400.0) ** 2))

"""When and how the simulated survey observes, and what moves through its field."""

from __future__ import annotations

import numpy as np
from astropy.table import Table
from astropy.wcs import WCS

from .config import BANDS, SurveyConfig
from .scene import flux_from_mag, offset_position, random_stream

__all__ = ["EXPOSURE_TIME", "make_moving", "make_plan", "visit_wcs"]

EXPOSURE_TIME = 30.0
"""Seconds."""

# AB magnitude of 1 electron in 30 s, and of the dark sky in a square arcsec: near LSST's.
_ELECTRON_ZERO_POINT = {"g": 32.09, "r": 31.98, "i": 31.78}
_SKY_BRIGHTNESS = {"g": 22.2, "r": 21.3, "i": 20.6}
GAIN = 1.6
READ_NOISE = 8.0
SATURATION = 60000.0


def make_plan(config: SurveyConfig) -> Table:
    """Plan the visits: each band on as many nights as it has visits, all three bands a night.

    Returns
    -------
    plan
        A row a visit: visit, band, mjd (middle, TAI), ra, dec, rotation (degrees), seeing (arcsec),
        sky (adu a pixel), sky_slope, zero_point (AB mag of 1 adu), shear_1, shear_2, airmass, in
        order of time.
    """
    rng = random_stream(config.seed, 4)
    n = config.visits_per_band
    nights = np.floor((np.arange(n) + rng.uniform(0.1, 0.9, n)) * config.nights / n)
    rows = []
    for night in nights:
        for band, hour in zip(
            BANDS, np.sort(rng.uniform(0.3, 8.5, 3))[rng.permutation(3)], strict=True
        ):
            seeing = float(np.clip(rng.lognormal(np.log(0.8), 0.15), 0.62, 1.1))
            airmass = float(rng.uniform(1.0, 1.5))
            cloud = float(rng.exponential(0.03))
            zero_point = _ELECTRON_ZERO_POINT[band] - 2.5 * np.log10(GAIN)
            zero_point -= cloud + 0.1 * (airmass - 1.0)
            sky_mag = _SKY_BRIGHTNESS[band] - float(rng.uniform(0.0, 0.3))
            sky = 10 ** (0.4 * (zero_point + cloud - sky_mag)) * config.pixel_scale**2
            offset = rng.uniform(-config.dither, config.dither, 2)
            ra, dec = offset_position(config, offset[0], offset[1])
            rows.append(
                {
                    "band": band,
                    # Chile's nights begin near 0 h TAI.
                    "mjd": config.first_night + night + hour / 24.0,
                    "ra": float(ra),
                    "dec": float(dec),
                    "rotation": float(rng.uniform(-config.rotation, config.rotation)),
                    "seeing": seeing,
                    "sky": float(sky),
                    "sky_slope_x": float(rng.uniform(-0.04, 0.04)),
                    "sky_slope_y": float(rng.uniform(-0.04, 0.04)),
                    "zero_point": float(zero_point),
                    "shear_1": float(rng.normal(0.0, 0.012)),
                    "shear_2": float(rng.normal(0.0, 0.012)),
                    "airmass": airmass,
                }
            )
    rows.sort(key=lambda row: row["mjd"])
    plan = Table(rows=rows)
    plan.add_column(np.arange(1, len(plan) + 1), name="visit", index=0)
    return plan


def visit_wcs(config: SurveyConfig, ra: float, dec: float, rotation: float) -> WCS:
    """Give the WCS of a visit; `rotation` is the position angle of +y, degrees."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [(config.n_pixels + 1) / 2.0] * 2
    scale, angle = config.pixel_scale / 3600.0, np.radians(rotation)
    wcs.wcs.cd = scale * np.array([[-np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wcs.array_shape = (config.n_pixels, config.n_pixels)
    wcs.wcs.set()
    return wcs


def make_moving(config: SurveyConfig, plan: Table) -> Table:
    """Send moving objects through the field, each on one night at 10 to 40 arcsec an hour.

    Returns
    -------
    moving
        A row for each object and visit within 30 h of its crossing: movingId, visit, band,
        expMidptMJD, ra, dec, flux (nJy), inImage.
    """
    rng = random_stream(config.seed, 5)
    nights = np.unique(np.floor(np.asarray(plan["mjd"])))
    rows = []
    for number in range(1, config.moving + 1):
        night = rng.choice(nights)
        same = np.floor(np.asarray(plan["mjd"])) == night
        middle = float(np.mean(np.asarray(plan["mjd"])[same]))
        half = 0.25 * config.n_pixels * config.pixel_scale
        start = rng.uniform(-half, half, 2)
        speed = 24.0 * rng.uniform(10.0, 40.0) * config.n_pixels / 2000.0
        direction = rng.uniform(0.0, 2 * np.pi)
        r_mag = rng.uniform(19.0, 21.5)
        mags = {"g": r_mag + 0.55, "r": r_mag, "i": r_mag - 0.2}
        for visit in plan[np.abs(np.asarray(plan["mjd"]) - middle) < 1.25]:
            days = float(visit["mjd"]) - middle
            ra, dec = offset_position(
                config,
                start[0] + speed * days * np.cos(direction),
                start[1] + speed * days * np.sin(direction),
            )
            wcs = visit_wcs(config, visit["ra"], visit["dec"], visit["rotation"])
            x, y = wcs.wcs_world2pix(ra, dec, 0)
            rows.append(
                {
                    "movingId": number,
                    "visit": int(visit["visit"]),
                    "band": str(visit["band"]),
                    "expMidptMJD": float(visit["mjd"]),
                    "ra": float(ra),
                    "dec": float(dec),
                    "flux": float(flux_from_mag(mags[str(visit["band"])])),
                    "inImage": bool(
                        0 <= x <= config.n_pixels - 1 and 0 <= y <= config.n_pixels - 1
                    ),
                }
            )
    return Table(rows=rows)

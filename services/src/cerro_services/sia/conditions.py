"""From the parameters of SIA to conditions on ObsCore (SIA 2.0 §2.1, DALI 1.1 §3.3)."""

from __future__ import annotations

import math
from collections.abc import Callable

from cerro_services.cutout.errors import CutoutError
from cerro_services.cutout.stencils import Stencil, stencil_of
from cerro_services.parameters import ParameterError, Parameters

_INTERVALS = {
    "BAND": ("em_min", "em_max"),
    "TIME": ("t_min", "t_max"),
    "FOV": ("s_fov", "s_fov"),
    "SPATRES": ("s_resolution", "s_resolution"),
    "SPECRP": ("em_res_power", "em_res_power"),
    "EXPTIME": ("t_exptime", "t_exptime"),
    "TIMERES": ("t_resolution", "t_resolution"),
}
_TEXTS = {
    "ID": "obs_publisher_did",
    "COLLECTION": "obs_collection",
    "FACILITY": "facility_name",
    "INSTRUMENT": "instrument_name",
    "DPTYPE": "dataproduct_type",
    "DPSUBTYPE": "dataproduct_subtype",
    "TARGET": "target_name",
    "FORMAT": "access_format",
}
_POLARIZATIONS = frozenset(
    {"I", "Q", "U", "V", "RR", "LL", "RL", "LR", "XX", "YY", "XY", "YX", "POLI", "POLA"}
)
_MOST = 1000
"""Values of a parameter."""
_LONGEST = 1000
"""Characters of a value."""


def conditions(parameters: Parameters) -> list[str]:
    """Write what images must be like as conditions of ADQL.

    Parameters
    ----------
    parameters
        Of the request. Values of one parameter are alternatives, and all parameters must hold.

    Returns
    -------
    list of str
        Conditions on the columns of ObsCore.

    Raises
    ------
    ParameterError
        A value is wrong; it is named.
    """
    makers: dict[str, Callable[[str], str]] = {
        "POS": _position,
        "POL": _polarization,
        "CALIB": _level,
    }
    makers |= {name: _interval(name, *columns) for name, columns in _INTERVALS.items()}
    makers |= {name: _text(column) for name, column in _TEXTS.items()}
    made = []
    for name, maker in makers.items():
        values = [
            value for value in dict.fromkeys(parameters.values.get(name, ())) if value.strip()
        ]
        if len(values) > _MOST:
            raise ParameterError(f"{name} has {len(values):,} values; at most {_MOST:,} are read.")
        if values:
            either = " OR ".join(
                maker(value[:_LONGEST] if name != "POS" else value) for value in values
            )
            made.append(f"({either})")
    return made


def _position(text: str) -> str:
    shape, _, rest = text.strip().partition(" ")
    try:
        stencil = stencil_of(shape.upper(), rest, given=f"POS={text}")
    except CutoutError as error:
        raise ParameterError(error.message) from None
    if stencil.shape == "CIRCLE":
        ra, dec, radius = stencil.values
        # What is far is told by two comparisons, without a look at the region.
        near = f"ABS(s_dec - {dec!r}) <= {radius!r} + s_fov / 2 AND "
        return f"({near}1 = INTERSECTS(CIRCLE({ra!r}, {dec!r}, {radius!r}), s_region))"
    if stencil.shape == "POLYGON":
        return f"1 = INTERSECTS(POLYGON({', '.join(map(repr, stencil.values))}), s_region)"
    return _range(stencil)


def _range(stencil: Stencil) -> str:
    """Write that an image's circle meets a box between meridians and parallels."""
    west, east, south, north = stencil.values
    half = "s_fov / 2"
    lat = f"s_dec + {half} >= {south!r} AND s_dec - {half} <= {north!r}"
    if east - west >= 360:
        return f"({lat})"
    # Meridians come closer to each other towards the poles.
    wide = f"({half}) / COS(RADIANS(s_dec))"
    middle = west + (east - west if east > west else east - west + 360) / 2
    reach = (east - west if east > west else east - west + 360) / 2
    apart = f"ABS(MOD(s_ra - {middle % 360!r} + 540.0, 360.0) - 180.0)"
    return f"({lat} AND {apart} <= {reach!r} + {wide})"


def _interval(name: str, low: str, high: str) -> Callable[[str], str]:
    def made(text: str) -> str:
        try:
            values = [float(word) for word in text.split()]
        except ValueError:
            values = []
        if len(values) not in {1, 2} or any(map(math.isnan, values)) or values[0] > values[-1]:
            raise ParameterError(
                f"{name}={text}: one number, or two with a blank between them, the lower first; "
                "-Inf and +Inf leave an end open."
            )
        begin, end = values[0], values[-1]
        parts = [f"{low} IS NOT NULL"]
        if math.isfinite(end):
            parts.append(f"{low} <= {end!r}")
        if math.isfinite(begin):
            parts.append(f"{high} >= {begin!r}")
        return f"({' AND '.join(parts)})"

    return made


def _text(column: str) -> Callable[[str], str]:
    def made(text: str) -> str:
        if "\0" in text:
            raise ParameterError(f"A value for {column} has a character that no text has.")
        return f"{column} = '{text.replace(chr(39), chr(39) * 2)}'"

    return made


def _polarization(text: str) -> str:
    state = text.strip().upper()
    if state not in _POLARIZATIONS:
        raise ParameterError(f"POL={text}: it is one of {', '.join(sorted(_POLARIZATIONS))}.")
    return f"pol_states LIKE '%/{state}/%'"


def _level(text: str) -> str:
    if text.strip() not in {"0", "1", "2", "3", "4"}:
        raise ParameterError(f"CALIB={text}: it is a number from 0 to 4.")
    return f"calib_level = {text.strip()}"

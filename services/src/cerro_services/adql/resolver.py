"""Positions of objects by their names, from a service that the operator names."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import quote

import httpx

from cerro_services.adql.errors import AdqlError

Resolve = Callable[[str], tuple[float, float]]
"""From a name to right ascension and declination in degrees (ICRS)."""

_LONGEST, _MOST_BYTES = 100, 1_000_000
_PATIENCE = 5.0
"""How long an answer may take [s]."""
_POSITION = re.compile(rb"^%J\s+([-+0-9.eE]+)\s+([-+0-9.eE]+)", re.MULTILINE)


def resolver(url: str) -> Resolve:
    """Make a function that asks a resolver of the kind of CDS Sesame.

    Parameters
    ----------
    url
        Address to which the name is appended; the answer is in Sesame's plain form, with a line
        ``%J ra dec``.

    Returns
    -------
    callable
        From a name to its position; it raises `AdqlError` for a name that is not known, or if the
        resolver does not answer. Positions that were found are remembered.
    """

    @lru_cache(1024)
    def resolve(name: str) -> tuple[float, float]:
        text = name.strip()
        if not text or len(text) > _LONGEST or not text.isprintable():
            raise AdqlError(f"{text[:_LONGEST]!r} is not a name that can be looked up.")
        try:
            with (
                httpx.Client(timeout=_PATIENCE, trust_env=False) as client,
                client.stream("GET", url + quote(text, safe="")) as response,
            ):
                response.raise_for_status()
                found = b""
                for piece in response.iter_bytes():
                    found += piece
                    if len(found) > _MOST_BYTES:
                        break
        except httpx.HTTPError:
            raise AdqlError(
                f"The resolver of names does not answer, so {text!r} could not be looked up. "
                "Try again later, or write POINT(ra, dec)."
            ) from None
        position = _POSITION.search(found)
        if position is None:
            raise AdqlError(f"No object is known by the name {text!r}.")
        return float(position[1]), float(position[2])

    return resolve

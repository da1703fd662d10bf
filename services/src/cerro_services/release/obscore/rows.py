"""What all ways to an index of images have in common."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

Rows = dict[str, list[dict[str, Any]]]
"""Rows by dataset type."""

LINKS = "/api/datalink/links"
FORMAT = "application/x-votable+xml;content=datalink"
AUTHORITY = "cerro"
SPECTRAL_RANGES: dict[str, tuple[float, float]] = {
    "u": (324e-9, 395e-9),
    "g": (405e-9, 552e-9),
    "r": (552e-9, 691e-9),
    "i": (691e-9, 818e-9),
    "z": (818e-9, 922e-9),
    "y": (924e-9, 1060e-9),
    "Y": (970e-9, 1070e-9),
    "J": (1170e-9, 1330e-9),
    "H": (1490e-9, 1780e-9),
    "K": (1990e-9, 2310e-9),
    "Ks": (1990e-9, 2310e-9),
}
"""Shortest and longest wavelength of usual bands, in metres."""


def publisher_did(release: str, identity: str) -> str:
    """Give the identifier of a dataset, as the Rubin Science Platform forms it."""
    return f"ivo://{AUTHORITY}/{release}?repo={release}&id={quote(identity, safe='')}"


def completed(row: dict[str, Any]) -> dict[str, Any]:
    """Add what holds for every image: where its links are, and one element on the other axes."""
    did = quote(row["obs_publisher_did"], safe="")
    one = {"t_xel": 1, "em_xel": 1, "pol_xel": 0, "dataproduct_type": "image"}
    return {**one, **row, "access_url": f"{LINKS}?ID={did}", "access_format": FORMAT}

"""Ask a Cerro platform questions from Python.

>>> import cerro
>>> stars = cerro.query("SELECT TOP 10 coord_ra, coord_dec FROM sim.Object")  # doctest: +SKIP

Inside a lab of the platform nothing needs configuring; outside, run ``cerro login URL`` once, or
set ``CERRO_URL`` and ``CERRO_TOKEN``.

Names are imported when they are first used, so that ``import cerro`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cerro import errors
    from cerro.browse import releases, tables
    from cerro.catalogue import query, tap
    from cerro.images import cutouts

__all__ = ["cutouts", "errors", "query", "releases", "tables", "tap"]

__version__ = "0.1.0"

_HOMES = {
    "cutouts": "cerro.images",
    "query": "cerro.catalogue",
    "tap": "cerro.catalogue",
    "releases": "cerro.browse",
    "tables": "cerro.browse",
}


def __getattr__(name: str) -> object:
    if name == "errors":
        return import_module("cerro.errors")
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'cerro' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

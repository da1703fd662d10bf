"""Simple Cone Search of every table with a position, at /api/cone/{release}/{table}."""

from cerro_services.cone.documents import failure
from cerro_services.cone.router import PREFIX, router

__all__ = ["PREFIX", "failure", "router"]

"""TAP 1.1: catalogues asked in ADQL."""

from cerro_services.tap.router import PREFIX, router

__all__ = ["PREFIX", "router"]

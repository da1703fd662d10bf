"""HiPS 1.0: images of the sky as tiles, for Aladin and its kin."""

from cerro_services.hips.router import PREFIX, router

__all__ = ["PREFIX", "router"]

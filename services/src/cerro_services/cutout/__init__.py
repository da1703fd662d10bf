"""SODA 1.0: parts of images."""

from cerro_services.cutout.router import PREFIX, fault, router

__all__ = ["PREFIX", "fault", "router"]

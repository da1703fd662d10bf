"""The Butler server of lsst-daf-butler, a repository a release, at /api/butler."""

from cerro_services.butler.router import PREFIX, router

__all__ = ["PREFIX", "router"]

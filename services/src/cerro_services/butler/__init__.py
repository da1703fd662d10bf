"""The Butler server of lsst-daf-butler, a repository a release, at /api/butler."""

from cerro_services.butler.repositories import PREFIX, config_url, offers
from cerro_services.butler.router import router

__all__ = ["PREFIX", "config_url", "offers", "router"]

"""DataLink 1.1: from an image to its file, its preview and the services that cut it."""

from cerro_services.datalink.router import PREFIX, failure, router

__all__ = ["PREFIX", "failure", "router"]

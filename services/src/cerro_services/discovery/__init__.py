"""Where everything is: releases, their services, in JSON."""

from cerro_services.discovery.router import router

__all__ = ["router"]

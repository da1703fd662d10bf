"""What a VO registry harvests: records of the releases and their services (OAI-PMH 2.0)."""

from cerro_services.registry.router import PREFIX, router

__all__ = ["PREFIX", "router"]

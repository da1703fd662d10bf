"""SIA 2.0: images found by place, band, time and what else describes them."""

from cerro_services.sia.router import PREFIX, failure, router

__all__ = ["PREFIX", "failure", "router"]

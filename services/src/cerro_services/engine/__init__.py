"""Engines that run queries, and how a region of the sky limits what they read."""

from cerro_services.engine.base import (
    Engine,
    EngineError,
    Estimate,
    QueryCancelledError,
    QueryRefusedError,
    ResourceError,
    Stream,
)
from cerro_services.engine.duckdb import DuckDBEngine, Limits

__all__ = [
    "DuckDBEngine",
    "Engine",
    "EngineError",
    "Estimate",
    "Limits",
    "QueryCancelledError",
    "QueryRefusedError",
    "ResourceError",
    "Stream",
]

"""Data releases: the model, the store, the catalogue writer and the publish commands."""

from cerro_services.release.access import Access
from cerro_services.release.errors import (
    DataError,
    ReleaseBusyError,
    ReleaseError,
    ReleaseNotFound,
    SchemaError,
)
from cerro_services.release.hats import Catalog, Partition
from cerro_services.release.model import SPATIAL_INDEX, Column, Example, ForeignKey, Release, Table
from cerro_services.release.store import ReleaseStore

__all__ = [
    "SPATIAL_INDEX",
    "Access",
    "Catalog",
    "Column",
    "DataError",
    "Example",
    "ForeignKey",
    "Partition",
    "Release",
    "ReleaseBusyError",
    "ReleaseError",
    "ReleaseNotFound",
    "ReleaseStore",
    "SchemaError",
    "Table",
]

"""Readers of tables: each streams record batches, so that a table of any size fits in memory."""

from cerro_services.release.readers.base import Field, TableSource
from cerro_services.release.readers.detect import open_sources

__all__ = ["Field", "TableSource", "open_sources"]

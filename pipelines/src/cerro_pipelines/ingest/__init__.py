"""Bring FITS exposures into a repository: check every file first, then take all of them or none."""

from .reader import IngestError
from .task import IngestSummary, IngestTask, ingest

__all__ = ["IngestError", "IngestSummary", "IngestTask", "ingest"]

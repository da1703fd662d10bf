"""The index of a release's images: ``obscore/<dataset type>.parquet``, in ObsCore's columns."""

from cerro_services.release.obscore.build import FOLDER, build, build_missing
from cerro_services.release.obscore.columns import MODEL, SCHEMA

__all__ = ["FOLDER", "MODEL", "SCHEMA", "build", "build_missing"]

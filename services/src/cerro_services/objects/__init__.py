"""Objects of an object store, and what of them lies here."""

from cerro_services.objects.bucket import (
    Bucket,
    BucketError,
    Entry,
    MissingError,
    ReplacedError,
    is_bucket,
)
from cerro_services.objects.cache import Cache
from cerro_services.objects.file import CachedFile
from cerro_services.objects.path import CachedPath, extent

__all__ = [
    "Bucket",
    "BucketError",
    "Cache",
    "CachedFile",
    "CachedPath",
    "Entry",
    "MissingError",
    "ReplacedError",
    "extent",
    "is_bucket",
]

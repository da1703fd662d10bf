"""Tables that come with a request (TAP 1.1 §2.7.6): taken, checked, and made ready for a query."""

from cerro_services.uploads.errors import UploadError, UploadTooLargeError
from cerro_services.uploads.load import Content, checked, load, read
from cerro_services.uploads.model import SCHEMA, Upload, UploadLimits
from cerro_services.uploads.receive import receive
from cerro_services.uploads.request import limits_of, scratch_of, spool_of

__all__ = [
    "SCHEMA",
    "Content",
    "Upload",
    "UploadError",
    "UploadLimits",
    "UploadTooLargeError",
    "checked",
    "limits_of",
    "load",
    "read",
    "receive",
    "scratch_of",
    "spool_of",
]

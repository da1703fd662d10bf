"""Results as documents: from Arrow batches to VOTable, FITS, Parquet, CSV and more."""

from cerro_services.formats.fields import Field, describe
from cerro_services.formats.frame import Frame, Input, Service
from cerro_services.formats.negotiate import FORMATS, Format, FormatError, Writer, choose
from cerro_services.formats.results import Rows, pieces
from cerro_services.formats.settle import settled

__all__ = [
    "FORMATS",
    "Field",
    "Format",
    "FormatError",
    "Frame",
    "Input",
    "Rows",
    "Service",
    "Writer",
    "choose",
    "describe",
    "pieces",
    "settled",
]

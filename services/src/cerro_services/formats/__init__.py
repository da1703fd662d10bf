"""Results as documents: from Arrow batches to VOTable, CSV and Parquet."""

from cerro_services.formats.fields import Field, describe
from cerro_services.formats.negotiate import FORMATS, Format, FormatError, Writer, choose
from cerro_services.formats.results import Rows, pieces
from cerro_services.formats.settle import settled

__all__ = [
    "FORMATS",
    "Field",
    "Format",
    "FormatError",
    "Rows",
    "Writer",
    "choose",
    "describe",
    "pieces",
    "settled",
]

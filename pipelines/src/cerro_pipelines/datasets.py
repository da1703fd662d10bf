"""The vocabulary of the pipelines: every dataset type, what it holds, by what it is known.

Tasks take names, dimensions and storage classes from here, so that a connection is written::

    image = connectionTypes.Input(doc=VISIT_IMAGE.doc, **VISIT_IMAGE.connection())
"""

from __future__ import annotations

import dataclasses
from typing import Any

from lsst.daf.butler import DatasetType, DimensionUniverse

__all__ = ["ALL", "Dataset"]

_EXPOSURE = ("instrument", "exposure", "detector")
_VISIT = ("instrument", "visit", "detector")
_TRACT = ("skymap", "tract")
_PATCH = ("skymap", "tract", "patch")
_TABLE = "ArrowAstropy"
_IMAGE = "MaskedImageV2"


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A dataset type: its name, dimensions and storage class, and one line on what it holds."""

    name: str
    dimensions: tuple[str, ...]
    storage_class: str
    doc: str

    def connection(self, **changes: Any) -> dict[str, Any]:
        """Give the arguments that every connection of this dataset type takes, but for ``doc``."""
        return {
            "name": self.name,
            "storageClass": self.storage_class,
            "dimensions": self.dimensions,
            **changes,
        }

    def type(self, universe: DimensionUniverse) -> DatasetType:
        """Give Butler's own description of this dataset type."""
        return DatasetType(self.name, self.dimensions, self.storage_class, universe=universe)


RAW = Dataset(
    "raw",
    _EXPOSURE,
    "ImageV2",
    "Pixels as read or simulated, in adu, with WCS and circumstances (Exposure.from_image).",
)
INSTRUMENT = Dataset(
    "instrument_description",
    ("instrument",),
    "StructuredDataDict",
    "Description of the instrument, as it was given to ingest (instruments.Instrument).",
)
VISIT_IMAGE = Dataset(
    "visit_image",
    _VISIT,
    _IMAGE,
    "Calibrated image of a detector in nJy: background removed, with variance, mask, WCS and PSF.",
)
VISIT_SUMMARY = Dataset(
    "visit_summary",
    _VISIT,
    "StructuredDataDict",
    "Seeing, zero point, sky and depth of a detector in a visit.",
)
SOURCE = Dataset("source", _VISIT, _TABLE, "Detections on one visit image (table Source).")
VISIT_TABLE = Dataset(
    "visit_table", ("instrument",), _TABLE, "One row for each visit that was reduced (table Visit)."
)

TRACT_DEFINITION = Dataset(
    "tract_definition",
    _TRACT,
    "StructuredDataDict",
    "Projection, size and patches of a tract (skymap.Tract).",
)
DEEP_COADD = Dataset(
    "deep_coadd",
    (*_PATCH, "band"),
    _IMAGE,
    "Mean of the visit images of a band on the pixels of a patch, in nJy.",
)
OBJECT_PATCH = Dataset(
    "object_patch", _PATCH, _TABLE, "Objects whose centre lies in the inner region of one patch."
)
OBJECT = Dataset("object", _TRACT, _TABLE, "Objects of a tract in all bands (table Object).")
FORCED_SOURCE_VISIT = Dataset(
    "forced_source_visit",
    (*_VISIT, *_TRACT),
    _TABLE,
    "Flux of every object of a tract in one visit image.",
)
FORCED_SOURCE = Dataset(
    "forced_source",
    _TRACT,
    _TABLE,
    "Flux of every object in every visit (table ForcedSource).",
)
DIFFERENCE_IMAGE = Dataset(
    "difference_image", _VISIT, _IMAGE, "Visit image less the PSF-matched template, in nJy."
)
DIA_SOURCE_VISIT = Dataset(
    "dia_source_visit",
    _VISIT,
    _TABLE,
    "Detections on one difference image, before they are linked.",
)
DIA_SOURCE = Dataset(
    "dia_source",
    _TRACT,
    _TABLE,
    "Detections on difference images, each linked to a DiaObject (table DiaSource).",
)
DIA_OBJECT = Dataset(
    "dia_object", _TRACT, _TABLE, "Things that changed, from linked DiaSources (table DiaObject)."
)

SURVEY_PLAN = Dataset(
    "survey_plan",
    ("instrument",),
    _TABLE,
    "Pointing, seeing, sky and transparency of every visit to simulate.",
)
TRUTH_OBJECT = Dataset(
    "truth_object",
    ("instrument",),
    _TABLE,
    "Everything that was put into the simulated sky (table TruthObject).",
)
TRUTH_VISIT = Dataset(
    "truth_visit",
    ("instrument",),
    _TABLE,
    "True flux of each variable and transient in each simulated visit (table TruthVisit).",
)
TRUTH_MOVING = Dataset(
    "truth_moving",
    ("instrument",),
    _TABLE,
    "True position of each moving object in each simulated visit (table TruthMoving).",
)

ALL: tuple[Dataset, ...] = (
    RAW,
    INSTRUMENT,
    VISIT_IMAGE,
    VISIT_SUMMARY,
    SOURCE,
    VISIT_TABLE,
    TRACT_DEFINITION,
    DEEP_COADD,
    OBJECT_PATCH,
    OBJECT,
    FORCED_SOURCE_VISIT,
    FORCED_SOURCE,
    DIFFERENCE_IMAGE,
    DIA_SOURCE_VISIT,
    DIA_SOURCE,
    DIA_OBJECT,
    SURVEY_PLAN,
    TRUTH_OBJECT,
    TRUTH_VISIT,
    TRUTH_MOVING,
)
"""Every dataset type that a Cerro repository knows."""

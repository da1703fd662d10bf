"""The columns of ``ivoa.ObsCore`` (ObsCore 1.1, Tables 5 and 6) and those that LSST adds."""

from __future__ import annotations

import pyarrow as pa

from cerro_services.release.model import Column, TableModel

PATH, DATASET_ID, DATASET_TYPE = "_path", "_dataset_id", "_dataset_type"
"""Private columns: the image's file below the release's folder, its Butler UUID and type."""

_TYPES = {"char": pa.string(), "int": pa.int32(), "long": pa.int64(), "double": pa.float64()}


def _column(name: str, datatype: str, ucd: str, utype: str, unit: str, description: str) -> Column:
    return Column(
        name,
        datatype,
        "*" if datatype == "char" else None,
        unit=unit or None,
        ucd=ucd or None,
        utype=f"obscore:{utype}" if utype else None,
        xtype="adql:REGION" if name == "s_region" else None,
        description=description,
        nullable=name not in _ALWAYS,
        principal=True,
        std=bool(utype),
    )


_ALWAYS = frozenset({"calib_level", "obs_collection", "obs_id", "obs_publisher_did"})
_STANDARD = (
    ("dataproduct_type", "char", "meta.code.class", "ObsDataset.dataProductType", "",
     "Kind of product"),
    ("dataproduct_subtype", "char", "meta.code.class", "ObsDataset.dataProductSubtype", "",
     "Kind of product within the release: its Butler dataset type"),
    ("calib_level", "int", "meta.code;obs.calib", "ObsDataset.calibLevel", "",
     "Calibration: 0 instrumental, 1 raw, 2 calibrated, 3 combined, 4 analysed"),
    ("obs_collection", "char", "meta.id", "DataID.collection", "", "Release"),
    ("obs_id", "char", "meta.id", "DataID.observationID", "", "Observation"),
    ("obs_title", "char", "meta.title;obs", "DataID.title", "", "Title"),
    ("obs_publisher_did", "char", "meta.ref.ivoid", "Curation.publisherDID", "",
     "Identifier of the dataset; what DataLink and cutouts take as ID"),
    ("access_url", "char", "meta.ref.url", "Access.reference", "", "Where its links are"),
    ("access_format", "char", "meta.code.mime", "Access.format", "", "Format of access_url"),
    ("access_estsize", "long", "phys.size;meta.file", "Access.size", "kbyte", "Size of the file"),
    ("target_name", "char", "meta.id;src", "Target.name", "", "Object that was aimed at"),
    ("s_ra", "double", "pos.eq.ra", "Char.SpatialAxis.Coverage.Location.Coord.Position2D.Value2.C1",
     "deg", "Right ascension of the centre (ICRS)"),
    ("s_dec", "double", "pos.eq.dec",
     "Char.SpatialAxis.Coverage.Location.Coord.Position2D.Value2.C2", "deg",
     "Declination of the centre (ICRS)"),
    ("s_fov", "double", "phys.angSize;instr.fov",
     "Char.SpatialAxis.Coverage.Bounds.Extent.diameter", "deg", "Diameter of the region covered"),
    ("s_region", "char", "pos.outline;obs.field", "Char.SpatialAxis.Coverage.Support.Area", "",
     "Region covered (ICRS)"),
    ("s_resolution", "double", "pos.angResolution",
     "Char.SpatialAxis.Resolution.Refval.value", "arcsec", "Resolution on the sky"),
    ("s_pixel_scale", "double", "phys.angSize;instr.pixel",
     "Char.SpatialAxis.Sampling.RefVal.SamplingPeriod", "arcsec", "Side of a pixel"),
    ("s_xel1", "long", "meta.number", "Char.SpatialAxis.numBins1", "", "Pixels in x"),
    ("s_xel2", "long", "meta.number", "Char.SpatialAxis.numBins2", "", "Pixels in y"),
    ("t_min", "double", "time.start;obs.exposure",
     "Char.TimeAxis.Coverage.Bounds.Limits.StartTime", "d", "Begin (MJD)"),
    ("t_max", "double", "time.end;obs.exposure",
     "Char.TimeAxis.Coverage.Bounds.Limits.StopTime", "d", "End (MJD)"),
    ("t_exptime", "double", "time.duration;obs.exposure",
     "Char.TimeAxis.Coverage.Support.Extent", "s", "Exposure time"),
    ("t_resolution", "double", "time.resolution", "Char.TimeAxis.Resolution.Refval.value", "s",
     "Resolution in time"),
    ("t_xel", "long", "meta.number", "Char.TimeAxis.numBins", "", "Elements in time"),
    ("em_min", "double", "em.wl;stat.min", "Char.SpectralAxis.Coverage.Bounds.Limits.LoLimit", "m",
     "Shortest wavelength"),
    ("em_max", "double", "em.wl;stat.max", "Char.SpectralAxis.Coverage.Bounds.Limits.HiLimit", "m",
     "Longest wavelength"),
    ("em_res_power", "double", "spect.resolution",
     "Char.SpectralAxis.Resolution.ResolPower.refVal", "", "Resolving power"),
    ("em_xel", "long", "meta.number", "Char.SpectralAxis.numBins", "", "Elements in wavelength"),
    ("o_ucd", "char", "meta.ucd", "Char.ObservableAxis.ucd", "", "UCD of what was measured"),
    ("pol_states", "char", "meta.code;phys.polarization",
     "Char.PolarizationAxis.stateList", "", "Polarization states"),
    ("pol_xel", "long", "meta.number", "Char.PolarizationAxis.numBins", "",
     "Polarization states, how many"),
    ("facility_name", "char", "meta.id;instr.tel", "Provenance.ObsConfig.Facility.name", "",
     "Facility"),
    ("instrument_name", "char", "meta.id;instr", "Provenance.ObsConfig.Instrument.name", "",
     "Instrument"),
)  # fmt: skip
_LSST = (
    ("lsst_visit", "long", "meta.id;obs", "", "", "Visit"),
    ("lsst_detector", "long", "meta.id;instr.det", "", "", "Detector"),
    ("lsst_tract", "long", "meta.id", "", "", "Tract"),
    ("lsst_patch", "long", "meta.id", "", "", "Patch"),
    ("lsst_band", "char", "instr.bandpass", "", "", "Band"),
    ("lsst_filter", "char", "meta.id;instr.filter", "", "", "Filter"),
)
MODEL = TableModel(
    "ObsCore",
    tuple(_column(*entry) for entry in (*_STANDARD, *_LSST)),
    "The images of all releases (ObsCore 1.1)",
    key=("obs_publisher_did",),
    utype="ivo://ivoa.net/std/obscore#core-1.1",
)
"""The table as TAP shows it."""
SCHEMA = pa.schema(
    [
        *(pa.field(c.name, _TYPES[c.datatype], c.nullable) for c in MODEL.columns),
        pa.field(PATH, pa.string(), nullable=False),
        pa.field(DATASET_ID, pa.string()),
    ]
)
"""How it is stored: a file for each dataset type."""

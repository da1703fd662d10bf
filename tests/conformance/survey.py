"""A release with Rubin's own data model, so that the queries of its tutorials can be asked."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from cerro_services.release import ReleaseStore
from cerro_services.release.access import Access
from cerro_services.release.arrowtypes import arrow_schema
from cerro_services.release.description import Description
from cerro_services.release.draft import Drafts
from cerro_services.release.model import SPATIAL_INDEX, TableModel
from cerro_services.release.publish import Publisher
from cerro_services.release.schema import read

ROWS = 300
FIELD = 53.13, -28.1
"""Centre of the rows, in degrees: the Extended Chandra Deep Field South."""
SCHEMA = "models/sdm_schemas/python/lsst/sdm/schemas/dp1.yaml"
CLOSED = "CcdVisit"
"""The table that only holders of data rights may read."""


def publish(folder: Path, trial_data: Path) -> ReleaseStore:
    """Publish ``dp1`` with a few rows in every table.

    Parameters
    ----------
    folder
        Where the store is made.
    trial_data
        Has Rubin's schemas.
    """
    schema_file = trial_data / SCHEMA
    store = ReleaseStore(folder / "releases")
    drafts = Drafts(store)
    access = Access.from_document({"default": "public", "tables": {CLOSED: ["data-rights"]}})
    drafts.create(Description("dp1", "Data Preview 1, made up", access), schema_file)
    for name, model in read(schema_file).tables.items():
        path = folder / f"{name}.parquet"
        parquet.write_table(rows(model), path)
        drafts.ingest("dp1", name, [path])
    Publisher(store).publish("dp1")
    return store


def rows(model: TableModel) -> pa.Table:
    """Make up the rows of a table: any values, but keys that differ and places in one field."""
    random = np.random.default_rng(zlib.crc32(model.name.encode()))
    index = np.arange(ROWS)
    columns = {}
    for field in arrow_schema(model):
        if field.name == SPATIAL_INDEX:
            continue
        if field.name == model.ra:
            values = FIELD[0] + random.normal(0, 0.2, ROWS)
        elif field.name == model.dec:
            values = FIELD[1] + random.normal(0, 0.2, ROWS)
        elif pa.types.is_integer(field.type):
            small = pa.types.is_int8(field.type) or pa.types.is_uint8(field.type)
            values = index % 100 if small else index
        elif pa.types.is_floating(field.type):
            values = random.normal(20, 4, ROWS)
        elif pa.types.is_boolean(field.type):
            values = index % 2 == 0
        elif pa.types.is_timestamp(field.type):
            values = (index * 86_400_000_000).astype("M8[us]")
        else:
            band = field.name.lower().endswith(("band", "filter"))
            values = np.array(["ugrizy"[i % 6] if band else f"a{i}" for i in index])
        missing = (index % 17 == 3) if field.nullable else None
        columns[field.name] = pa.array(values, mask=missing).cast(field.type)
    return pa.table(columns)

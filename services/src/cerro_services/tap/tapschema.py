"""TAP_SCHEMA (TAP 1.1 §4): the tables that describe the tables, made for one caller."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa

from cerro_services.adql import Catalogue, QueryTable, from_model
from cerro_services.adql.words import RESERVED
from cerro_services.images.index import public_columns, table_of
from cerro_services.release import Column, ForeignKey, Release, Table
from cerro_services.release.model import TableModel
from cerro_services.release.obscore.columns import MODEL as IMAGES
from cerro_services.release.services import ServiceModel
from cerro_services.tap.schematables import KEYS, MODELS, arrow_of

SCHEMA = "tap_schema"
OBSCORE = "ivoa"
_REGULAR = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class Schema:
    """One schema as a caller sees it.

    Parameters
    ----------
    name, title, description, utype
        For people.
    tables
        Its tables.
    foreign_keys
        Relations among them.
    services
        What can be done with rows of them.
    """

    name: str
    title: str | None
    description: str | None
    utype: str | None
    tables: tuple[TableModel, ...]
    foreign_keys: tuple[ForeignKey, ...]
    services: tuple[ServiceModel, ...] = ()


@dataclass(frozen=True)
class View:
    """All that one caller may read.

    Parameters
    ----------
    schemas
        The schemas, ``tap_schema`` last.
    catalogue
        The same tables, to be queried.
    """

    schemas: tuple[Schema, ...]
    catalogue: Catalogue


def view(
    releases: Sequence[Release],
    groups: Collection[str],
    own: Sequence[QueryTable] = (),
    base: str | None = None,
) -> View:
    """Give what members of some groups may read.

    Parameters
    ----------
    releases
        The published releases.
    groups
        Groups of the caller.
    own
        Tables of users that the caller may read.
    base
        The platform's address; without it there is no ``ivoa.ObsCore``.

    Returns
    -------
    View
        With TAP_SCHEMA, which describes it and itself.
    """
    schemas = []
    stored: list[QueryTable] = []
    for release in releases:
        tables = readable(release, groups)
        if not tables:
            continue
        names = {table.name for table in tables}
        keys = tuple(k for k in release.foreign_keys if {k.from_table, k.target_table} <= names)
        schemas.append(
            Schema(
                release.name,
                release.title,
                release.description,
                release.utype,
                tables,
                keys,
                release.services,
            )
        )
        stored += [QueryTable(release.name, table, table.catalog) for table in tables]
    images = [] if base is None else [table_of(release, groups, base) for release in releases]
    if any(table.num_rows for table in images):
        said = "The images of all releases, as the IVOA describes data products."
        schemas.append(Schema(OBSCORE, "ObsCore 1.1", said, None, (IMAGES,), ()))
        rows = public_columns(pa.concat_tables(images))
        stored.append(QueryTable(OBSCORE, IMAGES, rows.combine_chunks()))
    for name in dict.fromkeys(table.schema for table in own):
        models = tuple(table.model for table in own if table.schema == name)
        said = "Tables of your own." if name == "mydb" else "Tables that another user shares."
        schemas.append(Schema(name, None, said, None, models, ()))
    stored += own
    itself = Schema(
        SCHEMA, "TAP_SCHEMA", "The tables that describe the tables.", None, MODELS, KEYS
    )
    everything = (*schemas, itself)
    described = _rows(everything)
    stored += [QueryTable(SCHEMA, model, described[model.name]) for model in MODELS]
    return View(everything, Catalogue(tuple(stored)))


def readable(release: Release, groups: Collection[str]) -> tuple[Table, ...]:
    """Give the tables of a release that members of some groups may read."""
    return tuple(t for t in release.tables.values() if release.access.allows(groups, table=t.name))


def identifier(name: str) -> str:
    """Write a name as ADQL needs it: delimited where it is reserved or not regular."""
    if _REGULAR.match(name) and name.upper() not in RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, table: str) -> str:
    """Write a table's name with its schema, as ADQL needs it."""
    return f"{identifier(schema)}.{identifier(table)}"


def size_of(arraysize: str | None) -> int | None:
    """Give the deprecated column "size": the greatest length that an arraysize states."""
    if arraysize is None:
        return None
    digits = arraysize.removesuffix("*")
    return int(digits) if digits.isdigit() else None


def key_id(schema: str, key: ForeignKey) -> str:
    """Give the identifier of a foreign key, which is unique over all schemas."""
    return f"{schema}.{key.name}"


def _rows(schemas: Sequence[Schema]) -> dict[str, pa.Table]:
    """Fill the five tables."""
    rows: dict[str, list[dict[str, object]]] = {model.name: [] for model in MODELS}
    for i, schema in enumerate(schemas):
        name = identifier(schema.name)
        description = schema.description or schema.title
        rows["schemas"].append(
            {
                "schema_name": name,
                "utype": schema.utype,
                "description": description,
                "schema_index": i,
            }
        )
        for j, table in enumerate(schema.tables):
            table_name = qualified(schema.name, table.name)
            rows["tables"].append(
                {
                    "schema_name": name,
                    "table_name": table_name,
                    "table_type": "table",
                    "utype": table.utype,
                    "description": table.description,
                    "table_index": j if table.table_index is None else table.table_index,
                }
            )
            rows["columns"] += [
                _column(table_name, c, k, table) for k, c in enumerate(table.columns)
            ]
        for key in schema.foreign_keys:
            identity = key_id(schema.name, key)
            rows["keys"].append(
                {
                    "key_id": identity,
                    "from_table": qualified(schema.name, key.from_table),
                    "target_table": qualified(schema.name, key.target_table),
                    "description": key.description,
                    "utype": None,
                }
            )
            rows["key_columns"] += [
                {"key_id": identity, "from_column": identifier(a), "target_column": identifier(b)}
                for a, b in zip(key.from_columns, key.target_columns, strict=True)
            ]
    return {
        model.name: pa.Table.from_pylist(rows[model.name], schema=arrow_of(model))
        for model in MODELS
    }


def _column(table_name: str, column: Column, position: int, table: TableModel) -> dict[str, object]:
    given = from_model(column)
    return {
        "table_name": table_name,
        "column_name": identifier(column.name),
        "datatype": given.datatype,
        "arraysize": given.arraysize,
        "xtype": given.xtype,
        "size": size_of(given.arraysize),
        "description": column.description,
        "utype": column.utype,
        "unit": column.unit,
        "ucd": column.ucd,
        "indexed": int(is_indexed(table, column)),
        "principal": int(column.principal),
        "std": int(column.std),
        "column_index": column.column_index or position + 1,
    }


def is_indexed(table: TableModel, column: Column) -> bool:
    """Whether a condition on a column is answered without reading the whole table."""
    return column.indexed or column.name in {table.ra, table.dec, *table.key, *table.indexes}

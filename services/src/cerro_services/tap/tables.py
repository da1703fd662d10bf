"""The tables of the service as VODataService 1.2 has them (VOSI 1.1 §2.3)."""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree

from cerro_services.adql import from_model
from cerro_services.release import Column, ForeignKey, Table
from cerro_services.release.model import TableModel
from cerro_services.tap.tapschema import Schema, identifier, is_indexed, qualified
from cerro_services.voxml import add, document, root, texts

_TAP_PLUS = "esatapplus"


def tableset(
    schemas: Sequence[Schema],
    *,
    detail: bool = True,
    tap_plus: bool = False,
    only: str | None = None,
) -> bytes:
    """Write the tables of all schemas.

    Parameters
    ----------
    schemas
        What the caller may read.
    detail
        Whether to list columns and keys.
    tap_plus
        Whether to add what astroquery's TapPlus cannot do without, and no schema has.
    only
        Name of the one table that is wanted.
    """
    made = root("tables", "tableset", "vs", *([_TAP_PLUS] if tap_plus else []))
    for schema in schemas:
        add_schema(made, schema, detail=detail, only=only)
    return document(made)


def table(schema: Schema, model: TableModel, *, detail: bool = True) -> bytes:
    """Write one table, with its columns and keys unless only its outline is wanted."""
    made = root("tables", "table", "vs")
    _fill(made, schema, model, detail=detail)
    return document(made)


def add_schema(
    parent: etree._Element, schema: Schema, *, detail: bool = True, only: str | None = None
) -> None:
    """Add a ``vs:TableSchema`` to a ``vs:TableSet``."""
    made = add(parent, "schema")
    texts(
        made,
        name=identifier(schema.name),
        title=schema.title,
        description=schema.description or schema.title,
        utype=schema.utype,
    )
    for model in schema.tables:
        if only is None or only.lower() == qualified(schema.name, model.name).lower():
            _fill(add(made, "table"), schema, model, detail=detail)


def _fill(made: etree._Element, schema: Schema, model: TableModel, *, detail: bool) -> None:
    made.set("type", "table")
    texts(
        made,
        name=qualified(schema.name, model.name),
        description=model.description,
        utype=model.utype,
        nrows=str(model.nrows) if isinstance(model, Table) else None,
    )
    if not detail:
        return
    for column in model.columns:
        _column(add(made, "column", None, {"std": str(column.std).lower()}), column, model)
    for key in schema.foreign_keys:
        if key.from_table == model.name:
            _key(add(made, "foreignKey"), schema, key)


def _column(made: etree._Element, column: Column, model: TableModel) -> None:
    given = from_model(column)
    if _TAP_PLUS in made.nsmap:
        made.set(f"{{{made.nsmap[_TAP_PLUS]}}}flags", "0")
    texts(
        made,
        name=identifier(column.name),
        description=column.description,
        unit=column.unit,
        ucd=column.ucd,
        utype=column.utype,
    )
    shape = {"arraysize": given.arraysize, "extendedType": given.xtype}
    add(made, "dataType", given.datatype, shape, kind="vs:VOTableType")
    flags = {
        "indexed": is_indexed(model, column),
        "primary": column.name in model.key,
        "nullable": column.nullable,
        "principal": column.principal,
    }
    for name, is_set in flags.items():
        if is_set:
            add(made, "flag", name)


def _key(made: etree._Element, schema: Schema, key: ForeignKey) -> None:
    add(made, "targetTable", qualified(schema.name, key.target_table))
    for a, b in zip(key.from_columns, key.target_columns, strict=True):
        pair = add(made, "fkColumn")
        texts(pair, fromColumn=identifier(a), targetColumn=identifier(b))
    texts(made, description=key.description)

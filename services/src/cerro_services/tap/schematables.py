"""The five tables of TAP_SCHEMA (TAP 1.1 §4): their columns, and how they refer to each other."""

from __future__ import annotations

import pyarrow as pa

from cerro_services.release import Column, ForeignKey
from cerro_services.release.model import TableModel


def _text(name: str, description: str, *, nullable: bool = True) -> Column:
    return Column(
        name, "char", "*", description=description, nullable=nullable, principal=True, std=True
    )


def _count(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name, "int", description=description, nullable=nullable, principal=True, std=True)


MODELS: tuple[TableModel, ...] = (
    TableModel(
        "schemas",
        (
            _text("schema_name", "Name of the schema", nullable=False),
            _text("utype", "UTYPE of the schema, if it follows a data model"),
            _text("description", "What the schema holds"),
            _count("schema_index", "Place in the order of schemas", nullable=True),
        ),
        "The schemas of this service",
        key=("schema_name",),
    ),
    TableModel(
        "tables",
        (
            _text("schema_name", "Schema of the table", nullable=False),
            _text("table_name", "Name of the table, as a query needs it", nullable=False),
            _text("table_type", "table or view", nullable=False),
            _text("utype", "UTYPE of the table, if it follows a data model"),
            _text("description", "What the table holds"),
            _count("table_index", "Place in the order of tables", nullable=True),
        ),
        "The tables of this service",
        key=("table_name",),
    ),
    TableModel(
        "columns",
        (
            _text("table_name", "Table of the column", nullable=False),
            _text("column_name", "Name of the column, as a query needs it", nullable=False),
            _text("datatype", "VOTable datatype", nullable=False),
            _text("arraysize", "VOTable arraysize"),
            _text("xtype", "What a value means beyond its datatype (DALI)"),
            _count(
                "size",
                "Length of values with a greatest length (deprecated: use arraysize)",
                nullable=True,
            ),
            _text("description", "What the column holds"),
            _text("utype", "UTYPE of the column, if it follows a data model"),
            _text("unit", "Unit (VOUnits)"),
            _text("ucd", "UCD of the column"),
            _count("indexed", "1 if conditions on it are fast"),
            _count("principal", "1 if it belongs to the first things to look at"),
            _count("std", "1 if a standard defines it"),
            _count("column_index", "Place in the order of columns", nullable=True),
        ),
        "The columns of all tables",
        key=("table_name", "column_name"),
    ),
    TableModel(
        "keys",
        (
            _text("key_id", "Identifier of the foreign key", nullable=False),
            _text("from_table", "Table that refers to another", nullable=False),
            _text("target_table", "Table referred to", nullable=False),
            _text("description", "What the relation means"),
            _text("utype", "UTYPE of the relation"),
        ),
        "Foreign keys between tables",
        key=("key_id",),
    ),
    TableModel(
        "key_columns",
        (
            _text("key_id", "Identifier of the foreign key", nullable=False),
            _text("from_column", "Column that refers", nullable=False),
            _text("target_column", "Column referred to", nullable=False),
        ),
        "Columns of foreign keys",
        key=("key_id", "from_column"),
    ),
)

KEYS: tuple[ForeignKey, ...] = (
    ForeignKey("tables_schemas", "tables", ("schema_name",), "schemas", ("schema_name",)),
    ForeignKey("columns_tables", "columns", ("table_name",), "tables", ("table_name",)),
    ForeignKey("keys_from", "keys", ("from_table",), "tables", ("table_name",)),
    ForeignKey("keys_target", "keys", ("target_table",), "tables", ("table_name",)),
    ForeignKey("key_columns_keys", "key_columns", ("key_id",), "keys", ("key_id",)),
)


def arrow_of(model: TableModel) -> pa.Schema:
    """Give the types of the columns of one of `MODELS`."""
    types = {"char": pa.string(), "int": pa.int32()}
    return pa.schema([pa.field(column.name, types[column.datatype]) for column in model.columns])

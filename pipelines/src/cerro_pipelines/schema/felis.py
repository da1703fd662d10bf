"""Write the Felis schema of the tables that a reduction made.

A schema has exactly the tables that the repository holds, with the columns of the bands that they
have, so that the release made from it says what is there and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from lsst.daf.butler import Butler

from .columns import TableModel, sort_bands, table_model, table_names

__all__ = ["SchemaError", "felis_document", "tables_of", "write_schema"]


class SchemaError(Exception):
    """The schema cannot be written; the message says why."""


def _column(table: str, index: int, column: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": column.name,
        "@id": f"#{table}.{column.name}",
        "datatype": column.datatype,
        "description": column.description,
        "nullable": column.nullable,
        "tap:column_index": index,
        "tap:principal": int(not column.name.endswith("_flag") and "pixelFlags" not in column.name),
    }
    if column.length is not None:
        entry["length"] = column.length
    if column.unit is not None:
        entry["ivoa:unit"] = column.unit
    if column.ucd is not None:
        entry["ivoa:ucd"] = column.ucd
    return entry


def felis_document(
    name: str, models: Sequence[TableModel], *, description: str | None = None
) -> dict[str, Any]:
    """Make a Felis document.

    Parameters
    ----------
    name
        Name of the schema, which is that of the release.
    models
        Its tables. Foreign keys to tables that are not among them are left out.
    description
        What the schema is.
    """
    present = {m.name: m for m in models}
    tables = []
    for index, model in enumerate(models):
        constraints = []
        for key in model.foreign_keys:
            if key.table not in present:
                continue
            label = f"{model.name}_{'_'.join(key.columns)}_{key.table}_fk"
            constraints.append(
                {
                    "name": label,
                    "@id": f"#{label}",
                    "@type": "ForeignKey",
                    "description": key.description,
                    "columns": [f"#{model.name}.{c}" for c in key.columns],
                    "referencedColumns": [f"#{key.table}.{c}" for c in key.references],
                }
            )
        primary = [f"#{model.name}.{c}" for c in model.primary_key]
        table: dict[str, Any] = {
            "name": model.name,
            "@id": f"#{model.name}",
            "description": model.description,
            "tap:table_index": index + 1,
            "primaryKey": primary[0] if len(primary) == 1 else primary,
            "columns": [_column(model.name, i + 1, c) for i, c in enumerate(model.columns)],
        }
        if constraints:
            table["constraints"] = constraints
        tables.append(table)
    return {
        "name": name,
        "@id": f"#{name}",
        "description": description or f"Tables of the release {name}.",
        "version": {"current": "1.0.0"},
        "tables": tables,
    }


def tables_of(butler: Butler, collections: Iterable[str]) -> list[TableModel]:
    """Give the models of the tables that collections hold, the main ones first.

    Raises
    ------
    SchemaError
        If there are none, or a stored table has other columns than its model.
    """
    searched = list(collections)
    order = ("Object", "Source", "ForcedSource", "DiaObject", "DiaSource", "Visit")
    names = sorted(table_names(), key=lambda n: (order.index(n) if n in order else 99, n))
    models = []
    for name in names:
        dataset = table_model(name).dataset
        refs = butler.query_datasets(dataset, collections=searched, explain=False, limit=None)
        if not refs:
            continue
        stored = next(list(butler.get(ref.makeComponentRef("columns"))) for ref in refs[:1])
        model = table_model(name, _bands(name, stored))
        if sorted(model.names) != sorted(stored):
            odd = sorted(set(model.names) ^ set(stored))
            raise SchemaError(
                f"{dataset} in {', '.join(searched)} differs from the model of {name} in "
                f"{', '.join(odd[:5])}: it was made by another version. Reduce again."
            )
        models.append(model)
    if not models:
        raise SchemaError(
            f"{', '.join(searched)} holds no tables: run `cerro pipeline reduce` first."
        )
    return models


def _bands(name: str, stored: Sequence[str]) -> list[str]:
    """Find for which bands a table has columns."""
    marker = next((c for c in table_model(name, ["~"]).columns if c.band == "~"), None)
    if marker is None:
        return []
    suffix = marker.name.removeprefix("~")
    return sort_bands(c.removesuffix(suffix) for c in stored if c.endswith(suffix))


def write_schema(document: Mapping[str, Any], path: Path) -> None:
    """Validate a document with Felis and write it.

    Raises
    ------
    SchemaError
        If Felis refuses it or the file cannot be written.
    """
    from felis import Schema
    from pydantic import ValidationError

    try:
        Schema.model_validate(dict(document), context={"check_tap_principal": True})
    except ValidationError as error:
        raise SchemaError(f"Felis refuses the schema: {error}") from error
    text = yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=100)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SchemaError(f"Cannot write {path}: {error.strerror}.") from error

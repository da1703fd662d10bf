"""Felis schemas: validation by Felis itself, and a fast reader of what has been validated.

``lsst-felis`` takes two seconds to import, so services read a schema that Felis has approved (at
``cerro release create`` and ``publish``) as the plain YAML that it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cerro_services.release.errors import SchemaError
from cerro_services.release.model import Column, ForeignKey, TableModel

TABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")

DATATYPES = (
    "boolean",
    "byte",
    "short",
    "int",
    "long",
    "float",
    "double",
    "char",
    "string",
    "unicode",
    "text",
    "binary",
    "timestamp",
)
"""The types of Felis."""


@dataclass(frozen=True)
class DataModel:
    """The data model of a release.

    Parameters
    ----------
    name, description, utype
        Of the schema as a whole.
    tables
        Tables by name, in the order of the file.
    foreign_keys
        Relations between the tables.
    """

    name: str
    description: str | None
    utype: str | None
    tables: Mapping[str, TableModel]
    foreign_keys: tuple[ForeignKey, ...]


def validate(path: Path, *, resolve: bool = False) -> str | None:
    """Check a schema with Felis.

    Parameters
    ----------
    path
        The Felis file (YAML).
    resolve
        Whether to give the schema's text with all references to other schemas filled in.

    Returns
    -------
    str or None
        The resolved YAML if the schema refers to other schemas and `resolve` is set; else None.

    Raises
    ------
    SchemaError
        Naming the file, and for each fault its place in the file.
    """
    import io

    document = _load(path)
    for table in document.get("tables") or ():
        for column in table.get("columns") or ():
            if (datatype := column.get("datatype")) not in DATATYPES:
                raise SchemaError(
                    f"{path}: table {table.get('name')} column {column.get('name')}: datatype "
                    f"{datatype!r} is none of Felis, which are {', '.join(DATATYPES)}."
                )
    import felis
    import pydantic

    context = {"id_generation": True, "dereference_resources": True}
    try:
        schema = felis.Schema.from_uri(str(path), context=context)
    except pydantic.ValidationError as error:
        faults = "\n".join(
            f"  {_place(document, fault['loc'])}: {_words(fault)}" for fault in error.errors()
        )
        raise SchemaError(f"{path} is no valid Felis schema:\n{faults}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SchemaError(f"{path} is no valid Felis schema: {error}") from error
    if not (resolve and _has_references(document)):
        return None
    stream = io.StringIO()
    schema.resources = {}
    for table in schema.tables:
        table.column_refs = {}
    schema.dump_yaml(stream)
    return stream.getvalue()


def read(path: Path) -> DataModel:
    """Read a schema that Felis has approved.

    Parameters
    ----------
    path
        The Felis file (YAML).

    Returns
    -------
    DataModel
        Its tables, columns and keys.

    Raises
    ------
    SchemaError
        The file cannot be read, or is no schema.
    """
    document = _load(path)
    try:
        tables = {t["name"]: _table(t) for t in document.get("tables") or ()}
        identifiers = _identifiers(document)
        return DataModel(
            name=document["name"],
            description=_text(document.get("description")),
            utype=document.get("votable:utype"),
            tables=tables,
            foreign_keys=tuple(
                _foreign_key(constraint, identifiers)
                for table in document.get("tables") or ()
                for constraint in table.get("constraints") or ()
                if constraint.get("@type") == "ForeignKey"
            ),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise SchemaError(
            f"{path} is no valid Felis schema ({type(error).__name__}: {error}). "
            "Run: felis --id-generation validate FILE"
        ) from error


def check_storable(model: DataModel, path: Path) -> None:
    """Refuse what Felis allows but a release cannot hold.

    Parameters
    ----------
    model
        The data model.
    path
        Its file, for errors.

    Raises
    ------
    SchemaError
        Naming the table and column.
    """
    from cerro_services.release.arrowtypes import arrow_schema

    if not model.tables:
        raise SchemaError(f"{path} has no tables.")
    for table in model.tables.values():
        if not TABLE_NAME.fullmatch(table.name):
            raise SchemaError(
                f"{path}: {table.name!r} cannot name a table: give letters, digits and "
                "underscores, beginning with a letter."
            )
        folded: dict[str, str] = {}
        for column in table.columns:
            other = folded.setdefault(column.name.casefold(), column.name)
            if other != column.name:
                raise SchemaError(
                    f"{path}: table {table.name} has columns {other} and {column.name}, "
                    "which are one name in ADQL. Rename one."
                )
        if not table.columns:
            raise SchemaError(f"{path}: table {table.name} has no columns.")
        try:
            arrow_schema(table)
        except SchemaError as error:
            raise SchemaError(f"{path}: table {table.name}: {error.message}") from error
        for name in filter(None, (table.ra, table.dec)):
            column = table.column(name)
            if column.unit not in {None, "deg"} or column.datatype not in {"double", "float"}:
                raise SchemaError(
                    f"{path}: {table.name}.{name} has UCD {column.ucd}, so it must be a double in "
                    f"deg; it is a {column.datatype} in {column.unit}."
                )
        for name in table.key:
            if name not in {column.name for column in table.columns}:
                raise SchemaError(f"{path}: the key of {table.name} names no column: {name}.")


def _load(path: Path) -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = yaml.load(path.read_bytes(), Loader=loader)  # noqa: S506 - a safe loader
    except FileNotFoundError as error:
        raise SchemaError(f"There is no schema file {path}.") from error
    except OSError as error:
        raise SchemaError(f"The schema file {path} cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise SchemaError(f"{path} is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise SchemaError(f"{path} holds no Felis schema: it must begin with 'name:'.")
    return document


def _has_references(document: Mapping[str, Any]) -> bool:
    return any(table.get("columnRefs") for table in document.get("tables") or ())


def _place(document: object, location: tuple[str | int, ...]) -> str:
    """Name a place by table and column rather than by position in a list."""
    parts: list[str] = []
    for step in location:
        if isinstance(step, int) and isinstance(document, list) and step < len(document):
            document = document[step]
            name = document.get("name") if isinstance(document, dict) else None
            parts.append(str(name) if name else str(step + 1))
        else:
            document = document.get(step) if isinstance(document, dict) else None
            if step not in {"tables", "columns", "constraints", "indexes"} or step == location[-1]:
                parts.append(str(step))
            else:
                parts.append({"indexes": "index"}.get(str(step), str(step)[:-1]))
    return " ".join(parts) or "the file"


def _words(fault: Mapping[str, Any]) -> str:
    text = str(fault["msg"]).removeprefix("Value error, ")
    shown = fault.get("input")
    if isinstance(shown, str | int | float):
        text += f" (found {shown!r})"
    return text


def _text(value: object) -> str | None:
    return " ".join(str(value).split()) if value is not None else None


def _table(document: Mapping[str, Any]) -> TableModel:
    raw_key = document.get("primaryKey") or []
    key_ids = [raw_key] if isinstance(raw_key, str) else list(raw_key)
    by_id = _column_ids(document)
    key = tuple(by_id.get(i, _last(i)) for i in key_ids)
    single = [
        by_id.get(holder["columns"][0], _last(holder["columns"][0]))
        for holder in (*(document.get("indexes") or ()), *(document.get("constraints") or ()))
        if holder.get("@type", "ForeignKey") == "ForeignKey"
        and len(holder.get("columns") or ()) == 1
    ]
    raw = document.get("columns") or ()
    ra = _position(raw, "pos.eq.ra")
    dec = _position(raw, "pos.eq.dec")
    spatial = {ra, dec} if ra and dec else set()
    # The HEALPix order serves positions; an index of their values would serve nobody.
    indexes = tuple(dict.fromkeys(c for c in single if (c,) != key and c not in {ra, dec}))
    indexed = {*key, *indexes, *spatial}
    columns = tuple(_column(c, n, c["name"] in indexed) for n, c in enumerate(raw, 1))
    return TableModel(
        name=document["name"],
        columns=columns,
        description=_text(document.get("description")),
        key=key,
        ra=ra if spatial else None,
        dec=dec if spatial else None,
        utype=document.get("votable:utype"),
        indexes=indexes,
        table_index=document.get("tap:table_index"),
    )


def _column(document: Mapping[str, Any], position: int, indexed: bool) -> Column:  # noqa: FBT001
    datatype = str(document["datatype"])
    length = document.get("length")
    arraysize = document.get("votable:arraysize")
    if arraysize is None:
        # The defaults of Felis: see felis.datamodel.Column.check_votable_arraysize.
        if datatype == "char" and length and length > 1:
            arraysize = str(length)
        elif datatype in {"string", "unicode", "binary"} and length and length > 1:
            arraysize = f"{length}*"
        elif datatype in {"timestamp", "text"}:
            arraysize = "*"
    xtype = document.get("votable:xtype")
    return Column(
        name=document["name"],
        datatype=datatype,
        arraysize=None if arraysize is None else str(arraysize),
        unit=document.get("ivoa:unit") or document.get("fits:tunit"),
        ucd=document.get("ivoa:ucd"),
        utype=document.get("votable:utype"),
        xtype=xtype or ("timestamp" if datatype == "timestamp" else None),
        description=_text(document.get("description")),
        nullable=bool(document.get("nullable", True)),
        principal=bool(document.get("tap:principal", 0)),
        std=bool(document.get("tap:std", 0)),
        indexed=indexed,
        column_index=int(document.get("tap:column_index") or position),
        length=length,
    )


def _position(columns: tuple[Mapping[str, Any], ...], word: str) -> str | None:
    for column in columns:
        words: list[str] = [w.strip().lower() for w in str(column.get("ivoa:ucd") or "").split(";")]
        if words[0] == word and "meta.main" in words:
            return str(column["name"])
    return None


def _last(identifier: str) -> str:
    """Give the column of an id of the usual form ``#Table.column``."""
    return identifier.rsplit(".", 1)[-1].lstrip("#")


def _column_ids(table: Mapping[str, Any]) -> dict[str, str]:
    return {
        column.get("@id", f"#{table['name']}.{column['name']}"): column["name"]
        for column in table.get("columns") or ()
    }


def _identifiers(document: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {
        identifier: (table["name"], column)
        for table in document.get("tables") or ()
        for identifier, column in _column_ids(table).items()
    }


def _foreign_key(
    document: Mapping[str, Any], identifiers: Mapping[str, tuple[str, str]]
) -> ForeignKey:
    source = [identifiers[i] for i in document["columns"]]
    target = [identifiers[i] for i in document["referencedColumns"]]
    return ForeignKey(
        name=document["name"],
        from_table=source[0][0],
        from_columns=tuple(column for _, column in source),
        target_table=target[0][0],
        target_columns=tuple(column for _, column in target),
        description=_text(document.get("description")),
    )

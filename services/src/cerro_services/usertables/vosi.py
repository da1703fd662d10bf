"""Descriptions of tables as clients send them (VOSI 1.1 §2.3, VODataService 1.2)."""

from __future__ import annotations

from dataclasses import replace

from lxml import etree

from cerro_services.release import Column
from cerro_services.release.model import TableModel
from cerro_services.usertables.model import UserTableError

_TYPES = {
    "boolean": "boolean",
    "bit": "boolean",
    "unsignedbyte": "byte",
    "short": "short",
    "int": "int",
    "long": "long",
    "float": "float",
    "double": "double",
    "char": "char",
    "unicodechar": "unicode",
    # The names of TAP 1.0 (vs:TAPType).
    "smallint": "short",
    "integer": "int",
    "bigint": "long",
    "real": "float",
    "varchar": "char",
    "timestamp": "timestamp",
    "clob": "char",
    "varbinary": "binary",
    "binary": "binary",
    "blob": "binary",
}
_STRINGS = frozenset({"char", "unicode", "timestamp", "binary"})
_LOBS = frozenset({"varchar", "clob", "timestamp", "varbinary", "blob"})
_MOST_COLUMNS = 4_000


def parse(document: bytes, name: str) -> TableModel:
    """Read the description of a table.

    Parameters
    ----------
    document
        A ``table`` element of VOSI, or a table set of one.
    name
        What the table is to be called; the name in the document is not needed.

    Raises
    ------
    UserTableError
        It is no such document, or describes what cannot be held.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UserTableError("The description is no XML. Send a VOSI table element.") from error
    if getattr(root.getroottree().docinfo, "doctype", ""):
        raise UserTableError("The description declares a document type, which is refused.")
    table = root if _local(root.tag) == "table" else _first(root, "table")
    if table is None:
        raise UserTableError("The document describes no table: send a VOSI table element.")
    columns = [_column(element, n) for n, element in enumerate(_all(table, "column"), 1)]
    if not 0 < len(columns) <= _MOST_COLUMNS:
        raise UserTableError(
            f"The description has {len(columns):,} columns: give 1 to {_MOST_COLUMNS:,}."
        )
    seen: dict[str, str] = {}
    for column in columns:
        if seen.setdefault(column.name.lower(), column.name) is not column.name:
            raise UserTableError(f"The description names column {column.name!r} twice.")
    return TableModel(
        name,
        tuple(columns),
        description=_text(table, "description"),
        utype=_text(table, "utype"),
    )


def described(model: TableModel, given: TableModel) -> TableModel:
    """Put descriptions into a model that stays the same otherwise.

    Parameters
    ----------
    model
        The table.
    given
        What a client says of it; columns that it does not name stay as they are.

    Raises
    ------
    UserTableError
        It names a column that the table does not have, or another type.
    """
    told = {column.name.lower(): column for column in given.columns}
    unknown = told.keys() - {column.name.lower() for column in model.columns}
    if unknown:
        raise UserTableError(
            f"{model.name} has no column {told[min(unknown)].name}. Columns are not added or "
            "dropped; make a new table from a query."
        )
    columns = []
    for column in model.columns:
        new = told.get(column.name.lower())
        if new is not None:
            if new.datatype != column.datatype and {new.datatype, column.datatype} - _STRINGS:
                raise UserTableError(
                    f"Column {column.name} is of type {column.datatype}, which cannot become "
                    f"{new.datatype}."
                )
            new = replace(
                column,
                description=new.description,
                unit=new.unit,
                ucd=new.ucd,
                utype=new.utype,
                principal=new.principal,
            )
        columns.append(new or column)
    return replace(model, columns=tuple(columns), description=given.description, utype=given.utype)


def _column(element: etree._Element, number: int) -> Column:
    name = (_text(element, "name") or "").strip('"')
    if not name or len(name) > 256 or not name.isprintable():
        raise UserTableError(f"Column {number} of the description has no name that can be used.")
    kind = _first(element, "dataType")
    told = (kind.text or "").strip() if kind is not None else ""
    word = told.lower().rpartition(":")[2]
    datatype = _TYPES.get(word)
    if datatype is None or kind is None:
        raise UserTableError(
            f"Column {name} is of type {told or '?'}, which cannot be held: give a type of VOTable."
        )
    attributes = {_local(name): str(value) for name, value in kind.attrib.items()}
    arraysize = attributes.get("arraysize") or attributes.get("size")
    xtype = attributes.get("extendedType")
    if datatype == "char" and (xtype or "").lower() in {"timestamp", "adql:timestamp"}:
        datatype = "timestamp"
    if datatype in _STRINGS:
        arraysize = arraysize or ("*" if word in _LOBS else "1")
    elif arraysize == "1":
        arraysize = None
    flags = {(flag.text or "").strip() for flag in _all(element, "flag")}
    return Column(
        name,
        datatype,
        arraysize=arraysize,
        unit=_text(element, "unit"),
        ucd=_text(element, "ucd"),
        utype=_text(element, "utype"),
        xtype="timestamp" if datatype == "timestamp" else xtype,
        description=_text(element, "description"),
        principal="principal" in flags,
        column_index=number,
    )


def _local(tag: object) -> str:
    return str(tag).rpartition("}")[2]


def _all(element: etree._Element, name: str) -> list[etree._Element]:
    return [child for child in element if _local(child.tag) == name]


def _first(element: etree._Element, name: str) -> etree._Element | None:
    return next((child for child in element.iter() if _local(child.tag) == name), None)


def _text(element: etree._Element, name: str) -> str | None:
    found = _all(element, name)
    text = " ".join((found[0].text or "").split()) if found else ""
    return text[:4000] or None

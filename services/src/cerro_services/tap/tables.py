"""The tables of the service as VODataService has them (VOSI 1.1 §2.3).

Written element by element: vo-models escapes descriptions twice and puts the xtype where the
schema of VODataService has no place for it.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from cerro_services.adql import from_model
from cerro_services.release import Column, ForeignKey, Table
from cerro_services.release.model import TableModel
from cerro_services.tap.tapschema import Schema, identifier, is_indexed, qualified

_VOSI = "http://www.ivoa.net/xml/VOSITables/v1.0"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_VS = "http://www.ivoa.net/xml/VODataService/v1.1"


def tableset(schemas: tuple[Schema, ...], *, detail: bool = True) -> bytes:
    """Write the tables of all schemas.

    Parameters
    ----------
    schemas
        What the caller may read.
    detail
        Whether to list columns and keys.
    """
    root = _root("tableset")
    for schema in schemas:
        element = ET.SubElement(root, "schema")
        _texts(
            element,
            name=identifier(schema.name),
            title=schema.title,
            description=schema.description or schema.title,
            utype=schema.utype,
        )
        for model in schema.tables:
            _fill(ET.SubElement(element, "table"), schema, model, detail=detail)
    return bytes(ET.tostring(root, encoding="UTF-8", xml_declaration=True))


def table(schema: Schema, model: TableModel) -> bytes:
    """Write one table with its columns and keys."""
    root = _root("table")
    _fill(root, schema, model, detail=True)
    return bytes(ET.tostring(root, encoding="UTF-8", xml_declaration=True))


def _root(name: str) -> ET.Element:
    # ElementTree declares no prefix that only a value uses, such as vs:VOTableType.
    return ET.Element(f"vosi:{name}", {"xmlns:vosi": _VOSI, "xmlns:xsi": _XSI, "xmlns:vs": _VS})


def _fill(element: ET.Element, schema: Schema, model: TableModel, *, detail: bool) -> None:
    element.set("type", "table")
    _texts(
        element,
        name=qualified(schema.name, model.name),
        description=model.description,
        utype=model.utype,
        nrows=str(model.nrows) if isinstance(model, Table) else None,
    )
    if not detail:
        return
    for column in model.columns:
        _column(ET.SubElement(element, "column", {"std": str(column.std).lower()}), column, model)
    for key in schema.foreign_keys:
        if key.from_table == model.name:
            _key(ET.SubElement(element, "foreignKey"), schema, key)


def _column(element: ET.Element, column: Column, model: TableModel) -> None:
    given = from_model(column)
    _texts(
        element,
        name=identifier(column.name),
        description=column.description,
        unit=column.unit,
        ucd=column.ucd,
        utype=column.utype,
    )
    kind = ET.SubElement(element, "dataType", {"xsi:type": "vs:VOTableType"})
    kind.text = given.datatype
    if given.arraysize is not None:
        kind.set("arraysize", given.arraysize)
    if given.xtype is not None:
        kind.set("extendedType", given.xtype)
    flags = {
        "indexed": is_indexed(model, column),
        "primary": column.name in model.key,
        "nullable": column.nullable,
        "principal": column.principal,
    }
    for name, is_set in flags.items():
        if is_set:
            ET.SubElement(element, "flag").text = name


def _key(element: ET.Element, schema: Schema, key: ForeignKey) -> None:
    _texts(element, targetTable=qualified(schema.name, key.target_table))
    for a, b in zip(key.from_columns, key.target_columns, strict=True):
        pair = ET.SubElement(element, "fkColumn")
        _texts(pair, fromColumn=identifier(a), targetColumn=identifier(b))
    _texts(element, description=key.description)


def _texts(element: ET.Element, **texts: str | None) -> None:
    for name, text in texts.items():
        if text:
            ET.SubElement(element, name).text = text

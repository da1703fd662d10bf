"""Which services a result tells its clients of (DataLink 1.1 §4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cerro_services.adql import ResultColumn
from cerro_services.formats import Field, Input, Service
from cerro_services.release.services import ServiceInput, ServiceModel
from cerro_services.tap.tapschema import Schema


def services_of(
    fields: Sequence[Field], schemas: Sequence[Schema], base: str
) -> tuple[Service, ...]:
    """Give the services that take rows of a result.

    Parameters
    ----------
    fields
        The result's columns.
    schemas
        What the caller sees.
    base
        The platform's address without a slash at the end.

    Returns
    -------
    tuple of Service
        Those whose every column is in the result, as it is in the table.
    """
    places: dict[tuple[str, str], int] = {}
    for place, field in enumerate(fields):
        if field.column.origin is not None:
            # The first of a column that stands twice.
            places.setdefault(field.column.origin, place)
    if not places:
        return ()
    tables = {table for table, _ in places}
    return tuple(
        _described(service, inputs, base)
        for schema in schemas
        for service in schema.services
        if f"{schema.name}.{service.table}" in tables
        and (inputs := _inputs(service, schema.name, places, fields)) is not None
    )


def _inputs(
    service: ServiceModel,
    schema: str,
    places: Mapping[tuple[str, str], int],
    fields: Sequence[Field],
) -> tuple[Input, ...] | None:
    """Give the parameters of a service; None if the result lacks a column of them."""
    made = []
    for put in service.inputs:
        if put.column is None:
            made.append(_fixed(put))
            continue
        place = places.get((f"{schema}.{service.table}", put.column))
        if place is None:
            return None
        made.append(_taken(put, place, fields[place].column))
    return tuple(made)


def _taken(put: ServiceInput, place: int, column: ResultColumn) -> Input:
    """Describe a parameter that is a column of the result: of the column's type."""
    return Input(
        put.name,
        place,
        "",
        column.datatype or "char",
        column.arraysize,
        put.unit or column.unit,
        put.ucd or column.ucd,
        put.utype or column.utype,
        put.xtype or column.xtype,
        put.description or column.description,
    )


def _fixed(put: ServiceInput) -> Input:
    datatype = put.datatype or "char"
    arraysize = put.arraysize or ("*" if datatype in {"char", "unicodeChar"} else None)
    return Input(
        put.name,
        None,
        put.value or "",
        datatype,
        arraysize,
        put.unit,
        put.ucd,
        put.utype,
        put.xtype,
        put.description,
    )


def _described(service: ServiceModel, inputs: tuple[Input, ...], base: str) -> Service:
    address = service.address.replace("{base}", base)
    params = (*service.texts, ("accessURL", address))
    return Service(service.name, service.description, params, inputs)

"""Services that belong to the rows of a table: the ``services`` of ``release.yaml``.

Results that hold the columns a service takes tell clients of it, as DataLink 1.1 §4 has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from cerro_services.release.errors import ReleaseError

if TYPE_CHECKING:
    from cerro_services.release.model import TableModel

_TEXTS = ("standardID", "contentType", "resourceIdentifier", "resultPolicy", "exampleURL")
"""Further parameters of a descriptor; ``accessURL`` stands for itself."""
_TYPES = frozenset(
    {"boolean", "unsignedByte", "short", "int", "long", "float", "double", "char", "unicodeChar"}
)
_ADDRESS = re.compile(r"(https?://|\{base\}/)[^\s{}]*(\{base\})?[^\s{}]*")


@dataclass(frozen=True)
class ServiceInput:
    """A parameter of a service.

    Parameters
    ----------
    name
        Name of the parameter.
    column
        Column of the table that holds its values; None if it is not of the row.
    value
        A value that is the same for all rows, or that is proposed.
    datatype, arraysize, unit, ucd, utype, xtype, description
        As VOTable has them; by default those of the column.
    """

    name: str
    column: str | None = None
    value: str | None = None
    datatype: str | None = None
    arraysize: str | None = None
    unit: str | None = None
    ucd: str | None = None
    utype: str | None = None
    xtype: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class ServiceModel:
    """A service that takes rows of a table.

    Parameters
    ----------
    name, description
        For people.
    table
        The table.
    address
        Its accessURL; ``{base}`` stands for the platform's address.
    inputs
        Its parameters; at least one is a column.
    texts
        Names and values of what else describes it, standardID above all.
    """

    name: str
    table: str
    address: str
    inputs: tuple[ServiceInput, ...]
    description: str | None = None
    texts: tuple[tuple[str, str], ...] = field(default=())


def from_document(document: object) -> tuple[ServiceModel, ...]:
    """Read the ``services`` entry of a release.yaml.

    Raises
    ------
    ReleaseError
        Naming the service and what is wrong with it.
    """
    entries = document or []
    if not isinstance(entries, list):
        raise ReleaseError("services: must be a list.")
    made = [_service(entry, i) for i, entry in enumerate(entries, 1)]
    names = [service.name for service in made]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ReleaseError(f"services: the name {twice[0]} stands twice.")
    return tuple(made)


def to_document(services: tuple[ServiceModel, ...]) -> list[dict[str, Any]]:
    """Give services in the form of release.yaml."""
    return [
        {
            "name": service.name,
            "table": service.table,
            **({"description": service.description} if service.description else {}),
            **dict(service.texts),
            "accessURL": service.address,
            "inputs": [
                {key: value for key, value in asdict(put).items() if value is not None}
                for put in service.inputs
            ],
        }
        for service in services
    ]


def check_services(services: tuple[ServiceModel, ...], tables: Mapping[str, TableModel]) -> None:
    """Refuse services of tables and columns that do not exist.

    Raises
    ------
    ReleaseError
        Naming the service, and the table or column that is not there.
    """
    for service in services:
        where = f"services: {service.name}"
        if service.table not in tables:
            raise ReleaseError(
                f"{where}: there is no table {service.table}; tables are {', '.join(tables)}."
            )
        columns = {column.name for column in tables[service.table].columns}
        for put in service.inputs:
            if put.column is not None and put.column not in columns:
                raise ReleaseError(
                    f"{where}: the input {put.name} takes the column {put.column}, which "
                    f"{service.table} does not have."
                )


def _service(entry: object, number: int) -> ServiceModel:
    known = {"name", "table", "description", "accessURL", "inputs", *_TEXTS}
    where = f"services, entry {number}"
    found = _texts(entry, known, {"name", "table", "accessURL", "inputs"}, where, {"inputs"})
    where = f"services: {found['name']}"
    if not _ADDRESS.fullmatch(found["accessURL"]):
        raise ReleaseError(
            f"{where}: accessURL must begin with https://, http:// or {{base}}/, "
            f"not {found['accessURL']!r}."
        )
    raw = found["inputs"]
    if not isinstance(raw, list) or not raw:
        raise ReleaseError(f"{where}: inputs must be a list of at least one.")
    inputs = tuple(_input(put, f"{where}, input {i}") for i, put in enumerate(raw, 1))
    if not any(put.column for put in inputs):
        raise ReleaseError(f"{where}: no input is a column, so the service takes no rows.")
    return ServiceModel(
        found["name"],
        found["table"],
        found["accessURL"],
        inputs,
        found.get("description"),
        tuple((name, found[name]) for name in _TEXTS if name in found),
    )


def _input(entry: object, where: str) -> ServiceInput:
    known = set(ServiceInput.__dataclass_fields__)
    found = _texts(entry, known, {"name"}, where)
    if "column" in found and "value" in found:
        raise ReleaseError(f"{where}: has a column and a value; give one of them.")
    if found.get("datatype", "char") not in _TYPES:
        raise ReleaseError(
            f"{where}: {found['datatype']} is no datatype of VOTable; these are "
            f"{', '.join(sorted(_TYPES))}."
        )
    return ServiceInput(**found)


def _texts(
    entry: object,
    known: set[str],
    needed: set[str],
    where: str,
    others: AbstractSet[str] = frozenset(),
) -> dict[str, Any]:
    """Check the keys of a mapping, and give its numbers as text."""
    if not isinstance(entry, dict):
        raise ReleaseError(f"{where}: must be a mapping.")
    if missing := sorted(needed - entry.keys()):
        raise ReleaseError(f"{where}: {missing[0]} is missing.")
    if unknown := sorted(map(str, entry.keys() - known)):
        raise ReleaseError(
            f"{where}: unknown entry {unknown[0]}; known are {', '.join(sorted(known))}."
        )
    for key in entry.keys() - others:
        if isinstance(entry[key], dict | list) or entry[key] is None:
            raise ReleaseError(f"{where}: {key} must be a text or a number.")
    return {k: v if k in others else " ".join(str(v).split()) for k, v in entry.items()}

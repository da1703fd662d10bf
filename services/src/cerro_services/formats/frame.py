"""What a document says of a result besides its rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Input:
    """A parameter of a service.

    Parameters
    ----------
    name
        Name of the parameter.
    column
        The result's column that holds its values, counted from 0; None if it is the same for all
        rows.
    value
        Its value, or the one that is proposed.
    datatype, arraysize, unit, ucd, utype, xtype, description
        As VOTable has them.
    """

    name: str
    column: int | None = None
    value: str = ""
    datatype: str = "char"
    arraysize: str | None = "*"
    unit: str | None = None
    ucd: str | None = None
    utype: str | None = None
    xtype: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class Service:
    """What can be done with the rows of a result (DataLink 1.1 §4).

    Parameters
    ----------
    name, description
        For people.
    params
        Names and values that describe it: standardID, accessURL and so on.
    inputs
        Its parameters.
    """

    name: str
    description: str | None
    params: tuple[tuple[str, str], ...]
    inputs: tuple[Input, ...]


@dataclass(frozen=True)
class Frame:
    """What a document says of a result besides its rows.

    Parameters
    ----------
    info
        Names and values that describe the result.
    services
        What can be done with the rows.
    folder
        For temporary files; by default the system's.
    """

    info: tuple[tuple[str, str], ...] = ()
    services: tuple[Service, ...] = ()
    folder: Path | None = None


BARE = Frame()

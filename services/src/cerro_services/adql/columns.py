"""What is known of the columns of a result: name, type, unit, UCD, description."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cerro_services.release import Column

INTEGERS = ("byte", "short", "int", "long")
NUMBERS = (*INTEGERS, "float", "double")
STRINGS = ("char", "unicodeChar")

_FELIS_STRINGS = {"char": "char", "string": "char", "text": "char", "unicode": "unicodeChar"}


@dataclass(frozen=True)
class ResultColumn:
    """One column of a result.

    Parameters
    ----------
    name
        As the query or the model names it.
    datatype
        VOTable datatype: boolean, unsignedByte, short, int, long, float, double, char or
        unicodeChar; None where only the engine knows.
    arraysize
        VOTable arraysize; None for a scalar.
    unit, ucd, utype, xtype, description
        As VOTable has them; None where not known.
    origin
        Table, with its schema, and column whose values these are, unchanged; None of an expression.
        It survives aliases, subqueries and WITH, so that a DataLink service of a table's column
        still fits a result's.
    """

    name: str
    datatype: str | None = None
    arraysize: str | None = None
    unit: str | None = None
    ucd: str | None = None
    utype: str | None = None
    xtype: str | None = None
    description: str | None = None
    origin: tuple[str, str] | None = None

    def named(self, name: str) -> ResultColumn:
        """Give the same column under another name."""
        return replace(self, name=name)

    def computed(self, name: str) -> ResultColumn:
        """Give a column of the same kind whose values are worked out of this one's."""
        return replace(self, name=name, origin=None)

    @property
    def is_integer(self) -> bool:
        """Whether it is a whole number."""
        return self.datatype in {"unsignedByte", *INTEGERS} and self.arraysize is None

    @property
    def is_geometry(self) -> bool:
        """Whether it is a point, circle or polygon (DALI §3.3)."""
        return self.xtype in {"point", "circle", "polygon"}


@lru_cache(16384)
def from_model(column: Column, table: str | None = None) -> ResultColumn:
    """Describe a column of the data model as a column of a result.

    Parameters
    ----------
    column
        The column of a release.
    table
        Its table, with the schema.
    """
    datatype, arraysize, xtype = column.datatype, column.arraysize, column.xtype
    if datatype == "timestamp":
        datatype, arraysize, xtype = "char", arraysize or "*", xtype or "timestamp"
    elif datatype in _FELIS_STRINGS:
        # A single character needs no arraysize (VOTable §2.2).
        arraysize = arraysize or "*"
        arraysize = None if arraysize == "1" else arraysize
        datatype = _FELIS_STRINGS[datatype]
    elif datatype == "binary":
        datatype, arraysize = "unsignedByte", arraysize or "*"
    elif datatype == "byte":
        datatype = "unsignedByte"
    return ResultColumn(
        column.name,
        datatype,
        None if arraysize == "1" and datatype not in STRINGS else arraysize,
        column.unit,
        column.ucd,
        column.utype,
        xtype,
        column.description,
        None if table is None else (table, column.name),
    )


def combined(operator: str, left: ResultColumn, right: ResultColumn) -> ResultColumn:
    """Describe the result of an arithmetic operator.

    Parameters
    ----------
    operator
        One of ``+ - * / %``. Whole numbers are added and multiplied in 64 bits.
    left, right
        The operands.
    """
    if left.is_integer and right.is_integer:
        if operator in "+-*":
            return ResultColumn("", "long")
        datatype: str | None = max(
            (left.datatype or "int", right.datatype or "int", "int"), key=_width
        )
    elif {left.datatype, right.datatype} <= {"float", "byte", "short"}:
        datatype = "float"
    else:
        datatype = "double"
    return ResultColumn("", datatype)


def _width(datatype: str) -> int:
    return ("unsignedByte", *NUMBERS).index(datatype)

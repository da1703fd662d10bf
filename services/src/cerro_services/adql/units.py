"""IN_UNIT: a value in another unit (ADQL 2.1 §4.7)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from cerro_services.adql.columns import ResultColumn
from cerro_services.adql.errors import AdqlError
from cerro_services.adql.values import Value, number

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 64
_STEEP = re.compile(r"\d{4}|\)\s*(\*\*|\^)")
"""Numbers of four digits, and powers of what stands in parentheses: astropy works powers of ten out
as whole numbers, so that a few characters, 10**99999999999, would keep it busy for ever."""


def in_unit(value: Value, unit: exp.Expr, span: tuple[int, int] | None) -> Value:
    """Convert a value to a unit.

    Parameters
    ----------
    value
        The value; its unit must be known.
    unit
        The unit, a string in VOUnits.
    span
        Where the call stands in the query.

    Raises
    ------
    AdqlError
        A unit is not known, or the two are not of one kind.
    """
    from astropy import units

    if not (isinstance(unit, exp.Literal) and unit.is_string):
        raise AdqlError("IN_UNIT needs a unit in quotes, such as 'deg'.", span)
    if not value.column.unit:
        raise AdqlError("The unit of the value is not known, so it cannot be converted.", span)
    if len(unit.this) > _LONGEST or _STEEP.search(unit.this):
        raise AdqlError(f"{unit.this[:_LONGEST]!r} is not a simple unit, such as 'km/s'.", span)
    parse: Callable[[str], units.UnitBase] = lambda text: units.Unit(text, format="vounit")  # noqa: E731
    try:
        factor = float(parse(value.column.unit).to(parse(unit.this)))
    except (ValueError, TypeError, ArithmeticError, units.UnitConversionError):
        raise AdqlError(f"{value.column.unit} cannot be given in {unit.this!r}.", span) from None
    column = ResultColumn(value.column.name, "double", unit=unit.this, ucd=value.column.ucd)
    return Value(f"({value.sql} * {number(factor)})", column)

"""Units: of expressions, as far as they can be known, and IN_UNIT (ADQL 2.1 §4.7)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlglot import exp

from cerro_services.adql.columns import ResultColumn
from cerro_services.adql.errors import AdqlError
from cerro_services.adql.values import Value, number

if TYPE_CHECKING:
    from astropy.units import UnitBase

_LONGEST = 64
_STEEP = re.compile(r"\d{4}|\)\s*(\*\*|\^)")
"""Numbers of four digits, and powers of what stands in parentheses: astropy works powers of ten out
as whole numbers, so that a few characters, 10**99999999999, would keep it busy for ever."""

_HIGHEST = 8
_FAILURES = (ValueError, TypeError, ArithmeticError, AttributeError)
"""What astropy raises for text that is no unit, and for units of two kinds."""


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
    if not (isinstance(unit, exp.Literal) and unit.is_string):
        raise AdqlError("IN_UNIT needs a unit in quotes, such as 'deg'.", span)
    if not value.column.unit:
        raise AdqlError("The unit of the value is not known, so it cannot be converted.", span)
    if not _simple(unit.this):
        raise AdqlError(f"{unit.this[:_LONGEST]!r} is not a simple unit, such as 'km/s'.", span)
    factor = _factor(value.column.unit, unit.this)
    if factor is None:
        raise AdqlError(f"{value.column.unit} cannot be given in {unit.this!r}.", span)
    column = ResultColumn(value.column.name, "double", unit=unit.this, ucd=value.column.ucd)
    constant = None if value.constant is None else value.constant * factor
    return Value(f"({value.sql} * {number(factor)})", column, constant)


def unit_of(operator: str, left: Value, right: Value) -> str | None:
    """Give the unit of a sum, difference, product or quotient; None if it is not known.

    A number without a unit is a number: twice a flux is a flux.
    """
    a, b = left.column.unit, right.column.unit
    if operator in "+-":
        if a == b:
            return a
        # A constant is in the unit of what it is added to.
        return (
            a
            if right.constant is not None and not b
            else b
            if left.constant is not None and not a
            else None
        )
    if not b:
        return a
    if not a:
        return b if operator == "*" else raised(b, -1)
    return _product(a, b, 1 if operator == "*" else -1)


def raised(unit: str | None, power: float | None) -> str | None:
    """Give the unit of a power."""
    if not unit or power is None or abs(power) > _HIGHEST:
        return None
    return unit if power == 1 else _power(unit, float(power))


def _simple(text: str) -> bool:
    return len(text) <= _LONGEST and not _STEEP.search(text)


def _parsed(text: str) -> UnitBase:
    from astropy import units

    if not _simple(text):
        raise ValueError(text)
    return units.Unit(text, format="vounit")


@lru_cache(4096)
def _factor(source: str, target: str) -> float | None:
    try:
        return float(_parsed(source).to(_parsed(target)))
    except _FAILURES:
        return None


@lru_cache(4096)
def _product(a: str, b: str, sign: int) -> str | None:
    try:
        return _written(_parsed(a) * _parsed(b) ** sign)
    except _FAILURES:
        return None


@lru_cache(4096)
def _power(unit: str, power: float) -> str | None:
    try:
        return _written(_parsed(unit) ** power)
    except _FAILURES:
        return None


def _written(unit: UnitBase) -> str | None:
    text = str(unit.to_string("vounit"))
    return text if text and _simple(text) else None

"""Numbers: of what width they are worked with, what constants come to, what is compared."""

from __future__ import annotations

import math

from sqlglot import exp

from cerro_services.adql.columns import NUMBERS, STRINGS, ResultColumn
from cerro_services.adql.errors import AdqlError
from cerro_services.adql.grammar import span_of
from cerro_services.adql.values import Value, literal, number, quoted


def written(node: exp.Literal) -> Value:
    """Give a number or text as it is written in a query."""
    if node.is_string:
        return Value(literal(node.this), ResultColumn("text", "char", "*"))
    text = node.this
    if text.isdigit():
        return integer(int(text))
    return Value(number(float(text)), ResultColumn("number", "double"), float(text))


def integer(value: int) -> Value:
    """Give a whole number; beyond 64 bits it is a double."""
    if value >= 1 << 63:
        return Value(number(float(value)), ResultColumn("number", "double"), float(value))
    datatype = "int" if value < 1 << 31 else "long"
    return Value(str(value), ResultColumn("number", datatype), value)


def determined(found: Value, group: frozenset[str]) -> bool:
    """Whether a column has one value in each group, because its table's key is grouped by."""
    if found.origin is None:
        return False
    scan, _ = found.origin
    key = scan.table.model.key
    return bool(key) and all(f"t{scan.number}.{quoted(name)}" in group for name in key)


def check_comparable(node: exp.Expr, left: Value, right: Value) -> None:
    """Refuse to compare a column of text with a number; a constant text may be a number."""
    for a, b, text in ((left, right, node.this), (right, left, node.expression)):
        if (
            a.column.datatype in STRINGS
            and a.column.xtype is None
            and b.column.datatype in NUMBERS
            and b.column.arraysize is None
            and not isinstance(text.unnest(), exp.Literal)
        ):
            raise AdqlError(
                f"{a.column.name or 'This'} is a text, which is not compared with a number. "
                "Write the number in single quotes, or CAST one of them.",
                span_of(node),
            )


def wide(value: Value) -> str:
    """Give a whole number in 64 bits, so that 32 of them do not overflow."""
    return value.sql if value.column.datatype == "long" else f"CAST({value.sql} AS BIGINT)"


def double(value: Value, result: ResultColumn) -> str:
    """Give a number of 32 bits in 64, where the result has 64: DuckDB would give one of 32."""
    if value.column.datatype == "float" and result.datatype == "double":
        return f"CAST({value.sql} AS DOUBLE)"
    return value.sql


def fold(operator: str, left: Value, right: Value) -> float | None:
    """Work a sum, difference, product or quotient of constants out; None if it is none."""
    a, b = left.constant, right.constant
    if a is None or b is None:
        return None
    try:
        if operator == "/":
            whole = left.column.is_integer and right.column.is_integer
            result = int(a / b) if whole else a / b
        else:
            result = {"+": a + b, "-": a - b, "*": a * b}[operator]
        return result if math.isfinite(result) else None
    except (OverflowError, ZeroDivisionError):
        # What lies beyond a double is the engine's to refuse.
        return None

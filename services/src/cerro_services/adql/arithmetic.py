"""Numbers: of what width they are worked with, what constants come to, what is compared."""

from __future__ import annotations

import math
import re

from sqlglot import exp

from cerro_services.adql.columns import NUMBERS, STRINGS, ResultColumn
from cerro_services.adql.errors import AdqlError
from cerro_services.adql.grammar import span_of
from cerro_services.adql.values import Value, literal, number, quoted

_TIME = re.compile(
    r"\d{4}-\d\d?-\d\d?([T ]\d\d?:\d\d(:\d\d(\.\d*)?)?)?\s*(Z|[+-]\d\d(:?\d\d)?)?\Z", re.IGNORECASE
)


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


def comparable(nodes: list[exp.Expr], values: list[Value]) -> list[str]:
    """Give the SQL of values that are compared with the first of them.

    Times are compared as times, in whatever form a table or a text has them.

    Parameters
    ----------
    nodes, values
        What is compared, as it is written and compiled.

    Raises
    ------
    AdqlError
        A value is of another kind than the first: a text, a number, a geometry. A constant text may
        be a number or a time.
    """
    first = values[0]
    for node, value in zip(nodes[1:], values[1:], strict=True):
        _check_kinds(nodes[0], first, node, value)
    if not any(value.column.xtype == "timestamp" for value in values):
        return [value.sql for value in values]
    return [_moment(node, value) for node, value in zip(nodes, values, strict=True)]


def _moment(node: exp.Expr, value: Value) -> str:
    text = node.unnest()
    if isinstance(text, exp.Literal):
        if not _TIME.match(text.name.strip()):
            raise AdqlError(
                f"{text.name[:40]!r} is no time. Write '2026-01-31T00:00:00'.",
                span_of(node) or span_of(node.parent or node),
            )
        return f"CAST({value.sql} AS TIMESTAMP)"
    # Not a time, in a text that a table holds, is NULL.
    return value.sql if value.column.datatype is None else f"TRY_CAST({value.sql} AS TIMESTAMP)"


_MIXED: tuple[set[str | None], ...] = ({"number", "boolean"}, {"text", "timestamp"})
"""Kinds that are compared with each other all the same."""


def _check_kinds(a_node: exp.Expr, a: Value, b_node: exp.Expr, b: Value) -> None:
    kinds = {_kind(a_node, a), _kind(b_node, b)} - {None}
    if len(kinds) < 2 or kinds in _MIXED:
        return
    if kinds == {"text", "number"}:
        name = (a if _kind(a_node, a) == "text" else b).column.name or "This"
        raise AdqlError(
            f"{name} is a text, which is not compared with a number. "
            "Write the number in single quotes, or CAST one of them.",
            span_of(b_node.parent or b_node),
        )
    one, other = sorted(str(kind) for kind in kinds)
    raise AdqlError(
        f"A {one} is not compared with a {other}. CAST one of them.",
        span_of(b_node.parent or b_node),
    )


def _kind(node: exp.Expr, value: Value) -> str | None:
    """Give what a value is compared as; None where that is not known, or text may be anything."""
    column = value.column
    if isinstance(node.unnest(), exp.Literal) and column.datatype in STRINGS:
        return None
    if column.xtype == "timestamp":
        return "timestamp"
    if column.datatype in STRINGS:
        return "text"
    if value.shape is not None or column.is_geometry:
        return "geometry"
    if column.arraysize is not None:
        return "array"
    if column.datatype in {*NUMBERS, "unsignedByte"}:
        return "number"
    return "boolean" if column.datatype == "boolean" else None


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

"""CAST (ADQL 2.1 §4.6.1) in DuckDB's SQL."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from cerro_services.adql.columns import STRINGS, ResultColumn
from cerro_services.adql.constructors import listed, region, shape_of, shaped
from cerro_services.adql.errors import AdqlError
from cerro_services.adql.regions import parse_region
from cerro_services.adql.shapes import Circle, Polygon
from cerro_services.adql.values import Sketch, Value
from cerro_services.adql.words import GEOMETRIES

Span = tuple[int, int] | None

_CASTS = {
    "SMALLINT": ("SMALLINT", "short", None),
    "INT": ("INTEGER", "int", None),
    "BIGINT": ("BIGINT", "long", None),
    "FLOAT": ("FLOAT", "float", None),
    "DOUBLE": ("DOUBLE", "double", None),
    "CHAR": ("VARCHAR", "char", "*"),
    "VARCHAR": ("VARCHAR", "char", "*"),
    "TIMESTAMP": ("TIMESTAMP", "char", "*"),
    "BOOLEAN": ("BOOLEAN", "boolean", None),
}
_SHAPES = {
    "POINT": ("POSITION", Circle),
    "CIRCLE": ("CIRCLE", Circle),
    "POLYGON": ("POLYGON", Polygon),
}


def cast(node: exp.Cast, inner: Value, span: Span) -> Value:
    """Compile a CAST.

    Parameters
    ----------
    node
        The call.
    inner
        What is cast.
    span
        Where it stands in the query.

    Raises
    ------
    AdqlError
        The value cannot be of that type.
    """
    target = node.args["to"]
    kind = str(target.args.get("kind") or "").upper()
    if kind in GEOMETRIES:
        return _shape(kind, node.this, inner, span)
    name, datatype, arraysize = _CASTS[target.this.value]
    if inner.column.is_geometry or inner.shape is not None:
        return _written(inner, name, span)
    known = inner.column
    column = replace(
        known, datatype=datatype, arraysize=arraysize, xtype=None, origin=None, utype=None
    )
    sql = f"CAST({inner.sql} AS {name})"
    if name == "TIMESTAMP":
        column = replace(column, xtype="timestamp", unit=None)
    elif datatype in {"short", "int", "long"} and known.datatype in {"float", "double"}:
        # SQL-92 leaves rounding open; peers truncate nothing and round half away from zero.
        sql = f"CAST(round(CAST({inner.sql} AS DOUBLE)) AS {name})"
    elif name == "VARCHAR" and known.xtype == "timestamp":
        sql = f"replace({sql}, ' ', 'T')"
    if target.expressions and name == "VARCHAR":
        length = int(target.expressions[0].name)
        return Value(f"left({sql}, {length})", replace(column, arraysize=f"{length}*"))
    return Value(sql, column)


def _shape(kind: str, node: exp.Expr, inner: Value, span: Span) -> Value:
    word, wanted = _SHAPES[kind]
    text = node.unnest()
    if isinstance(text, exp.Literal) and text.is_string:
        numbers = text.name.strip()
        written = numbers if numbers[:1].isalpha() else f"{word} {numbers.replace(',', ' ')}"
        try:
            part = parse_region(written)
        except AdqlError as error:
            raise AdqlError(error.message, span) from None
        if not isinstance(part, wanted) or (
            isinstance(part, Circle) and (part.radius == 0) != (kind == "POINT")
        ):
            raise AdqlError(f"{numbers[:60]!r} is no {kind}.", span)
        return region(part)
    if inner.column.datatype in STRINGS and inner.shape is None:
        sql = f"CAST(regexp_split_to_array(trim({inner.sql}), '[\\s,]+') AS DOUBLE[])"
        made = shaped(listed(sql, kind.lower()))
        return replace(made, sql=sql)
    if isinstance(node, exp.Null):
        made = shaped(listed("CAST(NULL AS DOUBLE[])", kind.lower()))
        return replace(made, sql="CAST(NULL AS DOUBLE[])")
    shape_of(inner, span)
    if inner.column.xtype != kind.lower():
        raise AdqlError(f"A {inner.column.xtype} is not cast to a {kind}.", span)
    return inner


def _written(inner: Value, name: str, span: Span) -> Value:
    """Write a geometry as DALI does: its numbers, with blanks between them."""
    if name != "VARCHAR":
        raise AdqlError("A geometry is cast to VARCHAR only.", span)
    column = ResultColumn(inner.column.name, "char", "*")
    if isinstance(inner.shape, Sketch) and inner.shape.kind == "r":
        return Value(inner.sql, column)
    if inner.column.datatype in STRINGS:
        return Value(inner.sql, column)
    return Value(f"array_to_string({inner.sql}, ' ')", column)

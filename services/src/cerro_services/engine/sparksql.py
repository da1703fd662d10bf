"""DuckDB's SQL, as `cerro_services.adql` writes it, in Spark's.

sqlglot translates what has another name or form. What is left are differences of meaning: Spark in
ANSI mode refuses a division by zero that DuckDB answers with infinity, rounds to whole numbers
into integers, reads a backslash in LIKE, and fails where an array has no such element.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.generators.spark import SparkGenerator

from cerro_services.adql.kernels import KERNELS
from cerro_services.engine.base import QueryRefusedError

_LONGEST = 16_000_000
"""Characters of SQL that a query may become: some operators write an operand twice."""
_WHOLE = "4503599627370496"
"""2^52: doubles beyond are whole numbers, and may not fit into an integer."""


def read(sql: str) -> tuple[exp.Expr, frozenset[str]]:
    """Read a query, and make sure that Spark has all its functions.

    Parameters
    ----------
    sql
        One SELECT in DuckDB's dialect.

    Returns
    -------
    tuple of sqlglot.exp.Expr and frozenset of str
        Its tree, for `written`, and the kernels of `cerro_services.adql.kernels` that it calls.

    Raises
    ------
    QueryRefusedError
        The query has something that Spark has no counterpart of.
    """
    try:
        tree = parse_one(sql, read="duckdb")
    except RecursionError:
        raise QueryRefusedError(_DEEP) from None
    except SqlglotError as error:
        raise QueryRefusedError(
            f"The query cannot be told to Spark: {str(error).splitlines()[0]}"
        ) from error
    for mapped in list(tree.find_all(exp.Transform)):
        _count(mapped)
    offered = frozenset(kernel.name for kernel in KERNELS)
    called = {call.name.lower() for call in tree.find_all(exp.Anonymous)} - _OWN.keys()
    for name in sorted(called - offered):
        raise QueryRefusedError(
            f"{name} is not offered by Spark, the engine that this service runs on."
        )
    for made in list(tree.find_all(exp.Explode)):
        _lift(made)
    return tree, frozenset(called)


def written(tree: exp.Expr) -> str:
    """Write a query in Spark's dialect.

    Parameters
    ----------
    tree
        The query.

    Raises
    ------
    QueryRefusedError
        It is too long or nested too deeply.
    """
    try:
        return _Generator(dialect="spark").generate(tree)
    except RecursionError:
        raise QueryRefusedError(_DEEP) from None


def _lift(made: exp.Explode) -> None:
    """Let the elements of an array become rows last of all: Spark has no rows inside of a value.

    What is computed of each row is computed of each element of the array instead.
    """
    whole: exp.Expr = made
    while isinstance(whole.parent, exp.Binary | exp.Unary | exp.Paren):
        whole = whole.parent
    if whole is made:
        return
    array, element = made.this.copy(), exp.to_identifier("element")
    made.replace(exp.column(element.copy()))
    function = exp.Lambda(this=whole.copy(), expressions=[element])
    whole.replace(exp.Explode(this=exp.Transform(this=array, expression=function)))


def _count(mapped: exp.Transform) -> None:
    """Count each place of a histogram by itself: Spark has no aggregate that maps to counts."""
    calls = mapped.expression.find_all(exp.Anonymous)
    places = [call for call in calls if call.name.lower() == "histogram"]
    series = mapped.this
    if not places or not isinstance(series, exp.GenerateSeries):
        return
    (place,) = places[0].expressions
    counts = [
        exp.cast(exp.CountIf(this=place.copy().eq(number)), "int")
        for number in range(int(series.args["start"].name), int(series.args["end"].name))
    ]
    mapped.replace(exp.Array(expressions=counts))


_DEEP = "The query is nested too deeply for Spark. Write it with fewer parentheses."

Transform = Callable[[Any, Any], str]


def _template(text: str, *names: str) -> Transform:
    """Make a transform that writes the operands of a node into a text."""

    def write(generator: Any, node: exp.Expr) -> str:
        sql = text.format(*(generator.sql(node, name) for name in names or ("this",)))
        if len(sql) > _LONGEST:
            raise QueryRefusedError("The query is too long once it is written out for Spark.")
        return sql

    return write


def _division(generator: Any, node: exp.Div) -> str:
    divisor = node.expression.unnest()
    if isinstance(divisor, exp.Literal) and not divisor.is_string and float(divisor.this) != 0:
        return str(generator.binary(node, "/"))
    # As IEEE 754 has it: infinite, or not a number where both are nought.
    return _template(
        "CASE WHEN {1} = 0 THEN {0} * DOUBLE('Infinity') ELSE {0} / {1} END", "this", "expression"
    )(generator, node)


def _element(generator: Any, node: exp.Bracket) -> str:
    (index,) = node.expressions
    return f"GET({generator.sql(node, 'this')}, {generator.sql(index)})"


def _called(generator: Any, node: exp.Anonymous) -> str:
    own = _OWN.get(node.name.lower())
    if own is None:
        return str(generator.anonymous_sql(node))
    return own.format(*(generator.sql(argument) for argument in node.expressions))


def _cast(generator: Any, node: exp.Cast) -> str:
    inner = node.this
    if node.to.is_type("bigint") and isinstance(inner, exp.Floor):
        # Here Spark's own whole numbers are what is wanted.
        return f"FLOOR({generator.sql(inner, 'this')})"
    return str(generator.cast_sql(node))


def _logarithm(generator: Any, node: exp.Log) -> str:
    if node.expression is not None and node.this.sql() == "10":
        return f"LOG10({generator.sql(node, 'expression')})"
    return str(generator.function_fallback_sql(node))


# Not a number is greater than infinity (Spark SQL reference, NaN semantics).
_OWN = {
    "isfinite": "ABS({0}) < DOUBLE('Infinity')",
    "list_has_all": "SIZE(ARRAY_EXCEPT({1}, {0})) = 0",
    "list_slice": "SLICE({0}, {1}, {2} - {1} + 1)",
}
_FLOORED = f"CASE WHEN ABS({{0}}) < {_WHOLE} THEN DOUBLE(%s({{0}})) ELSE {{0}} END"
# No query holds a NUL character, so nothing in the pattern is taken for an escape.
_LIKE = "{{0}} {} {{1}} ESCAPE '\\0'"


class _Generator(SparkGenerator):
    """Writes Spark's dialect with the meaning that DuckDB gives to what it reads."""

    TRANSFORMS = {  # noqa: RUF012 - as sqlglot has it
        **SparkGenerator.TRANSFORMS,
        exp.Anonymous: _called,
        exp.Bracket: _element,
        exp.Cast: _cast,
        exp.Ceil: _template(_FLOORED % "CEIL"),
        exp.Div: _division,
        exp.Floor: _template(_FLOORED % "FLOOR"),
        exp.ILike: _template(_LIKE.format("ILIKE"), "this", "expression"),
        exp.IntDiv: _template("{0} DIV NULLIF({1}, 0)", "this", "expression"),
        exp.Like: _template(_LIKE.format("LIKE"), "this", "expression"),
        exp.Log: _logarithm,
        exp.RegexpExtractAll: _template("REGEXP_EXTRACT_ALL({0}, {1}, 0)", "this", "expression"),
        exp.Mod: _template("{0} % NULLIF({1}, 0)", "this", "expression"),
        exp.Trunc: _template(f"CASE WHEN ABS({{0}}) < {_WHOLE} THEN BIGINT({{0}}) ELSE {{0}} END"),
    }

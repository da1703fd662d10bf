"""What sqlglot reads but ADQL has not: checks of tokens, words, nodes, clauses and conditions.

Every node that is not listed here is refused, so whatever sqlglot learns to read in its next
release stays out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from cerro_services.adql.checkcall import check_call
from cerro_services.adql.errors import AdqlError
from cerro_services.adql.functions import NAMES
from cerro_services.adql.words import GEOMETRIES

if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGEST = 2**63 - 1


_CASTS = frozenset(
    {
        exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT, exp.DType.FLOAT, exp.DType.DOUBLE,
        exp.DType.CHAR, exp.DType.VARCHAR, exp.DType.TIMESTAMP, exp.DType.BOOLEAN,
    }
)  # fmt: skip
_TEXTS = frozenset({exp.DType.CHAR, exp.DType.VARCHAR})
_BINARY = {"this", "expression"}
_SETOP = {"this", "expression", "distinct", "with_", "order", "offset"}
_PREDICATES = (
    exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between, exp.In, exp.Like, exp.ILike,
    exp.Is, exp.Exists,
)  # fmt: skip
_CONNECTIVES = (exp.And, exp.Or, exp.Not)

_NODES: dict[type[exp.Expr], set[str]] = {
    exp.Select: {
        "with_", "expressions", "distinct", "limit", "from_", "joins", "where", "group", "having",
        "order", "offset",
    },
    exp.Union: _SETOP,
    exp.Intersect: _SETOP,
    exp.Except: _SETOP,
    exp.Subquery: {"this", "alias", "joins", "order", "offset", "with_"},
    exp.With: {"expressions"},
    exp.CTE: {"this", "alias"},
    exp.TableAlias: {"this", "columns"},
    exp.From: {"this"},
    exp.Join: {"this", "on", "using", "method", "side", "kind"},
    exp.Where: {"this"},
    exp.Having: {"this"},
    exp.Group: {"expressions"},
    exp.Order: {"expressions"},
    exp.Ordered: {"this", "desc", "nulls_first"},
    exp.Limit: {"expression"},
    exp.Offset: {"expression"},
    exp.Distinct: {"expressions"},
    exp.Alias: {"this", "alias"},
    exp.Column: {"this", "table", "db", "catalog"},
    exp.Table: {"this", "db", "catalog", "alias", "joins"},
    exp.Identifier: {"this", "quoted"},
    exp.Star: set(),
    exp.Literal: {"this", "is_string"},
    exp.HexString: {"this"},
    exp.Null: set(),
    exp.Boolean: {"this"},
    exp.Paren: {"this"},
    exp.Neg: {"this"},
    exp.BitwiseNot: {"this"},
    exp.Not: {"this"},
    exp.Exists: {"this"},
    exp.Between: {"this", "low", "high"},
    exp.In: {"this", "expressions", "query"},
    exp.Anonymous: {"this", "expressions"},
    exp.Concat: {"expressions", "safe", "coalesce"},
    exp.Cast: {"this", "to"},
    exp.DataType: {"this", "expressions", "nested", "kind"},
    exp.DataTypeParam: {"this"},
    **dict.fromkeys(
        (
            exp.Add, exp.Sub, exp.Mul, exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor,
            exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.And, exp.Or,
        ),
        _BINARY,
    ),
    **{key: {*_BINARY, "negate"} for key in (exp.Like, exp.ILike, exp.Is)},
    exp.Div: {*_BINARY, "typed", "safe"},
    exp.DPipe: {*_BINARY, "safe"},
}  # fmt: skip

_CLAUSES = {
    "field": "IN without parentheses",
    "limit": "LIMIT (use TOP)",
    "laterals": "LATERAL",
    "windows": "a window",
}


def check_tree(tree: exp.Expr, stream: list[Token]) -> None:
    """Refuse nodes and clauses that ADQL has not, and conditions that are none.

    Parameters
    ----------
    tree
        What sqlglot made of the tokens.
    stream
        The tokens.

    Raises
    ------
    AdqlError
        At the first node at fault.
    """
    if not isinstance(tree, exp.Query):
        raise AdqlError("A query begins with SELECT or WITH.", (stream[0].start, stream[0].end))
    strings = {token.start for token in stream if token.token_type == TokenType.STRING}
    for node in tree.walk():
        if isinstance(node, exp.Identifier) and node.meta.get("start") in strings:
            raise AdqlError("A name is written plain or in double quotes.", span_of(node))
        allowed = _NODES.get(type(node))
        if allowed is None:
            raise AdqlError(f"ADQL has no {_words(type(node).__name__)}.", span_of(node))
        for name, value in node.args.items():
            if value not in (None, False, []) and name not in allowed:
                clause = _CLAUSES.get(name, name.strip("_").replace("_", " ").upper())
                raise AdqlError(f"ADQL has no {clause} here.", span_of(node))
        _check_node(node)
        for child in _values(node):
            _check_value(child)
        for child in _conditions(node):
            _check_condition(child)


def span_of(node: exp.Expr) -> tuple[int, int] | None:
    """Give the first and last character of a node in the query, as far as it is known."""
    spans = [
        (part.meta["start"], part.meta["end"])
        for part in node.walk()
        if part._meta and "start" in part._meta
    ]
    if not spans:
        return span_of(node.parent) if node.parent is not None else None
    return min(start for start, _ in spans), max(end for _, end in spans)


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower() + " expression"


def _check_node(node: exp.Expr) -> None:
    match node:
        case exp.Select():
            if not node.args.get("from_"):
                raise AdqlError("A SELECT needs a FROM clause.", span_of(node))
            if not node.expressions:
                raise AdqlError("SELECT needs a list of columns, or *.", span_of(node))
        case exp.Limit() | exp.Offset():
            name = "TOP" if isinstance(node, exp.Limit) else "OFFSET"
            count = node.expression
            if not (isinstance(count, exp.Literal) and count.this.isdigit()):
                raise AdqlError(f"{name} needs a number of rows, such as 10.", span_of(node))
            if int(count.this) > _LARGEST:
                raise AdqlError(f"{name} is at most {_LARGEST}.", span_of(node))
        case exp.Alias() if not isinstance(node.parent, exp.Select):
            raise AdqlError("AS has no place here.", span_of(node))
        case exp.Distinct() if not isinstance(node.parent, exp.Select | exp.Anonymous):
            raise AdqlError("DISTINCT has no place here.", span_of(node))
        case exp.Order() if not isinstance(node.parent, exp.Query):
            raise AdqlError("ORDER BY has no place here.", span_of(node))
        case exp.Star() if not _star_allowed(node):
            raise AdqlError("* has no place here.", span_of(node))
        case exp.Group() if not node.expressions:
            raise AdqlError("GROUP BY needs a list of columns or values.", span_of(node))
        case exp.In() if not (node.expressions or node.args.get("query")):
            raise AdqlError("IN needs a list of values, or (SELECT …).", span_of(node))
        case exp.Anonymous():
            check_call(node, span_of(node))
        case exp.TableAlias() if node.args.get("columns") and not isinstance(node.parent, exp.CTE):
            raise AdqlError("Only WITH names columns after a name.", span_of(node))
        case exp.Concat() if not all(
            isinstance(part, exp.Literal) and part.is_string for part in node.expressions
        ):
            raise AdqlError("Texts are joined by ||.", span_of(node))
        case exp.Join():
            _check_join(node)
        case exp.Is():
            _check_is(node)
        case exp.Cast():
            _check_cast(node)


def _star_allowed(node: exp.Star) -> bool:
    parent = node.parent
    if isinstance(parent, exp.Column):
        return isinstance(parent.parent, exp.Select) and node.arg_key == "this"
    if isinstance(parent, exp.Anonymous):
        return parent.name.upper() == "COUNT" and len(parent.expressions) == 1
    return isinstance(parent, exp.Select)


def _check_join(node: exp.Join) -> None:
    natural = (node.method or "").upper()
    kind = (node.kind or "").upper()
    bound = bool(node.args.get("on") or node.args.get("using"))
    if natural not in {"", "NATURAL"} or kind not in {"", "INNER", "OUTER", "CROSS"}:
        raise AdqlError("ADQL joins are INNER, LEFT, RIGHT, FULL, NATURAL or CROSS.", span_of(node))
    explicit = bool(natural or kind or node.side or node.meta.get("explicit"))
    if kind == "OUTER" and not node.side:
        raise AdqlError("OUTER needs LEFT, RIGHT or FULL before it.", span_of(node))
    if kind == "CROSS" or natural:
        if bound:
            raise AdqlError("A NATURAL or CROSS JOIN has no ON and no USING.", span_of(node))
    elif explicit and not bound:
        raise AdqlError("A JOIN needs ON or USING; without, write a comma.", span_of(node))


def _check_is(node: exp.Is) -> None:
    if not isinstance(node.expression, exp.Null | exp.Boolean) and not _is_unknown(node.expression):
        raise AdqlError("IS is followed by [NOT] NULL, TRUE, FALSE or UNKNOWN.", span_of(node))


def _is_unknown(node: exp.Expr) -> bool:
    return (
        isinstance(node, exp.Column)
        and not node.args.get("table")
        and not node.this.args.get("quoted")
        and node.name.upper() == "UNKNOWN"
    )


def _check_cast(node: exp.Cast) -> None:
    target = node.args["to"]
    kind = str(target.args.get("kind") or "").upper()
    if target.this not in _CASTS and kind not in GEOMETRIES:
        raise AdqlError(
            "CAST knows SMALLINT, INTEGER, BIGINT, REAL, DOUBLE PRECISION, CHAR, VARCHAR, "
            "TIMESTAMP, BOOLEAN, POINT, CIRCLE and POLYGON.",
            span_of(node),
        )
    lengths = target.expressions
    if lengths and (target.this not in _TEXTS or len(lengths) > 1):
        raise AdqlError("Only CHAR and VARCHAR have a length: VARCHAR(20).", span_of(node))
    for length in lengths:
        if not (length.name.isdigit() and 0 < int(length.name) < 2**31):
            raise AdqlError(
                "The length of a string is a whole number from 1 on, below 2**31.", span_of(node)
            )


def _conditions(node: exp.Expr) -> Iterator[exp.Expr]:
    """Give the parts of a node that must be true or false."""
    if isinstance(node, exp.Where | exp.Having | exp.Not):
        yield node.this
    elif isinstance(node, exp.And | exp.Or):
        yield node.this
        yield node.expression
    elif isinstance(node, exp.Join) and node.args.get("on"):
        yield node.args["on"]


def _values(node: exp.Expr) -> Iterator[exp.Expr]:
    """Give the parts of a node that must be values."""
    if isinstance(node, (*_CONNECTIVES, exp.Where, exp.Having, exp.Join, exp.Paren)):
        return
    if isinstance(node, exp.In):
        yield node.this
        yield from node.expressions
    elif isinstance(node, exp.Select | exp.Anonymous | exp.Group | exp.Alias | exp.Ordered):
        yield from node.expressions or ([node.this] if isinstance(node.this, exp.Expr) else [])
    elif isinstance(node, exp.Binary | exp.Unary | exp.Between | exp.Cast):
        yield from (value for value in node.args.values() if isinstance(value, exp.Expr))


def _check_value(node: exp.Expr) -> None:
    inner = node.unnest()
    if isinstance(inner, _PREDICATES + _CONNECTIVES):
        raise AdqlError("A condition stands where a value is needed.", span_of(node))
    if isinstance(inner, exp.SetOperation):
        raise AdqlError("A set of rows stands where a value is needed.", span_of(node))


def _check_condition(node: exp.Expr) -> None:
    inner = node.unnest() if isinstance(node, exp.Paren) else node
    if isinstance(inner, (*_PREDICATES, *_CONNECTIVES, exp.Boolean)):
        return
    if isinstance(inner, exp.Anonymous):
        name = inner.name.upper()
        if name.startswith(("IVO_", "SCISQL_", "GAIA_")):
            return
        if name in {"CONTAINS", "INTERSECTS"}:
            raise AdqlError(f"{name}(…) is 0 or 1. Write 1 = {name}(…).", span_of(node))
        if name not in NAMES:
            # That there is no such function is what must be said, as it will be.
            return
    hint = f" Compare it: {node.sql()} = 1." if isinstance(inner, exp.Column) else ""
    raise AdqlError(f"A value stands where a condition is needed.{hint}", span_of(node))

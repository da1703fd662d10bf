"""Values and conditions of ADQL in DuckDB's SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from cerro_services.adql.arithmetic import (
    comparable,
    determined,
    double,
    fold,
    integer,
    wide,
    written,
)
from cerro_services.adql.calls import aggregate, is_number, scalar
from cerro_services.adql.casts import cast
from cerro_services.adql.columns import STRINGS, ResultColumn, combined
from cerro_services.adql.errors import AdqlError, NotSupportedError
from cerro_services.adql.functions import AGGREGATES, ALL_AGGREGATES, GEOMETRY, SCALARS
from cerro_services.adql.geometry import geometry
from cerro_services.adql.grammar import span_of
from cerro_services.adql.pruning import narrow, narrow_to
from cerro_services.adql.units import in_unit, unit_of
from cerro_services.adql.userdefined import aggregated, user_defined
from cerro_services.adql.values import Value, literal, long_list

if TYPE_CHECKING:
    from cerro_services.adql.resolver import Resolve
    from cerro_services.adql.scope import Scope, Source

Subquery = Callable[[exp.Expr, "Scope"], tuple[str, tuple[ResultColumn, ...]]]

_ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}
_BITS: dict[type[exp.Expr], str] = {
    exp.BitwiseNot: "~{}",
    exp.BitwiseAnd: "{} & {}",
    exp.BitwiseOr: "{} | {}",
    exp.BitwiseXor: "xor({}, {})",
}
_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_LONGEST = 4_000_000
"""Characters of SQL that one call may become."""
_LONG_LIST = 500
"""Members of an IN beyond which whole numbers are written as one value."""


class Expressions:
    """Compiles values and conditions.

    Parameters
    ----------
    subquery
        Compiles a query inside a condition.
    resolve
        Finds an object's position by its name, if a resolver is configured.
    """

    def __init__(self, subquery: Subquery, resolve: Resolve | None = None) -> None:
        self._subquery = subquery
        self._resolve = resolve

    def value(self, node: exp.Expr, scope: Scope) -> Value:
        """Compile a value.

        Parameters
        ----------
        node
            A value in the tree of a query.
        scope
            What names mean where it stands.

        Raises
        ------
        AdqlError
            A name that is not there, or a value of the wrong kind.
        """
        if scope.group is not None and not isinstance(node, exp.Literal):
            # A value as a whole may be what is grouped by, whatever columns it is made of.
            whole = self._grouped(node, scope)
            if whole is not None:
                return whole
        match node:
            case exp.Paren():
                inner = self.value(node.this, scope)
                return replace(inner, sql=f"({inner.sql})")
            case exp.Column():
                found = scope.column(node)
                if scope.group is not None and found.sql not in scope.group:
                    if determined(found, scope.group):
                        return replace(found, sql=f"any_value({found.sql})")
                    raise AdqlError(
                        f"{node.name} is neither in GROUP BY nor inside COUNT, MIN, MAX, AVG, SUM.",
                        span_of(node),
                    )
                return found
            case exp.Literal():
                return written(node)
            case exp.HexString():
                return integer(int(node.name, 16))
            case exp.Null():
                return Value("NULL", ResultColumn("null"))
            case exp.Boolean():
                column = ResultColumn("flag", "boolean")
                return Value("TRUE" if node.this else "FALSE", column, int(bool(node.this)))
            case exp.Neg():
                inner = self.value(node.this, scope)
                if not is_number(inner.column):
                    raise AdqlError("- needs a number.", span_of(node))
                constant = None if inner.constant is None else -inner.constant
                return Value(f"(-{inner.sql})", inner.column.computed(""), constant)
            case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
                return self._arithmetic(node, scope)
            case exp.BitwiseAnd() | exp.BitwiseOr() | exp.BitwiseXor() | exp.BitwiseNot():
                return self._bitwise(node, scope)
            case exp.DPipe():
                return self._joined(node, scope)
            case exp.Concat():
                # Texts one after the other are one text (SQL-92).
                text = "".join(part.name for part in node.expressions)
                return Value(literal(text), ResultColumn("text", "char", "*"))
            case exp.Cast():
                return cast(node, self.value(node.this, scope), span_of(node))
            case exp.Anonymous():
                return self._function(node, scope)
        raise NotSupportedError(
            "A subquery stands in FROM, after IN or after EXISTS. Join it instead.", span_of(node)
        )

    def condition(self, node: exp.Expr, scope: Scope, *, prune: Sequence[Source] = ()) -> str:
        """Compile a condition.

        Parameters
        ----------
        node
            A condition in the tree of a query.
        scope
            What names mean where it stands.
        prune
            Sources whose rows have no part in the answer unless the condition holds, so that it
            may limit what is read of them.
        """
        if node.args.get("negate"):
            positive = node.copy()
            positive.set("negate", None)
            return f"NOT ({self.condition(positive, scope)})"
        match node:
            case exp.Paren():
                return f"({self.condition(node.this, scope, prune=prune)})"
            case exp.And():
                # A long chain is a deep tree to the left; taken in a loop it needs no deep stack.
                parts: list[exp.Expr] = []
                left: exp.Expr = node
                while isinstance(left, exp.And):
                    parts.append(left.expression)
                    left = left.this
                parts.append(left)
                return " AND ".join(
                    self.condition(part, scope, prune=prune) for part in reversed(parts)
                )
            case exp.Or():
                alternatives: list[exp.Expr] = []
                left = node
                while isinstance(left, exp.Or):
                    alternatives.append(left.expression)
                    left = left.this
                alternatives.append(left)
                return (
                    "("
                    + " OR ".join(self.condition(part, scope) for part in reversed(alternatives))
                    + ")"
                )
            case exp.Not():
                return f"NOT ({self.condition(node.this, scope)})"
            case exp.Boolean():
                return "TRUE" if node.this else "FALSE"
            case exp.Is():
                known = self.value(node.this, scope)
                truth = node.expression
                word = truth.sql() if isinstance(truth, exp.Null | exp.Boolean) else "NULL"
                return f"{known.sql} IS {word}"
            case exp.Between():
                nodes = [node.args[k] for k in ("this", "low", "high")]
                subject, low, high = comparable(nodes, [self.value(n, scope) for n in nodes])
                return f"{subject} BETWEEN {low} AND {high}"
            case exp.Like() | exp.ILike():
                left_, right_ = self.value(node.this, scope), self.value(node.expression, scope)
                for side, part in ((left_, node.this), (right_, node.expression)):
                    if side.column.datatype not in {*STRINGS, None}:
                        raise AdqlError("LIKE and ILIKE compare texts.", span_of(part))
                word = "LIKE" if isinstance(node, exp.Like) else "ILIKE"
                return f"{left_.sql} {word} {right_.sql}"
            case exp.In():
                return self._in(node, scope, prune=prune)
            case exp.Exists():
                return f"EXISTS ({self._subquery(node.this, scope)[0]})"
            case exp.Anonymous():
                return f"({self.value(node, scope).sql} = 1)"
        return self._compare(node, scope, prune=prune)

    def _grouped(self, node: exp.Expr, scope: Scope) -> Value | None:
        free = scope.unaggregated()
        try:
            whole = self.value(node, free)
        except AdqlError:
            # Not a value without COUNT and the like: its parts are looked at one by one.
            return None
        return whole if scope.group is not None and whole.sql in scope.group else None

    def _compare(self, node: exp.Expr, scope: Scope, *, prune: Sequence[Source]) -> str:
        left, right = self.value(node.this, scope), self.value(node.expression, scope)
        operator = _COMPARISONS[type(node)]
        sides = comparable([node.this, node.expression], [left, right])
        for flag, other in ((left, right), (right, left)):
            if flag.truth is not None and operator in {"=", "<>"} and other.constant in (0, 1):
                if (other.constant == 0) == (operator == "="):
                    return f"NOT ({flag.truth})"
                extra = narrow(flag, prune) if prune else ""
                return f"({flag.truth}){extra}"
        extra = narrow(left, prune, operator, right) if prune else ""
        return f"{sides[0]} {operator} {sides[1]}{extra}"

    def _in(self, node: exp.In, scope: Scope, *, prune: Sequence[Source]) -> str:
        subject = self.value(node.this, scope)
        query = node.args.get("query")
        if query is not None:
            sql, columns = self._subquery(query, scope)
            if len(columns) != 1:
                raise AdqlError("A subquery after IN gives one column.", span_of(query))
            found = Value("c0", columns[0].computed(columns[0].name))
            one, member = comparable([node.this, query], [subject, found])
            if member != "c0":
                sql = f"SELECT {member} FROM ({sql})"  # noqa: S608 - what is compiled here
            return f"{one} IN ({sql})"
        members = [self.value(member, scope) for member in node.expressions]
        narrow_to(subject, members, prune)
        one, *others = comparable([node.this, *node.expressions], [subject, *members])
        listed = ", ".join(others)
        if len(members) > _LONG_LIST and subject.column.is_integer and _are_long(members):
            listed = long_list(member.constant for member in members)
        return f"{one} IN ({listed})"

    def _arithmetic(self, node: exp.Expr, scope: Scope) -> Value:
        operator = _ARITHMETIC[type(node)]
        left, right = self.value(node.this, scope), self.value(node.expression, scope)
        for side, operand in ((left, node.this), (right, node.expression)):
            if not is_number(side.column):
                raise AdqlError(f"{operator} needs numbers.", span_of(operand))
        column = combined(operator, left.column, right.column)
        column = replace(column, unit=unit_of(operator, left, right))
        constant = fold(operator, left, right)
        if operator == "/" and column.is_integer:
            # SQL-92: the quotient of integers is an integer. DuckDB's / gives a double.
            return Value(f"({left.sql} // {right.sql})", column, constant)
        if column.is_integer:
            return Value(f"({wide(left)} {operator} {wide(right)})", column, constant)
        return Value(
            f"({double(left, column)} {operator} {double(right, column)})", column, constant
        )

    def _bitwise(self, node: exp.Expr, scope: Scope) -> Value:
        parts = [node.this] if isinstance(node, exp.BitwiseNot) else [node.this, node.expression]
        values = [self.value(part, scope) for part in parts]
        for value, part in zip(values, parts, strict=True):
            if not value.column.is_integer and value.column.datatype is not None:
                raise AdqlError("A bitwise operator needs whole numbers.", span_of(part))
        sql = _BITS[type(node)].format(*map(wide, values))
        return Value(f"({sql})", ResultColumn("", "long"))

    def _joined(self, node: exp.Expr, scope: Scope) -> Value:
        left, right = self.value(node.this, scope), self.value(node.expression, scope)
        for value, part in ((left, node.this), (right, node.expression)):
            if value.shape is not None or (
                value.column.arraysize is not None and value.column.datatype not in STRINGS
            ):
                raise AdqlError("|| joins texts.", span_of(part))
        return Value(f"({left.sql} || {right.sql})", ResultColumn("concat", "char", "*"))

    def _function(self, node: exp.Anonymous, scope: Scope) -> Value:
        name, span, nodes = node.name.upper(), span_of(node), node.expressions
        if name in ALL_AGGREGATES:
            return self._aggregate(node, scope)
        if name in GEOMETRY:
            found = geometry(node, lambda arg: self.value(arg, scope), span)
            found = found.described(found.column.named(found.column.name or name.lower()))
        else:
            args = [self.value(arg, scope) for arg in nodes]
            if name == "IN_UNIT":
                return in_unit(args[0], nodes[1], span)
            if name in SCALARS:
                found = scalar(name, args, span)
            else:
                found = user_defined(name, nodes, args, span, self._resolve)
        _check_length(name, found.sql + (found.truth or ""), span)
        return found

    def _aggregate(self, node: exp.Anonymous, scope: Scope) -> Value:
        name, arg = node.name.upper(), node.expressions[0]
        if not scope.aggregates:
            raise AdqlError(f"{name} stands in SELECT, HAVING or ORDER BY only.", span_of(node))
        scope.aggregated = True
        inside = scope.unaggregated()
        if name not in AGGREGATES:
            args = [self.value(part, inside) for part in node.expressions]
            found = aggregated(name, args, node.expressions, span_of(node))
            _check_length(name, found.sql, span_of(node))
            return found
        if isinstance(arg, exp.Star):
            if name != "COUNT":
                raise AdqlError(f"{name} takes a value; only COUNT takes *.", span_of(node))
            return Value("count(*)", ResultColumn("count", "long", ucd="meta.number"))
        distinct = ""
        if isinstance(arg, exp.Distinct):
            if len(arg.expressions) != 1:
                raise AdqlError(f"{name} takes one value.", span_of(node))
            distinct, arg = "DISTINCT ", arg.expressions[0]
        return aggregate(name, self.value(arg, inside), distinct, span_of(node))


def _check_length(name: str, sql: str, span: tuple[int, int] | None) -> None:
    # Some functions write their argument twice: SQRT(SQRT(…)) would grow without bounds.
    if len(sql) > _LONGEST:
        raise AdqlError(f"{name} has too long or too many arguments.", span)


def _are_long(members: Sequence[Value]) -> bool:
    """Whether all are whole numbers of 64 bits."""
    return all(
        type(member.constant) is int and -(2**63) <= member.constant < 2**63 for member in members
    )

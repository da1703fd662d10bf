"""From a tree of ADQL to a query that an engine can run.

Names are resolved against the caller's catalogue and nothing else: what reaches the SQL are
columns of the model, constants, and aliases made here (``t0``, ``c0``, ``q1``, …), never a name of
the query's own.
"""

# ruff: noqa: S608 - SQL is what this module writes; every name in it is the model's or its own.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

from sqlglot import exp

from cerro_services.adql.catalogue import Catalogue, same
from cerro_services.adql.columns import ResultColumn
from cerro_services.adql.dialect import parse
from cerro_services.adql.errors import AdqlError
from cerro_services.adql.expressions import Expressions
from cerro_services.adql.extent import check_extent
from cerro_services.adql.functions import ALL_AGGREGATES
from cerro_services.adql.grammar import span_of
from cerro_services.adql.joins import From
from cerro_services.adql.pruning import spread
from cerro_services.adql.query import MARK, Query, Scan
from cerro_services.adql.resolver import Resolve
from cerro_services.adql.scope import Scope, Source
from cerro_services.adql.values import Value

_LONGEST = 16_000_000
"""Characters of SQL that a query may become."""
MAX_COLUMNS, MAX_COLUMNS_IN_ALL = 4000, 20_000
"""Columns of one SELECT, and of all in a query: SELECT *, * of SELECT *, * of … doubles them each
time, and the database plans thousands for seconds before it can be stopped."""


def compile_query(text: str, catalogue: Catalogue, *, resolve: Resolve | None = None) -> Query:
    """Check a query and translate it.

    Parameters
    ----------
    text
        ADQL 2.1.
    catalogue
        What the caller may read.
    resolve
        Finds an object's position by its name, if a resolver is configured.

    Returns
    -------
    Query
        Ready for an engine.

    Raises
    ------
    AdqlError
        The text is not ADQL, or names what is not there; the message has line and column.
    """
    if MARK in text:
        raise AdqlError("The query holds a NUL character.")
    tree = parse(text)
    check_extent(tree)
    try:
        return _Compiler(catalogue, resolve).query(tree, text)
    except AdqlError as error:
        raise error.located(text) from None
    except RecursionError:
        raise AdqlError(
            "The query is nested too deeply. Write it with fewer parentheses."
        ) from None


@dataclass(frozen=True)
class _Body:
    """A compiled query without its TOP and OFFSET."""

    sql: str
    columns: tuple[ResultColumn, ...]
    top: int | None
    offset: int

    @property
    def whole(self) -> str:
        limit = "" if self.top is None else f" LIMIT {self.top:d}"
        return self.sql + limit + (f" OFFSET {self.offset:d}" if self.offset else "")


class _Compiler:
    def __init__(self, catalogue: Catalogue, resolve: Resolve | None) -> None:
        self._catalogue = catalogue
        self._scans: list[Scan] = []
        self._aliases = count()
        self._columns = 0
        self._copied: tuple[str, ...] | None = None
        self._named: dict[str, tuple[exp.Identifier, str, tuple[ResultColumn, ...]]] = {}
        self._expressions = Expressions(self._nested, resolve)

    def query(self, tree: exp.Query, text: str) -> Query:
        ctes = self._with(tree)
        body = self._body(tree, None)
        sql = ctes + body.sql
        if len(sql) > _LONGEST:
            raise AdqlError("The query is too long once * and the functions are written out.")
        spread(self._scans)
        scans = tuple(self._scans)
        copied = self._copied if len(scans) == 1 else None
        return Query(text, sql, scans, body.columns, body.top, body.offset, copied)

    def _with(self, tree: exp.Query) -> str:
        clause = tree.args.get("with_")
        if clause is None:
            return ""
        parts = []
        for cte in clause.expressions:
            name = cte.args["alias"].this
            if any(same(name, other.name) for other, _, _ in self._named.values()):
                raise AdqlError(f"WITH names {name.name} twice.", span_of(name))
            body = self._body(cte.this, None)
            columns = _renamed(body.columns, cte.args["alias"].args.get("columns"))
            alias = f"w{next(self._aliases)}"
            self._named[alias] = (name, alias, columns)
            parts.append(f"{alias} AS ({body.whole})")
        return f"WITH {', '.join(parts)} "

    def _nested(self, node: exp.Expr, scope: Scope | None) -> tuple[str, tuple[ResultColumn, ...]]:
        body = self._body(node, scope)
        return body.whole, body.columns

    def _body(self, node: exp.Expr, parent: Scope | None) -> _Body:
        match node:
            case exp.Select():
                return self._select(node, parent)
            case exp.SetOperation():
                return self._set(node, parent)
            case exp.Subquery() if isinstance(node.this, exp.Query):
                inner = self._body(node.this, parent)
                if not (node.args.get("order") or node.args.get("offset")):
                    return inner
                order = self._order_by_name(node, inner.columns)
                return _Body(
                    f"SELECT * FROM ({inner.whole}){order}", inner.columns, None, _offset(node)
                )
        raise AdqlError("A query is needed here.", span_of(node))

    def _set(self, node: exp.SetOperation, parent: Scope | None) -> _Body:
        left, right = self._body(node.left, parent), self._body(node.right, parent)
        if len(left.columns) != len(right.columns):
            raise AdqlError(
                f"The queries of a {node.key.upper()} give {len(left.columns)} and "
                f"{len(right.columns)} columns; they must give as many.",
                span_of(node.right),
            )
        words = node.key.upper() + ("" if node.args.get("distinct") else " ALL")
        columns = tuple(_merged(a, b) for a, b in zip(left.columns, right.columns, strict=True))
        order = self._order_by_name(node, columns)
        sql = f"({left.whole}) {words} ({right.whole})"
        if order:
            sql = f"SELECT * FROM ({sql}){order}"
        return _Body(sql, columns, None, _offset(node))

    def _select(self, node: exp.Select, parent: Scope | None) -> _Body:
        scope = Scope(parent)
        sources = From(self._catalogue, self._named, self._scan, self._derived, self._expressions)
        joined = sources.compile(node, scope)
        scope.visible = joined.visible
        where = node.args.get("where")
        condition = ""
        if where is not None:
            truth = self._expressions.condition(where.this, scope, prune=joined.sources)
            condition = f" WHERE {truth}"
        group, having = node.args.get("group"), node.args.get("having")
        items = _named_items(node)
        listed = [item for item, _ in items]
        if node.args.get("order") is not None:
            listed += [key.this for key in node.args["order"].expressions]
        grouped = self._group(group, items, scope) if group is not None else None
        scope.aggregates = True
        if grouped is not None:
            scope.group = frozenset(grouped)
        elif having is not None or any(_has_aggregate(item) for item in listed):
            scope.group = frozenset()
        values = self._items(items, scope)
        order = self._order(node, values, scope)
        sql = "SELECT DISTINCT " if node.args.get("distinct") else "SELECT "
        sql += ", ".join(f"{value.sql} AS c{i}" for i, value in enumerate(values))
        sql += f" FROM {joined.sql}{condition}"
        if grouped:
            sql += f" GROUP BY {', '.join(grouped)}"
        if having is not None:
            sql += f" HAVING {self._expressions.condition(having.this, scope)}"
        rest = group or having or order or node.args.get("distinct")
        if parent is None and node.parent is None and not rest and scope.group is None:
            self._plain(joined.sources, where, values)
        limit = node.args.get("limit")
        return _Body(
            sql + order,
            tuple(value.column for value in values),
            None if limit is None else int(limit.expression.this),
            _offset(node),
        )

    def _plain(
        self, sources: Sequence[Source], where: exp.Where | None, values: Sequence[Value]
    ) -> None:
        """Note what an engine may make use of in a query of one table without aggregates."""
        lone = sources[0].scan if len(sources) == 1 else None
        if lone is None:
            return
        lone.any_rows = where is None
        by_key = where is not None and isinstance(where.this, exp.EQ | exp.In) and lone.equals
        if (lone.any_rows or by_key) and all(value.origin is not None for value in values):
            self._copied = tuple(value.origin[1] for value in values if value.origin)

    def _items(
        self, items: list[tuple[exp.Expr, exp.Identifier | None]], scope: Scope
    ) -> list[Value]:
        values: list[Value] = []
        for item, alias in items:
            if isinstance(item, exp.Star):
                values.extend(self._starred([v.value() for v in scope.visible], scope, item))
            elif isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
                values.extend(self._starred(scope.star(item), scope, item))
            else:
                value = self._expressions.value(item, scope)
                if alias is not None:
                    value = value.described(value.column.named(alias.name))
                values.append(value)
            if len(values) > MAX_COLUMNS:
                raise AdqlError(f"A SELECT gives at most {MAX_COLUMNS:,} columns.", span_of(item))
        self._columns += len(values)
        if self._columns > MAX_COLUMNS_IN_ALL:
            raise AdqlError(
                f"The SELECTs of a query give at most {MAX_COLUMNS_IN_ALL:,} columns in all."
            )
        return values

    def _starred(self, values: list[Value], scope: Scope, node: exp.Expr) -> list[Value]:
        if scope.group is not None and any(value.sql not in scope.group for value in values):
            raise AdqlError(
                "* gives columns that are not in GROUP BY. Name those that are.", span_of(node)
            )
        return values

    def _group(
        self, group: exp.Group, items: list[tuple[exp.Expr, exp.Identifier | None]], scope: Scope
    ) -> list[str]:
        sql = []
        for node in group.expressions:
            target = node
            if isinstance(node, exp.Column) and not node.args.get("table"):
                known = any(same(node.this, visible.name) for visible in scope.visible)
                aliased = [
                    item
                    for item, alias in items
                    if alias is not None and same(node.this, alias.name)
                ]
                # The name of a result may be grouped by where no column has it.
                target = aliased[0] if aliased and not known else node
            found = self._expressions.value(target, scope).sql
            # A number would be a place among the results, in the database's SQL.
            plain = node.unnest()
            is_place = isinstance(plain, exp.Literal) and not plain.is_string
            sql.append(f"({found} + 0)" if is_place else found)
        return sql

    def _order(self, node: exp.Select, values: list[Value], scope: Scope) -> str:
        order = node.args.get("order")
        if order is None:
            return ""
        keys = []
        for key in order.expressions:
            position = _position(key.this, tuple(value.column for value in values))
            if position is None and _is_constant(key.this):
                continue
            if position is None:
                sql = self._expressions.value(key.this, scope).sql
                if node.args.get("distinct") and all(sql != value.sql for value in values):
                    raise AdqlError("With DISTINCT, order by what SELECT gives.", span_of(key))
            else:
                sql = f"c{position}"
            keys.append(_directed(sql, key))
        return f" ORDER BY {', '.join(keys)}" if keys else ""

    def _order_by_name(self, node: exp.Expr, columns: tuple[ResultColumn, ...]) -> str:
        order = node.args.get("order")
        if order is None:
            return ""
        keys = []
        for key in order.expressions:
            position = _position(key.this, columns)
            if position is None:
                raise AdqlError(
                    "Order by a name or number of the columns that SELECT gives.", span_of(key)
                )
            keys.append(_directed(f"c{position}", key))
        return f" ORDER BY {', '.join(keys)}"

    def _scan(self, parts: list[exp.Identifier], node: exp.Table) -> Scan:
        table = self._catalogue.find(parts, span_of(node))
        scan = Scan(len(self._scans), table)
        self._scans.append(scan)
        return scan

    def _derived(self, node: exp.Subquery) -> tuple[str, Source]:
        body = self._body(node.this, None)
        alias = node.args.get("alias")
        if alias is None:
            raise AdqlError("A subquery in FROM needs a name: (SELECT …) AS name.", span_of(node))
        name = f"q{next(self._aliases)}"
        return f"({body.whole}) AS {name}", Source((alias.this.name,), name, body.columns)


def _renamed(
    columns: tuple[ResultColumn, ...], names: list[exp.Identifier] | None
) -> tuple[ResultColumn, ...]:
    """Give columns the names that WITH lists for them."""
    if not names:
        return columns
    if len(names) != len(columns):
        raise AdqlError(
            f"WITH names {len(names)} columns, but the query gives {len(columns)}.",
            span_of(names[0]),
        )
    return tuple(column.named(name.name) for column, name in zip(columns, names, strict=True))


def _named_items(node: exp.Select) -> list[tuple[exp.Expr, exp.Identifier | None]]:
    return [
        (item.this, item.args["alias"]) if isinstance(item, exp.Alias) else (item, None)
        for item in node.expressions
    ]


def _has_aggregate(item: exp.Expr) -> bool:
    return any(call.name.upper() in ALL_AGGREGATES for call in item.find_all(exp.Anonymous))


def _is_constant(node: exp.Expr) -> bool:
    """Whether a key of ORDER BY sorts nothing, for which the database would refuse it."""
    inner = node.unnest()
    text = isinstance(inner, exp.Literal) and inner.is_string
    return text or isinstance(inner, exp.Null | exp.Boolean)


def _position(node: exp.Expr, columns: tuple[ResultColumn, ...]) -> int | None:
    if isinstance(node, exp.Literal) and not node.is_string:
        if not node.this.isdigit() or not 1 <= int(node.this) <= len(columns):
            raise AdqlError(
                f"ORDER BY {node.this}: SELECT gives {len(columns)} columns.",
                span_of(node.parent or node),
            )
        return int(node.this) - 1
    if isinstance(node, exp.Column) and not node.args.get("table"):
        for i, column in enumerate(columns):
            if same(node.this, column.name):
                return i
    return None


def _directed(sql: str, key: exp.Ordered) -> str:
    # NULLs count as greater than all values, as in PostgreSQL, whichever way is sorted.
    return f"{sql} DESC NULLS FIRST" if key.args.get("desc") else f"{sql} ASC NULLS LAST"


def _offset(node: exp.Expr) -> int:
    offset = node.args.get("offset")
    return 0 if offset is None else int(offset.expression.this)


def _merged(a: ResultColumn, b: ResultColumn) -> ResultColumn:
    a = a if a.origin == b.origin else a.computed(a.name)
    if (a.datatype, a.arraysize) == (b.datatype, b.arraysize):
        return a
    return replace(a, datatype=None, arraysize="*" if a.datatype == "char" else None)

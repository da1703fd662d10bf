"""FROM: tables, subqueries and joins in SQL, and the columns that they make visible."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from cerro_services.adql.catalogue import Catalogue, same
from cerro_services.adql.errors import AdqlError, nearest
from cerro_services.adql.grammar import span_of
from cerro_services.adql.scope import Scope, Source, Visible, stored
from cerro_services.adql.values import Value
from cerro_services.adql.zones import enclosed

if TYPE_CHECKING:
    from cerro_services.adql.columns import ResultColumn
    from cerro_services.adql.expressions import Expressions
    from cerro_services.adql.query import Scan

Named = Mapping[str, tuple[exp.Identifier, str, "tuple[ResultColumn, ...]"]]


@dataclass(frozen=True)
class Joined:
    """What part of FROM gives.

    Parameters
    ----------
    sql
        The table expression.
    visible
        Columns that can be named without their source.
    sources
        What it reads.
    """

    sql: str
    visible: list[Visible]
    sources: tuple[Source, ...]


class From:
    """Compiles FROM.

    Parameters
    ----------
    catalogue
        What the caller may read.
    named
        Queries of WITH.
    scan
        Begins the reading of a table.
    derived
        Compiles a subquery of FROM.
    expressions
        Compiles the conditions of joins.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        named: Named,
        scan: Callable[[list[exp.Identifier], exp.Table], Scan],
        derived: Callable[[exp.Subquery], tuple[str, Source]],
        expressions: Expressions,
    ) -> None:
        self._catalogue = catalogue
        self._named = named
        self._scan = scan
        self._derived = derived
        self._expressions = expressions

    def compile(self, node: exp.Select, scope: Scope) -> Joined:
        """Compile the FROM clause of a SELECT.

        Parameters
        ----------
        node
            The SELECT.
        scope
            Its scope; takes the sources.
        """
        return self._chain(node.args["from_"].this, node.args.get("joins") or [], scope)

    def _chain(self, first: exp.Expr, joins: list[exp.Join], scope: Scope) -> Joined:
        # A comma binds less tightly than JOIN.
        parts = [self._item(first, scope)]
        for join in joins:
            if join.meta.get("explicit"):
                parts[-1] = self._join(parts[-1], join, scope)
            else:
                parts.append(self._item(join.this, scope))
        if len(parts) == 1:
            return parts[0]
        return Joined(
            " CROSS JOIN ".join(
                f"({part.sql})" if " JOIN " in part.sql else part.sql for part in parts
            ),
            [visible for part in parts for visible in part.visible],
            tuple(source for part in parts for source in part.sources),
        )

    def _item(self, node: exp.Expr, scope: Scope) -> Joined:
        joins = node.args.get("joins") or []
        if isinstance(node, exp.Subquery) and not isinstance(node.this, exp.Query):
            if node.args.get("alias"):
                raise AdqlError("Joined tables in parentheses take no name.", span_of(node))
            inner = self._item(node.this, scope)
            inner = Joined(f"({inner.sql})", inner.visible, inner.sources)
        elif isinstance(node, exp.Subquery):
            sql, source = self._derived(node)
            sql = enclosed(source.alias, sql)
            inner = Joined(sql, scope.add(source, node), (source,))
        elif isinstance(node, exp.Table):
            inner = self._table(node, scope)
        else:
            raise AdqlError("FROM takes tables, joins and (SELECT …) AS name.", span_of(node))
        for join in joins:
            inner = self._join(inner, join, scope)
        return inner

    def _table(self, node: exp.Table, scope: Scope) -> Joined:
        parts = [node.args.get(name) for name in ("catalog", "db", "this")]
        names = [part for part in parts if isinstance(part, exp.Identifier)]
        alias = node.args.get("alias")
        called = alias.this.name if alias is not None else None
        if len(names) == 1:
            for name, internal, columns in self._named.values():
                if same(names[0], name.name):
                    source = Source(
                        (called or name.name,), f"{internal}_{len(scope.sources)}", columns
                    )
                    sql = enclosed(source.alias, f"{internal} AS {source.alias}")
                    return Joined(sql, scope.add(source, node), (source,))
        scan = self._scan(names, node)
        source = stored(scan, called)
        sql = enclosed(source.alias, f"{scan.sql} AS {source.alias}")
        return Joined(sql, scope.add(source, node), (source,))

    def _join(self, left: Joined, node: exp.Join, scope: Scope) -> Joined:
        right = self._item(node.this, scope)
        side = (node.side or "").upper()
        sources = left.sources + right.sources
        if (node.kind or "").upper() == "CROSS":
            sql = f"{left.sql} CROSS JOIN {right.sql}"
            return Joined(sql, left.visible + right.visible, sources)
        # An outer join keeps the rows of one side that its condition does not hold for.
        prune = {"": sources, "LEFT": right.sources, "RIGHT": left.sources}.get(side, ())
        on = node.args.get("on")
        if on is not None:
            visible = left.visible + right.visible
            scope.visible = visible
            condition = self._expressions.condition(on, scope, prune=prune)
        else:
            visible, condition = self._using(left, right, node, side)
        return Joined(f"{left.sql} {side} JOIN {right.sql} ON {condition}", visible, sources)

    def _using(
        self, left: Joined, right: Joined, node: exp.Join, side: str
    ) -> tuple[list[Visible], str]:
        pairs: list[tuple[Visible, Visible]] = []
        identifiers = node.args.get("using")
        if identifiers:
            for identifier in identifiers:
                name = identifier if isinstance(identifier, exp.Identifier) else identifier.this
                pairs.append((_one(name, left), _one(name, right)))
        else:
            ours, theirs = _by_name(left), _by_name(right)
            for name in ours.keys() & theirs.keys():
                if len(ours[name]) > 1 or len(theirs[name]) > 1:
                    # Each pair of equal names would double the columns of the next join.
                    raise AdqlError(
                        f"{ours[name][0].name} of a NATURAL JOIN stands more than once on a side. "
                        "Join with ON.",
                        span_of(node),
                    )
            pairs = [(a, b) for a in left.visible for b in theirs.get(a.name.lower(), [])]
            if not pairs:
                raise AdqlError("The tables of a NATURAL JOIN share no column.", span_of(node))
        merged = []
        for a, b in pairs:
            first, second = a.value(), b.value()
            kept = {"RIGHT": second}.get(side, first)
            if side == "FULL":
                kept = Value(f"coalesce({first.sql}, {second.sql})", first.column.computed(a.name))
            merged.append(Visible(a.name, a.parts + b.parts, kept))
        taken = {id(visible) for pair in pairs for visible in pair}
        rest = [v for v in left.visible + right.visible if id(v) not in taken]
        condition = " AND ".join(f"{a.value().sql} = {b.value().sql}" for a, b in pairs)
        return merged + rest, condition


def _by_name(side: Joined) -> dict[str, list[Visible]]:
    found: dict[str, list[Visible]] = {}
    for visible in side.visible:
        found.setdefault(visible.name.lower(), []).append(visible)
    return found


def _one(name: exp.Identifier, side: Joined) -> Visible:
    found = [visible for visible in side.visible if same(name, visible.name)]
    if len(found) != 1:
        hint = nearest(name.name, [visible.name for visible in side.visible])
        problem = "is not clear" if found else "is not on both sides of the join"
        raise AdqlError(f"{name.name} of USING {problem}.{hint}", span_of(name))
    return found[0]

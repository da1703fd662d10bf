"""Joins by position in Spark, which knows joins by equality only.

A join of rows that lie near each other carries the condition that their latitudes differ by no
more than some distance (`cerro_services.adql.pruning`). Cut into zones as high as that distance,
the sky lets such rows lie in the same zone or in neighbouring ones: one side stands in the join
three times, in its own zone and in both neighbours, and the zones must be equal (Gray et al. 2006,
MSR-TR-2006-52). Spark then hashes zones instead of comparing every pair of rows.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

_LOWEST = 1e-4
"""Height of a zone in degrees at least: lower ones hold hardly fewer rows."""
_MARGIN = 1.001
"""So much higher than the distance, zones hold pairs that rounding puts a little farther apart."""
ZONE = "cerro zone"
"""Name of the column with the zone; none of a release has a space in it."""


def zoned(tree: exp.Expr, rows: Mapping[str, int]) -> exp.Expr:
    """Let joins by position be joins by equality.

    Parameters
    ----------
    tree
        A query; changed in place.
    rows
        By name of a scan: about how many rows it reads. The side with fewer is tripled.

    Returns
    -------
    sqlglot.exp.Expr
        The query.
    """
    for select in list(tree.find_all(exp.Select)):
        _select(select, rows)
    return tree


def _select(select: exp.Select, rows: Mapping[str, int]) -> None:
    joins = select.args.get("joins") or []
    first = select.args.get("from_")
    if not joins or first is None:
        return
    tables = {
        table.alias: table
        for table in [first.this, *(join.this for join in joins)]
        if isinstance(table, exp.Table) and table.name in rows
    }
    if all((join.side or "") == "" for join in joins):
        conditions = [join.args.get("on") for join in joins]
        where = select.args.get("where")
        conditions.append(where.this if where is not None else None)
        for condition in conditions:
            for near in _nears(condition):
                _apply(near, tables, min(near[1:3], key=lambda c: _size(c, tables, rows)))
        return
    for join in joins:
        if join.side == "LEFT" and isinstance(join.this, exp.Table):
            for near in _nears(join.args.get("on")):
                inner = [column for column in near[1:3] if column.table == join.this.alias]
                if len(inner) == 1:
                    _apply(near, tables, inner[0])


Near = tuple[exp.Between, exp.Column, exp.Column, float]


def _nears(condition: exp.Expr | None) -> list[Near]:
    """Give the conditions of nearness that must hold: latitudes and their greatest difference."""
    found: list[Near] = []
    stack = [condition] if condition is not None else []
    while stack:
        node = stack.pop()
        if isinstance(node, exp.And):
            stack += [node.this, node.expression]
        elif isinstance(node, exp.Paren):
            stack.append(node.this)
        elif isinstance(node, exp.Between):
            near = _near(node)
            if near is not None:
                found.append(near)
    return found


def _near(node: exp.Between) -> Near | None:
    own, low, high = node.this, node.args["low"], node.args["high"]
    if not (isinstance(own, exp.Column) and isinstance(low, exp.Sub) and isinstance(high, exp.Add)):
        return None
    other, reach = low.this, low.expression
    fits = (
        isinstance(other, exp.Column)
        and other == high.this
        and isinstance(reach, exp.Literal)
        and reach == high.expression
        and own.table != other.table
    )
    return (node, own, other, float(reach.this)) if fits else None


def _size(column: exp.Column, tables: Mapping[str, exp.Table], rows: Mapping[str, int]) -> float:
    table = tables.get(column.table)
    return float("inf") if table is None else rows[table.name]


def _apply(near: Near, tables: dict[str, exp.Table], tripled: exp.Column) -> None:
    node, own, other, reach = near
    table = tables.get(tripled.table)
    single = other if tripled is own else own
    if table is None:
        return
    height = max(_LOWEST, reach * _MARGIN)
    name = exp.column(exp.Identifier(this=tripled.name, quoted=True))
    own_zone = _zone(name, height)
    zones = [own_zone + step for step in (-1, 0, 1)]
    exploded = exp.Explode(this=exp.Array(expressions=zones))
    inner = exp.select("*", exploded.as_(ZONE, quoted=True)).from_(exp.to_table(table.name))
    equal = _zone(single, height).eq(exp.column(ZONE, table=table.alias, quoted=True))
    node.replace(exp.and_(node.copy(), equal, copy=False))
    table.replace(inner.subquery(table.alias))
    # One condition is enough; a second would triple a side again.
    tables.pop(tripled.table)


def _zone(latitude: exp.Expr, height: float) -> exp.Expr:
    # Not exp.Floor, which would become a double again.
    quotient = exp.Div(this=latitude.copy(), expression=exp.Literal.number(f"{height:.17e}"))
    return exp.Anonymous(this="FLOOR", expressions=[quotient])

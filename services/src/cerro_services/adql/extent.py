"""How many tables a query reads once its WITH is written out."""

from __future__ import annotations

from sqlglot import exp

from cerro_services.adql.errors import AdqlError

MAX_TABLES = 100
"""The database plans a query before it can be stopped, in time and memory that grow with its
tables, and it writes out what WITH names wherever it is named: a chain of names, each of which
reads the one before twice, doubles the plan with every link."""


def check_extent(tree: exp.Query) -> None:
    """Refuse a query that reads too many tables.

    Parameters
    ----------
    tree
        The query.

    Raises
    ------
    AdqlError
        It reads more than `MAX_TABLES`, counting what WITH names as often as it is named.
    """
    named: dict[str, int] = {}
    clause = tree.args.get("with_")
    for cte in clause.expressions if clause is not None else ():
        # Under two spellings of one name, the larger counts.
        name = cte.args["alias"].name.lower()
        named[name] = max(_tables(cte.this, named), named.get(name, 0))
    if max(_tables(tree, named), *named.values(), 0) > MAX_TABLES:
        raise AdqlError(
            f"The query reads more than {MAX_TABLES} tables, counting what WITH names as often as "
            "it is named. Split it into several."
        )


def _tables(tree: exp.Expr, named: dict[str, int]) -> int:
    count = 0
    for node in tree.walk(prune=lambda node: isinstance(node, exp.With)):
        if isinstance(node, exp.Table):
            known = None if node.args.get("db") else named.get(node.name.lower())
            # More than enough is enough: the true number can have thousands of digits.
            count = min(count + (1 if known is None else known), MAX_TABLES + 1)
    return count

"""``cerro releases`` and ``cerro tables``."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As the platform's own JSON.")
def releases(*, as_json: bool) -> None:
    """List the releases that you may see."""
    from cerro.browse import RELEASES
    from cerro.browse import releases as find
    from cerro.config import connection
    from cerro.session import get_json

    if as_json:
        click.echo(json.dumps(get_json(connection(), RELEASES), indent=2))
    else:
        click.echo(repr(find()))


@click.command()
@click.argument("name", required=False)
def tables(name: str | None) -> None:
    """List the tables, or the columns of one.

    NAME is a table's full name, for example sim.Object .
    """
    from cerro.browse import tables as known

    if name is None:
        click.echo(repr(known) or "There is no table that you may read.")
        return
    table = known[name]
    columns = table.columns
    width = max((len(str(row["column_name"])) for row in columns), default=0)
    click.echo(f"{table.full_name}: {table.nrows:,} rows. {table.description}")
    for row in columns:
        unit, text = (
            "" if str(row[key]) == "--" else str(row[key]) for key in ("unit", "description")
        )
        click.echo(f"  {row['column_name']:<{width}}  {row['datatype']:<8} {unit:<10} {text}")

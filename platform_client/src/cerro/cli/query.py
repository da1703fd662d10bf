"""``cerro query``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from astropy.table import Table

FORMATS = {
    ".csv": "csv",
    ".ecsv": "ecsv",
    ".fit": "fits",
    ".fits": "fits",
    ".parquet": "parquet",
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
}
"""File endings and the formats that they mean."""


@click.command()
@click.argument("adql")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file; its ending gives the format: csv, ecsv, fits, parquet, vot.",
)
@click.option("-n", "--maxrec", type=click.IntRange(min=0), help="Most rows to give.")
def query(adql: str, output: Path | None, maxrec: int | None) -> None:
    """Ask a question in ADQL.

    ADQL is the query, or - to read it from standard input. On a terminal the answer is a table;
    in a pipe it is CSV.
    """
    import warnings

    import cerro

    if output is not None and output.suffix.lower() not in FORMATS:
        raise click.UsageError(
            f"'{output.name}' ends in no known format; use one of: {', '.join(FORMATS)}."
        )
    text = sys.stdin.read() if adql == "-" else adql
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", cerro.errors.TruncatedWarning)
        table = cerro.query(text, maxrec=maxrec)
    for warning in caught:
        if issubclass(warning.category, cerro.errors.TruncatedWarning):
            click.echo(f"Warning: {warning.message}", err=True)
    if output is not None:
        write(table, output)
        click.echo(f"{_count(len(table), 'row')} in {output}", err=True)
    elif sys.stdout.isatty():
        _show(table)
    else:
        _write_csv(table, sys.stdout.buffer)


def write(table: Table, path: Path) -> None:
    """Write a result to a file, whole or not at all.

    Parameters
    ----------
    table
        The result of `cerro.query`.
    path
        File to write or replace; its ending gives the format.
    """
    kind = FORMATS[path.suffix.lower()]
    # Beside the target: the rename must stay on one disk. Ending last: astropy looks at it.
    fresh = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        if kind == "csv":
            with fresh.open("wb") as file:
                _write_csv(table, file)
        elif kind == "ecsv":
            table.write(fresh, format="ascii.ecsv", overwrite=True)
        elif kind == "parquet":
            _write_parquet(table, fresh)
        else:
            _plain(table).write(fresh, format=kind, overwrite=True)
        fresh.replace(path)
    except OSError as error:
        raise click.ClickException(f"Cannot write {path}: {error.strerror or error}") from error
    finally:
        fresh.unlink(missing_ok=True)


def _plain(table: Table) -> Table:
    """Copy a table without what FITS and VOTable cannot hold: dates become ISO 8601 strings."""
    plain = table.copy()
    plain.meta.clear()
    for name in plain.colnames:
        column = plain[name]
        if column.dtype.kind == "M":
            replacement = column.astype(str)
            replacement.meta.setdefault("xtype", "timestamp")
            plain.replace_column(name, replacement)
    return plain


def _write_parquet(table: Table, path: Path) -> None:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq
    from astropy.io.votable import from_table

    header = io.BytesIO()
    from_table(_plain(table)[:0]).to_xml(header)
    arrow = _arrow(table).replace_schema_metadata(
        {
            "IVOA.VOTable-Parquet.version": "1.0",
            "IVOA.VOTable-Parquet.content": header.getvalue(),
        }
    )
    with pa.OSFile(str(path), "wb") as sink:
        pq.write_table(arrow, sink, compression="zstd")


def _write_csv(table: Table, file: Any) -> None:
    from pyarrow import csv

    csv.write_csv(_arrow(table), file, csv.WriteOptions(quoting_style="needed"))


def _arrow(table: Table) -> Any:
    import numpy as np
    import pyarrow as pa

    columns = {}
    for name in table.colnames:
        column = table[name]
        mask = getattr(column, "mask", None)
        values = np.asarray(column)
        columns[name] = pa.array(
            values.astype(object) if values.dtype.kind == "U" else values,
            mask=None if mask is None else np.broadcast_to(mask, values.shape),
            from_pandas=False,
        )
    return pa.table(columns)


def _show(table: Table) -> None:
    import shutil

    size = shutil.get_terminal_size()
    table.pprint(
        max_lines=max(8, size.lines - 3), max_width=size.columns, show_unit=True, show_length=False
    )
    click.echo(f"{_count(len(table), 'row')}, {_count(len(table.columns), 'column')}")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

"""Whether every foreign key names a row that exists."""

from __future__ import annotations

from cerro_services.release.keys import quoted
from cerro_services.release.model import ForeignKey, Release, Table
from cerro_services.release.progress import Progress


def check_foreign_keys(release: Release, progress: Progress) -> list[str]:
    """Look up the foreign keys of a release; a null names no row and is no fault.

    Parameters
    ----------
    release
        The release.
    progress
        Where to say how far it is.

    Returns
    -------
    list of str
        One line for each relation that is broken, with a value as example.
    """
    import duckdb

    problems = []
    with duckdb.connect() as connection:
        for number, key in enumerate(release.foreign_keys, 1):
            progress.step("Checking foreign keys", number, len(release.foreign_keys))
            tables = [release.tables[t] for t in (key.from_table, key.target_table)]
            if not all(table.catalog.files for table in tables):
                continue
            query = _query(key, tables[0], tables[1])
            count, example = connection.execute(query).fetchone() or (0, None)
            if count:
                problems.append(
                    f"{key.from_table}.{', '.join(key.from_columns)}: {count:,} rows name no row "
                    f"of {key.target_table} (for example {example})."
                )
    return problems


def _query(key: ForeignKey, source: Table, target: Table) -> str:
    same = " AND ".join(
        f"s.{quoted(a)} = t.{quoted(b)}"
        for a, b in zip(key.from_columns, key.target_columns, strict=True)
    )
    present = " AND ".join(f"s.{quoted(c)} IS NOT NULL" for c in key.from_columns)
    example = quoted(key.from_columns[0])
    return (
        f"SELECT count(*), min(s.{example}) FROM {_files(source)} AS s "  # noqa: S608 - quoted
        f"WHERE {present} AND NOT EXISTS (SELECT 1 FROM {_files(target)} AS t WHERE {same})"
    )


def _files(table: Table) -> str:
    names = ", ".join("'" + str(f.path).replace("'", "''") + "'" for f in table.catalog.files)
    return f"read_parquet([{names}])"

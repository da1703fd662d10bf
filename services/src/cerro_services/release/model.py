"""A release as the services see it: tables, columns, keys and access, apart from the storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cerro_services.release.access import Access
from cerro_services.release.hats import Catalog
from cerro_services.release.services import ServiceModel

SPATIAL_INDEX = "_healpix_29"
"""The column that every stored table with a position is sorted by (HATS §2)."""


@dataclass(frozen=True)
class Column:
    """One column of the data model.

    Parameters
    ----------
    name
        Name, as people write it in a query.
    datatype
        Felis type: boolean, byte, short, int, long, float, double, char, string, unicode, text,
        binary or timestamp.
    arraysize
        VOTable arraysize; None for a scalar.
    unit, ucd, utype, xtype, description
        As VOTable has them; None where the schema says nothing.
    nullable
        Whether a row may have no value.
    principal, std, indexed
        The flags of TAP_SCHEMA.columns.
    column_index
        Order in which clients show the columns, counted from 1.
    length
        Greatest number of characters or bytes; None where there is no bound.
    """

    name: str
    datatype: str
    arraysize: str | None = None
    unit: str | None = None
    ucd: str | None = None
    utype: str | None = None
    xtype: str | None = None
    description: str | None = None
    nullable: bool = True
    principal: bool = False
    std: bool = False
    indexed: bool = False
    column_index: int = 0
    length: int | None = None


@dataclass(frozen=True)
class TableModel:
    """One table of the data model, before there is any data.

    Parameters
    ----------
    name, description, utype
        As the schema has them.
    columns
        In the order of the schema.
    key
        Columns of the primary key; empty if there is none.
    ra, dec
        Columns of the position in degrees (ICRS); None if rows have no position.
    indexes
        Columns, besides the key, whose values are looked up often: foreign keys and the single
        columns of Felis indexes.
    table_index
        Order in which clients show the tables.
    """

    name: str
    columns: tuple[Column, ...]
    description: str | None = None
    key: tuple[str, ...] = ()
    ra: str | None = None
    dec: str | None = None
    utype: str | None = None
    indexes: tuple[str, ...] = ()
    table_index: int | None = None

    def column(self, name: str) -> Column:
        """Give the column of a name.

        Raises
        ------
        KeyError
            The table has no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True)
class Table(TableModel):
    """One table of a release, with what lies on disk.

    Parameters
    ----------
    catalog
        The stored files; of a draft's table that has no data yet, a catalogue without files.
    nrows
        Number of rows.
    """

    catalog: Catalog = field(default_factory=lambda: Catalog(Path(), ()))
    nrows: int = 0


@dataclass(frozen=True)
class ForeignKey:
    """Columns of one table that name rows of another.

    Parameters
    ----------
    name
        Name of the constraint.
    from_table, target_table
        Table names without the schema.
    from_columns, target_columns
        Column names, pairwise.
    description
        As the schema has it.
    """

    name: str
    from_table: str
    from_columns: tuple[str, ...]
    target_table: str
    target_columns: tuple[str, ...]
    description: str | None = None


@dataclass(frozen=True)
class Example:
    """A query to begin with.

    Parameters
    ----------
    name
        What it shows, in a few words.
    query
        The ADQL.
    description
        What it does, in a sentence or two.
    """

    name: str
    query: str
    description: str | None = None


@dataclass(frozen=True, eq=False)
class Release:
    """One version of a data release.

    Parameters
    ----------
    name
        Name of the release, which is also its TAP schema.
    version
        Version ("1", "2", …), or "draft".
    published
        When it was published (UTC); of a draft, when it was last described.
    title, description, doi, credit, licence
        As ``release.yaml`` has them.
    access
        Who may read what.
    root
        The folder of this version.
    tables
        Tables by name, in the order of the schema.
    foreign_keys
        Relations between the tables.
    utype
        VOTable utype of the schema.
    examples
        Queries to begin with.
    services
        What can be done with rows of its tables.
    """

    name: str
    version: str
    published: datetime
    title: str
    description: str | None
    doi: str | None
    credit: str | None
    licence: str | None
    access: Access
    root: Path
    tables: Mapping[str, Table]
    foreign_keys: tuple[ForeignKey, ...] = ()
    utype: str | None = None
    examples: tuple[Example, ...] = ()
    services: tuple[ServiceModel, ...] = ()

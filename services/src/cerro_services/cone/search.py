"""From the parameters of a cone search to the query that answers it (SCS 1.03 §2, 1.1 §2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cerro_services.adql import Query
from cerro_services.config import Settings
from cerro_services.formats import Format, choose
from cerro_services.parameters import ParameterError, Parameters
from cerro_services.release.model import TableModel
from cerro_services.tap.answer import Answer
from cerro_services.tap.question import Question
from cerro_services.tap.tapschema import identifier, qualified

_NUMBER = {"RA": (0.0, 360.0), "DEC": (-90.0, 90.0), "SR": (0.0, 180.0)}
_LONGEST = 64
"""Characters of a number."""
_MAIN = ("ID_MAIN", "POS_EQ_RA_MAIN", "POS_EQ_DEC_MAIN")


@dataclass(frozen=True)
class Cone:
    """A cone search.

    Parameters
    ----------
    ra, dec
        Centre (ICRS, degrees).
    radius
        Radius in degrees; 0 asks for the columns only.
    verbosity
        1, 2 or 3: the fewest columns, the usual ones, all.
    maxrec
        Rows at most.
    form
        Format of the answer.
    """

    ra: float
    dec: float
    radius: float
    verbosity: int
    maxrec: int
    form: Format

    @classmethod
    def read(cls, parameters: Parameters, settings: Settings) -> Cone:
        """Read the parameters.

        Raises
        ------
        ParameterError
            One is missing or wrong.
        FormatError
            The format is not offered.
        """
        ra, dec, radius = (_number(parameters, name) for name in _NUMBER)
        verbosity = parameters.get("VERB") or "2"
        if verbosity not in {"1", "2", "3"}:
            raise ParameterError(f"VERB must be 1, 2 or 3, not {verbosity!r}.")
        maxrec = parameters.integer("MAXREC")
        rows = settings.maxrec_default if maxrec is None else min(maxrec, settings.maxrec_hard)
        # Clients of cone search are often older than VOTable's BINARY2.
        form = choose(parameters.get("RESPONSEFORMAT", "FORMAT") or "tabledata")
        return cls(ra, dec, radius, int(verbosity), 0 if radius == 0 else rows, form)

    def question(self, schema: str, table: TableModel) -> Question:
        """Write the question that finds the rows of a table in the cone.

        Parameters
        ----------
        schema, table
            The table; it has a position.
        """
        ra, dec = identifier(table.ra or ""), identifier(table.dec or "")
        centre = f"CIRCLE({self.ra!r}, {self.dec!r}, {self.radius!r})"
        # Numbers that were read, and names of the model as ADQL needs them: nothing a client wrote.
        adql = (
            f"SELECT {', '.join(_selected(table, self.verbosity))} "  # noqa: S608
            f"FROM {qualified(schema, table.name)}"
        )
        if self.radius > 0:
            adql += f" WHERE 1 = CONTAINS(POINT({ra}, {dec}), {centre})"
        return Question(adql, self.form, self.maxrec)


class ConeAnswer(Answer):
    """The answer to a cone search: its identifier and position have the UCDs that SCS asks for.

    SCS 1.03 §2.2 names them by UCD1, and its clients look for these.
    """

    ucds: Mapping[str, str]

    def compiled(self) -> Query:
        """Read the query, and name its main columns as cone search does."""
        query = super().compiled()
        columns = tuple(
            replace(column, ucd=self.ucds.get(column.name, column.ucd)) for column in query.columns
        )
        return replace(query, columns=columns)


def main_columns(table: TableModel) -> dict[str, str]:
    """Give the columns of identifier and position with the UCDs of SCS (§2.2).

    Parameters
    ----------
    table
        A table with a position.
    """
    found = [identity(table), table.ra, table.dec]
    return {name: ucd for name, ucd in zip(found, _MAIN, strict=True) if name is not None}


def identity(table: TableModel) -> str | None:
    """Give the column that identifies a row: one said to be, or the key if it is one column."""
    for column in table.columns:
        if column.ucd == "meta.id;meta.main":
            return column.name
    if table.key:
        return table.key[0]
    return next((c.name for c in table.columns if (c.ucd or "").startswith("meta.id")), None)


def _selected(table: TableModel, verbosity: int) -> list[str]:
    main = main_columns(table)
    others = [c for c in table.columns if c.name not in main]
    if verbosity == 1:
        others = []
    elif verbosity == 2 and any(c.principal for c in others):
        others = [c for c in others if c.principal]
    names = {*main, *(c.name for c in others)}
    return [_column(table, c.name) for c in table.columns if c.name in names]


def _column(table: TableModel, name: str) -> str:
    written = identifier(name)
    texts = {"char", "string", "unicode", "text"}
    if name == identity(table) and table.column(name).datatype not in texts:
        # The identifier is text (SCS 1.03 §2.2), whatever it is in the table.
        return f"CAST({written} AS VARCHAR) AS {written}"
    return written


def _number(parameters: Parameters, name: str) -> float:
    least, most = _NUMBER[name]
    text = parameters.get(name)
    if text is None:
        raise ParameterError(f"{name} is missing: a number of degrees from {least:g} to {most:g}.")
    try:
        plain = text.isascii() and len(text) <= _LONGEST and "_" not in text
        value = float(text) if plain else math.nan
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise ParameterError(
            f"{name} must be a number of degrees from {least:g} to {most:g}, "
            f"not {text[:_LONGEST]!r}."
        )
    return value

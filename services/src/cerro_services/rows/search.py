"""From the values that rows shall have to the query that finds them."""

from __future__ import annotations

import math
from difflib import get_close_matches

from cerro_services.config import Settings
from cerro_services.formats import choose
from cerro_services.parameters import ParameterError, Parameters
from cerro_services.release.model import Column, TableModel
from cerro_services.tap.question import Question
from cerro_services.tap.tapschema import identifier, qualified

_OTHERS = frozenset({"MAXREC", "RESPONSEFORMAT", "FORMAT", "REQUEST", "RUNID"})
_WHOLE = frozenset({"byte", "short", "int", "long"})
_REAL = frozenset({"float", "double"})
_TEXT = frozenset({"char", "string", "unicode", "text"})
_MOST = 1000
"""Values of a request."""
_LONGEST = 256
"""Characters of a value."""
_TIME = "time.epoch"


def question(
    parameters: Parameters, schema: str, table: TableModel, settings: Settings
) -> Question:
    """Write the question that finds the rows that have given values.

    Parameters
    ----------
    parameters
        By the name of a column the values it shall have, one of them each; besides MAXREC and
        RESPONSEFORMAT (DALI 1.1 §3.4).
    schema, table
        The table.
    settings
        The limits.

    Returns
    -------
    Question
        Rows of a table with times are in the order of time.

    Raises
    ------
    ParameterError
        No column is named, one does not exist, or a value is none of its type.
    FormatError
        The format is not offered.
    """
    columns = {column.name.upper(): column for column in table.columns}
    wanted: dict[str, list[str]] = {}
    for name, values in parameters.values.items():
        if name in _OTHERS:
            continue
        if name not in columns:
            raise ParameterError(_unknown(name, schema, table))
        found = [value for value in dict.fromkeys(values) if value != ""]
        if found:
            wanted[name] = found
    if not wanted:
        raise ParameterError(
            f"Say which rows: the name of a column of {schema}.{table.name} and its value, such as "
            f"{_first(table)}=1."
        )
    if (count := sum(map(len, wanted.values()))) > _MOST:
        raise ParameterError(
            f"{count:,} values are too many; at most {_MOST:,} are looked up at once. Upload them "
            "as a table and join it by ADQL."
        )
    conditions = [
        f"{identifier(columns[name].name)} IN "
        f"({', '.join(_literal(columns[name], value) for value in values)})"
        for name, values in wanted.items()
    ]
    # Names of the model as ADQL needs them and literals that were checked: nothing else.
    adql = (
        f"SELECT * FROM {qualified(schema, table.name)} "  # noqa: S608
        f"WHERE {' AND '.join(conditions)}"
    )
    if (time := _epoch(table)) is not None:
        adql += f" ORDER BY {identifier(time)}"
    maxrec = parameters.integer("MAXREC")
    rows = settings.maxrec_default if maxrec is None else min(maxrec, settings.maxrec_hard)
    form = choose(parameters.get("RESPONSEFORMAT", "FORMAT"))
    return Question(adql, form, rows)


def _literal(column: Column, text: str) -> str:
    """Write a value as ADQL has it."""
    value = text.strip()
    plain = value.isascii() and len(value) <= _LONGEST and "_" not in value
    try:
        if plain and column.datatype in _WHOLE:
            return str(int(value))
        if plain and column.datatype in _REAL and math.isfinite(number := float(value)):
            return repr(number)
    except ValueError:
        pass
    if column.datatype in _TEXT and len(text) <= _LONGEST and "\0" not in text:
        return "'" + text.replace("'", "''") + "'"
    raise ParameterError(
        f"{column.name} is of type {column.datatype}; {text[:_LONGEST]!r} is no value of it."
        if column.datatype in _WHOLE | _REAL | _TEXT
        else f"{column.name} is of type {column.datatype}, which rows are not looked up by."
    )


def _epoch(table: TableModel) -> str | None:
    """Give the column of a table's times."""
    return next((c.name for c in table.columns if (c.ucd or "").startswith(_TIME)), None)


def _first(table: TableModel) -> str:
    return next(iter((*table.key, *table.indexes, table.columns[0].name)))


def _unknown(name: str, schema: str, table: TableModel) -> str:
    spelled = {column.name.upper(): column.name for column in table.columns}
    near = get_close_matches(name, spelled, n=1)
    meant = f" Did you mean {spelled[near[0]]}?" if near else ""
    return f"{schema}.{table.name} has no column {name}.{meant}"

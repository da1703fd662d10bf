"""Functions of numbers and text, and those that make one value of many rows, in DuckDB's SQL."""

from __future__ import annotations

from dataclasses import replace

from cerro_services.adql.columns import STRINGS, ResultColumn, combined
from cerro_services.adql.errors import AdqlError
from cerro_services.adql.functions import SCALARS
from cerro_services.adql.units import raised
from cerro_services.adql.values import Value

Span = tuple[int, int] | None
_TEXTS = frozenset({"LOWER", "UPPER"})
_ANY = frozenset({"COALESCE"})


def scalar(name: str, args: list[Value], span: Span) -> Value:
    """Compile a call of a function of `functions.SCALARS`.

    Parameters
    ----------
    name
        Its name in capitals.
    args
        Its arguments.
    span
        Where the call stands in the query.

    Raises
    ------
    AdqlError
        An argument is of the wrong kind.
    """
    _check_kinds(name, args, span)
    function = SCALARS[name]
    sql = function.sql(*(arg.sql for arg in args))
    first = args[0].column if args else ResultColumn("")
    if name == "COALESCE":
        _check_alike(args, span)
        if any(arg.column.xtype == "timestamp" for arg in args):
            # Times, of which a table may hold some as text.
            moments = (f"CAST({arg.sql} AS TIMESTAMP)" for arg in args)
            sql = function.sql(*moments)
        return _coalesced(sql, [arg.column for arg in args])
    if name == "MOD":
        first = combined("%", args[0].column, args[1].column)
        if first.datatype == "double":
            sql = f"CAST({sql} AS DOUBLE)"
    same = function.datatype == "same"
    unit = first.unit if function.unit == "same" else function.unit
    if name == "SQRT":
        unit = raised(first.unit, 0.5)
    elif name == "POWER":
        unit = raised(first.unit, args[1].constant)
    column = ResultColumn(
        name.lower(),
        first.datatype if same else function.datatype,
        (first.arraysize if same else "*" if function.datatype == "char" else None),
        unit,
        first.ucd if function.unit == "same" else function.ucd,
    )
    return Value(f"({sql})", column)


def aggregate(name: str, arg: Value, distinct: str, span: Span) -> Value:
    """Compile COUNT, MIN, MAX, AVG or SUM of a value.

    Parameters
    ----------
    name
        Its name in capitals.
    arg
        The value.
    distinct
        ``DISTINCT`` and a blank, or nothing.
    span
        Where the call stands in the query.

    Raises
    ------
    AdqlError
        The value is of the wrong kind.
    """
    sql, column = f"{name.lower()}({distinct}{arg.sql})", arg.column
    if name == "COUNT":
        return Value(sql, ResultColumn("count", "long", ucd="meta.number"))
    if name in {"AVG", "SUM"} and not is_number(column):
        raise AdqlError(f"{name} needs numbers.", span)
    ucd = None if column.ucd is None else column.ucd.replace(";meta.main", "")
    if name == "SUM" and column.is_integer:
        # DuckDB sums integers in 128 bits, which no VOTable has.
        sql = f"CAST({sql} AS BIGINT)"
        return Value(sql, ResultColumn("sum", "long", unit=column.unit, ucd=ucd))
    if name in {"AVG", "SUM"}:
        return Value(sql, ResultColumn(name.lower(), "double", unit=column.unit, ucd=ucd))
    return Value(sql, replace(column.computed(name.lower()), ucd=ucd, utype=None))


def is_number(column: ResultColumn) -> bool:
    """Whether a column is a number, or may be one as far as is known."""
    if column.datatype in {*STRINGS, "boolean"} or column.is_geometry:
        return False
    return column.arraysize is None


def _check_kinds(name: str, args: list[Value], span: Span) -> None:
    if name in _ANY:
        return
    for arg in args:
        if name in _TEXTS:
            if arg.column.datatype not in {*STRINGS, None}:
                raise AdqlError(f"{name} needs a text.", span)
        elif not is_number(arg.column):
            raise AdqlError(f"{name} needs numbers.", span)


def _check_alike(args: list[Value], span: Span) -> None:
    kinds = {
        "text"
        if arg.column.datatype in STRINGS
        else "boolean"
        if arg.column.datatype == "boolean"
        else "number"
        if is_number(arg.column)
        else "array"
        for arg in args
        if arg.column.datatype is not None
    }
    if len(kinds) > 1:
        one, other = sorted(kinds)[:2]
        raise AdqlError(
            f"COALESCE takes values of one kind, not a {one} and a {other}. CAST one of them.", span
        )


def _coalesced(sql: str, columns: list[ResultColumn]) -> Value:
    """Describe COALESCE: what its first argument is, as far as the others agree."""
    known = [column for column in columns if column.datatype is not None]
    first = known[0] if known else columns[0]
    kept = first.computed("coalesce")
    if any(column.unit not in {first.unit, None} for column in known):
        kept = replace(kept, unit=None)
    types = {column.datatype for column in known}
    if len(types) > 1:
        numbers = all(is_number(column) for column in known)
        whole = all(column.is_integer for column in known)
        kept = replace(kept, datatype=("long" if whole else "double") if numbers else "char")
        if numbers:
            # One type for all, whatever the database would choose.
            sql = f"CAST({sql} AS {'BIGINT' if whole else 'DOUBLE'})"
    if kept.datatype in STRINGS and kept.arraysize is not None:
        kept = replace(kept, arraysize="*")
    return Value(f"({sql})", kept)

"""What the first rows tell of a result's columns before its header is written."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.formats.fields import ARROW, Field
from cerro_services.formats.negotiate import Format

_ROWS = 65_536
_PATIENCE = 0.05
_NULLS: dict[str, tuple[int, ...]] = {
    # The usual ends first, then values that hardly a row has.
    "short": (-(2**15), 2**15 - 1, -31_313, -30_303, 29_929),
    "int": (-(2**31), 2**31 - 1, -2_131_313_131, 2_129_292_929),
    "long": (-(2**63), 2**63 - 1, -8_313_131_313_131_313_131, 8_292_929_292_929_292_929),
}


def settled(
    form: Format, fields: Sequence[Field], batches: Iterator[pa.RecordBatch]
) -> tuple[tuple[Field, ...], Iterator[pa.RecordBatch]]:
    """Correct the description of columns by the first rows.

    A column of ``char`` that holds more than ASCII is declared ``unicodeChar``: ``char`` has one
    byte a character (VOTable 1.4 §6), and one other byte makes astropy give up the whole table.
    Where a value must stand for NULL, it is one that these rows do not have.

    Parameters
    ----------
    form
        The format.
    fields
        The columns.
    batches
        The rows.

    Returns
    -------
    tuple
        The columns, and all the rows.
    """
    texts = [i for i, f in enumerate(fields) if f.column.datatype == "char"]
    if not texts and not form.needs_nulls:
        return tuple(fields), batches
    seen: list[pa.RecordBatch] = []
    rows, until = 0, time.monotonic() + _PATIENCE
    for batch in batches:
        seen.append(batch)
        rows += batch.num_rows
        if rows >= _ROWS or time.monotonic() > until:
            break
    corrected = list(fields)
    for i in texts:
        if not all(_is_ascii(batch.column(i)) for batch in seen):
            column = replace(fields[i].column, datatype="unicodeChar")
            corrected[i] = replace(fields[i], column=column)
    if form.needs_nulls:
        corrected = [_with_null(f, [b.column(i) for b in seen]) for i, f in enumerate(corrected)]
    return tuple(corrected), chain(seen, batches)


def _is_ascii(array: pa.Array) -> bool:
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        # What else becomes text is written by ourselves, in ASCII.
        return not pa.types.is_dictionary(array.type) or _is_ascii(array.cast(pa.string()))
    return bool(pc.all(pc.string_is_ascii(array), min_count=0).as_py() is not False)


def _with_null(field: Field, arrays: Sequence[pa.Array]) -> Field:
    """Choose the value that stands for NULL among whole numbers; bytes are too few for one."""
    datatype = field.column.datatype or "int"
    if datatype == "unsignedByte" and not field.is_list:
        field = Field(replace(field.column, datatype="short"), ARROW["short"])
        datatype = "short"
    if datatype not in _NULLS:
        return field
    candidates = pa.array(_NULLS[datatype], ARROW["long"])
    taken: set[int] = set()
    for array in arrays:
        values = array.flatten() if field.is_list else array
        if pa.types.is_integer(values.type):
            there = pc.is_in(candidates, value_set=values.drop_null().cast("int64", safe=False))
            taken |= set(candidates.filter(there).to_pylist())
    free = [value for value in _NULLS[datatype] if value not in taken]
    return replace(field, null=free[0] if free else None)

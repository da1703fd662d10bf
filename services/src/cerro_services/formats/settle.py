"""What the first rows tell of a result's columns before its header is written."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.formats.fields import Field

_ROWS = 65_536
_PATIENCE = 0.05


def settled(
    fields: Sequence[Field], batches: Iterator[pa.RecordBatch]
) -> tuple[tuple[Field, ...], Iterator[pa.RecordBatch]]:
    """Correct the description of columns by the first rows.

    A column of ``char`` that holds more than ASCII is declared ``unicodeChar``: ``char`` has one
    byte a character (VOTable 1.4 §6), and one other byte makes astropy give up the whole table.

    Parameters
    ----------
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
    if not texts:
        return tuple(fields), batches
    seen: list[pa.RecordBatch] = []
    rows, until = 0, time.monotonic() + _PATIENCE
    for batch in batches:
        seen.append(batch)
        rows += batch.num_rows
        if rows >= _ROWS or time.monotonic() > until:
            break
    wide = {i for i in texts if any(not _ascii(batch.column(i)) for batch in seen)}
    corrected = tuple(
        replace(f, column=replace(f.column, datatype="unicodeChar")) if i in wide else f
        for i, f in enumerate(fields)
    )
    return corrected, chain(seen, batches)


def _ascii(array: pa.Array) -> bool:
    if pa.types.is_list(array.type):
        array = array.flatten()
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        return True
    return bool(pc.all(pc.string_is_ascii(array), min_count=0).as_py())

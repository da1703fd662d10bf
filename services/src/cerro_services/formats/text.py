"""Columns as text, for TABLEDATA, CSV, TSV and JSON, by whole columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.formats.fields import Field
from cerro_services.formats.packing import text_bytes


@dataclass(frozen=True)
class Words:
    """How a format writes what is no number.

    Parameters
    ----------
    nan, infinity, minus_infinity
        Floating-point values; None is written as NULL is.
    """

    nan: str | None = "NaN"
    infinity: str | None = "+Inf"
    minus_infinity: str | None = "-Inf"


def text_of(array: pa.Array, words: Words) -> pa.Array:
    """Give values as text; NULL stays NULL.

    Parameters
    ----------
    array
        Numbers, booleans or texts.
    words
        How the format writes what is no number.
    """
    if pa.types.is_string(array.type):
        return array
    if not pa.types.is_floating(array.type):
        return array.cast(pa.string())
    text = array.cast(pa.string())
    finite = pc.is_finite(array)
    if pc.all(finite, min_count=0).as_py() is not False:
        return text
    odd = pc.case_when(
        pc.make_struct(pc.is_nan(array), pc.greater(array, 0)),
        pa.scalar(words.nan, pa.string()),
        pa.scalar(words.infinity, pa.string()),
        pa.scalar(words.minus_infinity, pa.string()),
    )
    return pc.if_else(finite, text, odd)


def joined(array: pa.Array, field: Field, words: Words, separator: str, null: str) -> pa.Array:
    """Give the values of arrays as text with a separator between them; a NULL array stays NULL.

    Parameters
    ----------
    array
        A list of numbers or booleans in each row.
    field
        Its description.
    words
        How the format writes what is no number.
    separator
        Stands between values.
    null
        A value that is not there.
    """
    del field
    values = text_of(array.flatten(), words).fill_null(null)
    counts = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    ends = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=ends[1:])
    absent = array.is_null() if array.null_count else None
    lists = pa.ListArray.from_arrays(pa.array(ends), values, mask=absent)
    return pc.binary_join(lists, separator)


def replaced(array: pa.Array, pairs: Sequence[tuple[str, str]]) -> pa.Array:
    """Replace signs in texts, one after the other; texts without them cost next to nothing."""
    present = np.bincount(text_bytes(array), minlength=256) if len(array) else np.zeros(256)
    for sign, other in pairs:
        if present[sign.encode()[0]]:
            array = pc.replace_substring(array, sign, other)
    return array


def has(array: pa.Array, signs: bytes) -> bool:
    """Whether any text holds one of some ASCII signs."""
    return bool(np.isin(text_bytes(array), np.frombuffer(signs, np.uint8)).any())

"""Rows that wait in a temporary file until the last is known."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc

from cerro_services.errors import CerroError
from cerro_services.formats.arrow import schema
from cerro_services.formats.conform import conform
from cerro_services.formats.fields import Field

_MOST = 32 << 30
"""Bytes of a temporary file at most."""


class SpoolError(CerroError, code="resource_error", status=400):
    """The rows of a result find no room."""


@dataclass
class Known:
    """What is known of a column when all its rows have been seen.

    Parameters
    ----------
    longest, total
        Bytes or values of the longest row, and of all.
    has_null
        Whether a value is NULL.
    least, greatest
        The ends of whole numbers; None without any.
    """

    longest: int = 0
    total: int = 0
    has_null: bool = False
    least: int | None = None
    greatest: int | None = None


class Spool:
    """Rows in a temporary file, and what is known of their columns.

    Parameters
    ----------
    fields
        The columns.
    folder
        For the file; by default the system's.
    """

    def __init__(self, fields: Sequence[Field], folder: Path | None = None) -> None:
        self._fields = fields
        self._schema = schema(fields)
        self.known = [Known() for _ in fields]
        self.rows = 0
        # It has no name, so it goes with the process, however that ends.
        self._file = tempfile.TemporaryFile(dir=folder, prefix="cerro-rows-")  # noqa: SIM115
        self._writer = ipc.new_file(self._file, self._schema)

    def add(self, batch: pa.RecordBatch) -> None:
        """Lay rows aside.

        Raises
        ------
        SpoolError
            There is no room.
        """
        arrays = conform(batch, self._fields)
        self.rows += batch.num_rows
        for array, field, known in zip(arrays, self._fields, self.known, strict=True):
            _learn(array, field, known)
        try:
            self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
            written = self._file.tell()
        except OSError as error:
            raise _no_room(error) from error
        if written > _MOST:
            raise SpoolError(
                f"A FITS result may have {_MOST >> 30} GB. Select less, or ask for "
                "RESPONSEFORMAT=votable or parquet."
            )

    def finish(self) -> None:
        """Say that no more rows come.

        Raises
        ------
        SpoolError
            There is no room.
        """
        try:
            self._writer.close()
            self._file.flush()
        except OSError as error:
            raise _no_room(error) from error

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Give the rows; as often as one likes."""
        self._file.seek(0)
        reader = ipc.open_file(self._file)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)

    @property
    def closed(self) -> bool:
        """Whether the file is removed."""
        return self._file.closed

    def close(self) -> None:
        """Remove the file."""
        self._file.close()


def _no_room(error: OSError) -> SpoolError:
    return SpoolError(
        f"There is no room to lay aside the rows that FITS needs whole: {error.strerror}. "
        "Ask for RESPONSEFORMAT=votable or parquet, which need none."
    )


def _learn(array: pa.Array, field: Field, known: Known) -> None:
    """Keep what the header will need to know of a column."""
    values = array
    if field.is_text:
        lengths = pc.binary_length(array)
    elif field.is_list:
        lengths, values = pc.list_value_length(array), array.flatten()
    else:
        lengths = None
    if lengths is not None:
        known.longest = max(known.longest, pc.max(lengths).as_py() or 0)
        known.total += pc.sum(lengths).as_py() or 0
    known.has_null = known.has_null or bool(array.null_count or values.null_count)
    if pa.types.is_integer(values.type):
        ends = pc.min_max(values)
        least, greatest = ends["min"].as_py(), ends["max"].as_py()
        if least is not None:
            known.least = least if known.least is None else min(known.least, least)
            known.greatest = greatest if known.greatest is None else max(known.greatest, greatest)

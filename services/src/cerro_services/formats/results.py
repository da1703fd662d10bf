"""A result written piece by piece, with the number of rows that were asked for and no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from cerro_services.errors import CerroError
from cerro_services.formats.negotiate import Writer


@dataclass
class Rows:
    """What was written so far.

    Parameters
    ----------
    count
        Number of rows.
    overflow
        Whether there were more than MAXREC.
    error
        Why the rows ended too early.
    """

    count: int = 0
    overflow: bool = False
    error: CerroError | None = None


def pieces(
    batches: Iterable[pa.RecordBatch], writer: Writer, maxrec: int, rows: Rows | None = None
) -> Iterator[bytes]:
    """Write a result.

    Parameters
    ----------
    batches
        The rows; at least one more than `maxrec` where there are more.
    writer
        The format.
    maxrec
        Number of rows to write at most.
    rows
        Is kept up to date.

    Yields
    ------
    bytes
        Pieces of the document. An error after the first piece becomes part of the document.

    Raises
    ------
    CerroError
        What went wrong before the first row.
    """
    rows = rows if rows is not None else Rows()
    source = iter(batches)
    batch = next(source, None)
    yield writer.begin()
    try:
        while batch is not None:
            room = maxrec - rows.count
            if batch.num_rows > room:
                rows.overflow = True
                batch = batch.slice(0, room)
            rows.count += batch.num_rows
            if batch.num_rows:
                yield writer.rows(batch)
            if rows.overflow:
                break
            batch = next(source, None)
    except CerroError as error:
        rows.error = error
    yield writer.end(overflow=rows.overflow, error=rows.error.message if rows.error else None)

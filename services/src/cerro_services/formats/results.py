"""A result written piece by piece, with the number of rows that were asked for and no more."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from cerro_services.errors import CerroError
from cerro_services.formats.negotiate import Writer

_PIECE = 4 << 20
"""Bytes of rows that are written at once: rows may be as wide as they like."""


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
) -> Generator[bytes]:
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
    try:
        batch = next(source, None)
        if head := writer.begin():
            yield head
        try:
            while batch is not None:
                room = maxrec - rows.count
                if batch.num_rows > room:
                    rows.overflow = True
                    batch = batch.slice(0, room)
                for part in _parts(batch):
                    piece = writer.rows(part)
                    rows.count += part.num_rows
                    # Also an empty piece: whoever waits sees that it goes on.
                    yield piece
                if rows.overflow:
                    break
                batch = next(source, None)
        except CerroError as error:
            rows.error = error
        message = rows.error.message if rows.error else None
        yield from writer.end(overflow=rows.overflow, error=message)
    finally:
        writer.close()


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch into pieces of bounded size."""
    rows = batch.num_rows
    if not rows:
        return
    size = batch.nbytes
    step = rows if size <= _PIECE else max(1, rows * _PIECE // size)
    for start in range(0, rows, step):
        yield batch.slice(start, step)

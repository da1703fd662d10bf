"""The archive of stamps: one Parquet file, written image by image so that work can go on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cerro_services.cutout.bulk.plan import Work
from cerro_services.cutout.bulk.stamps import Stamp
from cerro_services.uws.kinds import ResultFile

_BATCH = 256
"""Stamps in memory at once."""


def schema(size: int) -> pa.Schema:
    """Give the columns of an archive of stamps.

    Parameters
    ----------
    size
        Side of a stamp in pixels.
    """
    fields = [
        pa.field(
            "row", pa.int64(), metadata={"description": "Row of the table of positions, from 0"}
        ),
        pa.field("band", pa.string()),
        pa.field("obs_publisher_did", pa.string()),
        pa.field("x0", pa.int32(), metadata={"description": "First column in the image, from 0"}),
        pa.field("y0", pa.int32(), metadata={"description": "First row in the image, from 0"}),
        pa.field("pixels", pa.list_(pa.float32(), size * size)),
    ]
    return pa.schema(fields, metadata={"size": str(size)})


def write_part(path: Path, work: Work, found: Iterable[Stamp], size: int) -> None:
    """Write the stamps of one image; the file is whole or not there.

    Parameters
    ----------
    path
        Where.
    work
        The image.
    found
        Its stamps.
    size
        Their side in pixels.
    """
    columns = schema(size)
    partial = path.with_suffix(".partial")
    with pq.ParquetWriter(
        partial,
        columns,
        compression="zstd",
        use_dictionary=["band", "obs_publisher_did"],
        use_byte_stream_split=["pixels.list.element"],
    ) as writer:
        held: list[Stamp] = []
        for stamp in found:
            held.append(stamp)
            if len(held) == _BATCH:
                writer.write_batch(_batch(held, work, columns))
                held = []
        if held:
            writer.write_batch(_batch(held, work, columns))
    partial.rename(path)


def join(parts: Iterable[Path], file: ResultFile, size: int) -> int:
    """Write the parts into one archive, and give the number of stamps."""
    count = 0
    sink = pa.PythonFile(_Sink(file), mode="w")
    with pq.ParquetWriter(
        sink,
        schema(size),
        compression="zstd",
        use_dictionary=["band", "obs_publisher_did"],
        use_byte_stream_split=["pixels.list.element"],
    ) as writer:
        for part in parts:
            for batch in pq.ParquetFile(part).iter_batches(batch_size=_BATCH):
                writer.write_batch(batch)
                count += batch.num_rows
    return count


def _batch(held: list[Stamp], work: Work, columns: pa.Schema) -> pa.RecordBatch:
    rows, x0, y0, pixels = zip(*held, strict=True)
    flat = pa.array(np.stack(pixels).ravel())
    kind = columns.field("pixels").type
    return pa.record_batch(
        [
            pa.array(rows, pa.int64()),
            pa.array([work.image.row.get("lsst_band")] * len(held), pa.string()),
            pa.array([work.image.id] * len(held), pa.string()),
            pa.array(x0, pa.int32()),
            pa.array(y0, pa.int32()),
            pa.FixedSizeListArray.from_arrays(flat, kind.list_size).cast(kind),
        ],
        schema=columns,
    )


class _Sink:
    """A result of a job as Arrow writes files."""

    def __init__(self, file: ResultFile) -> None:
        self._file = file
        self.closed = False

    def write(self, piece: Any) -> int:
        self._file.write(bytes(piece))
        return len(piece)

    def tell(self) -> int:
        return self._file.size

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True

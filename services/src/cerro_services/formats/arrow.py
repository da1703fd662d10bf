"""Arrow IPC stream: the engine's batches as they are."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from pyarrow import ipc

from cerro_services.formats.conform import conform
from cerro_services.formats.fields import Field
from cerro_services.formats.frame import BARE, Frame
from cerro_services.formats.sink import Sink, distinct

MIME = "application/vnd.apache.arrow.stream"
STATUS = "cerro.status"
_ATTRIBUTES = ("unit", "ucd", "utype", "xtype", "description", "datatype", "arraysize")


def schema(fields: Sequence[Field]) -> pa.Schema:
    """Give the schema of a result; unit, UCD and so on are metadata of its fields."""
    names = distinct([f.column.name for f in fields])
    return pa.schema(
        [
            pa.field(
                name,
                f.type,
                metadata={a: v for a in _ATTRIBUTES if (v := getattr(f.column, a))},
            )
            for name, f in zip(names, fields, strict=True)
        ]
    )


class ArrowWriter:
    """Writes an Arrow IPC stream.

    The last batch has no rows; its metadata says whether rows are missing.

    Parameters
    ----------
    fields
        The columns.
    frame
        What the document says besides the rows.
    """

    def __init__(self, fields: Sequence[Field], frame: Frame = BARE) -> None:
        self._fields = fields
        self._schema = schema(fields).with_metadata(
            {f"cerro.{n.lower()}": v for n, v in frame.info}
        )
        self._sink = Sink()
        self._writer = ipc.new_stream(pa.PythonFile(self._sink, mode="w"), self._schema)

    def begin(self) -> bytes:
        """Write the schema."""
        return self._sink.take()

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write a batch of rows."""
        arrays = conform(batch, self._fields)
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        return self._sink.take()

    def end(self, *, overflow: bool = False, error: str | None = None) -> Sequence[bytes]:
        """Write the end of the stream.

        Raises
        ------
        ConnectionAbortedError
            There was an error: the stream stays without its end.
        """
        if error is not None:
            raise ConnectionAbortedError(error)
        if overflow:
            nothing = pa.RecordBatch.from_pylist([], schema=self._schema)
            self._writer.write_batch(nothing, custom_metadata={STATUS: "OVERFLOW"})
        self._writer.close()
        return [self._sink.take()]

    def close(self) -> None:
        """Give nothing back: nothing is held."""

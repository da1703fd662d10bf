"""VOTable BINARY and BINARY2 (VOTable 1.4 §5.3, §5.4): rows as bytes, in base64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pybase64

from cerro_services.formats import votable
from cerro_services.formats.conform import ValueRefusedError, conform
from cerro_services.formats.fields import Field
from cerro_services.formats.frame import BARE, Frame
from cerro_services.formats.packing import Part, mask, pack, part


class Binary2Writer:
    """Writes a VOTable whose rows are BINARY2: each begins with a mask of its NULLs.

    Parameters
    ----------
    fields
        The columns.
    frame
        What the document says besides the rows.
    """

    element = "BINARY2"

    def __init__(self, fields: Sequence[Field], frame: Frame = BARE) -> None:
        self._fields = fields
        self._frame = frame
        self._carry = b""

    def begin(self) -> bytes:
        """Write everything before the first row."""
        head = votable.start(self._frame.info) + votable.table(self._fields, self._frame.services)
        return (head + f'<DATA><{self.element}>\n<STREAM encoding="base64">\n').encode()

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write a batch of rows."""
        arrays = conform(batch, self._fields)
        raw = pack(self._parts(arrays), batch.num_rows)
        if self._carry:
            raw = np.concatenate((np.frombuffer(self._carry, np.uint8), raw))
        # Base64 takes three bytes at a time; what is left over waits for the next batch.
        whole = len(raw) // 3 * 3
        self._carry = raw[whole:].tobytes()
        return pybase64.b64encode(raw[:whole])

    def end(self, *, overflow: bool = False, error: str | None = None) -> Sequence[bytes]:
        """Write everything after the last row."""
        rest = pybase64.b64encode(self._carry)
        tail = f"\n</STREAM>\n</{self.element}></DATA>\n" + votable.end(
            self._fields, self._frame.services, overflow=overflow, error=error
        )
        return [rest + tail.encode()]

    def close(self) -> None:
        """Give nothing back: nothing is held."""

    def _parts(self, arrays: Sequence[pa.Array]) -> list[Part]:
        cells = [part(a, f) for a, f in zip(arrays, self._fields, strict=True)]
        return [mask(arrays), *cells]


class BinaryWriter(Binary2Writer):
    """Writes a VOTable whose rows are BINARY: a value of each column stands for NULL."""

    element = "BINARY"

    def _parts(self, arrays: Sequence[pa.Array]) -> list[Part]:
        for array, field in zip(arrays, self._fields, strict=True):
            if field.null is not None:
                _without(array, field)
        return [part(a, f) for a, f in zip(arrays, self._fields, strict=True)]


def _without(array: pa.Array, field: Field) -> None:
    """Refuse a column that holds the value that stands for NULL.

    Raises
    ------
    ValueRefusedError
        It does: the reader would take it for NULL.
    """
    values = array.flatten() if field.is_list else array
    if pc.any(pc.equal(values, pa.scalar(field.null, values.type)), min_count=0).as_py():
        raise ValueRefusedError(
            f"{field.column.name} holds {field.null}, which stands for NULL in VOTable BINARY. "
            "Ask for RESPONSEFORMAT=votable/b2."
        )

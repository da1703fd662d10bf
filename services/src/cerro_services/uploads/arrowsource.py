"""Arrow IPC files and streams, every buffer checked before it is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from cerro_services.release.errors import DataError
from cerro_services.release.readers import Field, TableSource
from cerro_services.uploads.guard import BombError, check_message

_ROWS = 65_536


class ArrowSource(TableSource):
    """One Arrow IPC file or stream.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with path.open("rb") as stream:
            # A file is a stream between two marks, its footer apart (Arrow format, IPC File).
            self._start = 8 if stream.read(6) == b"ARROW1" else 0

    @cached_property
    def _schema(self) -> pa.Schema:
        try:
            with pa.OSFile(str(self.path)) as file:
                file.seek(self._start)
                return pa.ipc.open_stream(file).schema
        except (pa.ArrowException, OSError) as error:
            raise DataError("is damaged Arrow.", file=self.path) from error

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The columns of the file."""
        return tuple(_field(field) for field in self._schema)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read the rows."""
        self._check()
        try:
            with pa.OSFile(str(self.path)) as file:
                file.seek(self._start)
                for batch in pa.ipc.open_stream(file):
                    batch.validate(full=True)
                    for start in range(0, batch.num_rows, _ROWS):
                        yield batch.slice(start, _ROWS).select(list(columns))
        except (pa.ArrowException, OSError) as error:
            raise DataError("is damaged Arrow.", file=self.path) from error

    def _check(self) -> None:
        try:
            with pa.OSFile(str(self.path)) as file:
                file.seek(self._start)
                for message in pa.ipc.MessageReader.open_stream(file):
                    check_message(message.metadata)
        except BombError as error:
            raise DataError(f"{error}.", file=self.path) from error
        except (pa.ArrowException, OSError) as error:
            raise DataError("is damaged Arrow.", file=self.path) from error


def _field(field: pa.Field) -> Field:
    meta = {k.decode(): v.decode(errors="replace") for k, v in (field.metadata or {}).items()}
    return Field(
        field.name,
        field.type,
        unit=meta.get("unit"),
        ucd=meta.get("ucd"),
        utype=meta.get("utype"),
        description=meta.get("description"),
        datatype=meta.get("datatype"),
        arraysize=meta.get("arraysize"),
        xtype=meta.get("xtype"),
    )

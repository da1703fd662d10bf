"""Columns of an upload: how they are described, and how their values are held."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.release import Column
from cerro_services.release.readers import Field, TableSource
from cerro_services.uploads.errors import UploadError, UploadTooLargeError
from cerro_services.uploads.guard import written_out
from cerro_services.uploads.guess import Guess, read, survives
from cerro_services.uploads.types import ARROW, arrow_of, is_list, stored, width_of

_DATATYPES = {
    "boolean": "boolean",
    "bit": "boolean",
    "unsignedByte": "byte",
    "short": "short",
    "int": "int",
    "long": "long",
    "float": "float",
    "double": "double",
    "char": "char",
    "unicodeChar": "unicode",
}
_LONGEST_NAME = 256
_ARRAYSIZE = re.compile(r"(\d{1,9}x){0,8}(\d{1,9}\*?|\*)")


class Columns:
    """The columns of an upload, learnt while its rows are read once and then converted.

    Parameters
    ----------
    upload
        Name of the upload, for errors.
    source
        Its reader.
    most
        Columns at most.
    size
        Bytes of a batch at most.

    Raises
    ------
    UploadError
        A column cannot be held, or two have one name.
    UploadTooLargeError
        There are too many.
    """

    def __init__(self, upload: str, source: TableSource, most: int, size: int) -> None:
        self._upload = upload
        self._size = size
        self.fields = source.fields
        if len(self.fields) > most:
            raise UploadTooLargeError(
                upload, f"has {len(self.fields):,} columns; at most {most:,} are read."
            )
        _check_names(upload, self.fields)
        # Where nothing but this tells them apart, no value and an empty text are the same.
        self._blank = bool(getattr(source, "blank_is_null", source.empty_is_null))
        self._text = source.is_text
        self._columns = [self._column(field) for field in self.fields]
        self._guesses = [
            Guess() if self._open(field, column) else None
            for field, column in zip(self.fields, self._columns, strict=True)
        ]
        self._times = [column.xtype == "timestamp" for column in self._columns]
        self._widths = [width_of(column) for column in self._columns]
        self._wide = [False] * len(self._columns)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [field.name for field in self.fields]

    def see(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Learn from some rows, and give them without encodings that say nothing.

        Parameters
        ----------
        batch
            As the reader gives them.
        """
        arrays = []
        for number, given in enumerate(batch.columns):
            values = self._plain(given)
            guess = self._guesses[number]
            if guess is not None:
                guess.see(values)
            if self._times[number]:
                self._times[number] = pa.types.is_string(values.type) and survives(values)
            width = self._widths[number]
            if width is not None and not self._wide[number] and len(values):
                longest = pc.max(pc.binary_length(values)).as_py() or 0
                self._wide[number] = longest > width
            arrays.append(values)
        return pa.RecordBatch.from_arrays(arrays, names=self.names)

    def settled(self) -> tuple[Column, ...]:
        """Describe the columns, once all rows were seen."""
        return tuple(self._settled(number) for number in range(len(self.fields)))

    def convert(self, batch: pa.RecordBatch, columns: Sequence[Column]) -> pa.RecordBatch:
        """Give rows as they are held.

        Parameters
        ----------
        batch
            As `see` gave them.
        columns
            As `settled` gave them.
        """
        arrays = [
            self._held(values, column, self._guesses[number])
            for number, (values, column) in enumerate(zip(batch.columns, columns, strict=True))
        ]
        return pa.RecordBatch.from_arrays(arrays, names=self.names)

    # ---- inside -------------------------------------------------------------------------------

    def _column(self, field: Field) -> Column:
        described = Column(
            field.name,
            "char",
            unit=field.unit,
            ucd=field.ucd,
            utype=field.utype,
            xtype=field.xtype,
            description=field.description,
        )
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_null(kind):
            return replace(described, arraysize="*")
        datatype, arraysize = self._kind(kind, field)
        xtype = field.xtype or ("timestamp" if datatype == "timestamp" else None)
        # What a VOTable says of itself, as far as its values are such.
        told = _DATATYPES.get(field.datatype or "")
        texts = {"char", "unicode"}
        if told == datatype or (told in texts and datatype in texts):
            # One character needs no arraysize there.
            given = field.arraysize or ("1" if told in texts else None)
            if given is None or _ARRAYSIZE.fullmatch(given):
                datatype, arraysize = told, given
        return replace(described, datatype=datatype, arraysize=arraysize, xtype=xtype)

    def _kind(self, kind: pa.DataType, field: Field) -> tuple[str, str | None]:
        if is_list(kind):
            inner, deeper = self._kind(kind.value_type, field)
            if deeper is not None or inner == "timestamp":
                raise self._unfit(field, kind)
            fixed = pa.types.is_fixed_size_list(kind)
            return inner, str(kind.list_size) if fixed else "*"
        for given, datatype, _ in ARROW:
            if kind == given:
                return datatype, None
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return "char", "*"
        if pa.types.is_string_view(kind):
            return "char", "*"
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return "binary", "*"
        if pa.types.is_fixed_size_binary(kind):
            return "binary", "*"
        if pa.types.is_decimal(kind):
            return "double", None
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return "timestamp", "*"
        raise self._unfit(field, kind)

    def _unfit(self, field: Field, kind: pa.DataType) -> UploadError:
        return UploadError(
            self._upload,
            f"column {field.name} is of type {kind}, which no query can use. Leave it out, or give "
            "numbers, text, times, or arrays of numbers.",
        )

    def _open(self, field: Field, column: Column) -> bool:
        """Whether the values must say what the column holds."""
        if field.datatype in {"char", "unicodeChar"}:
            return False
        return pa.types.is_null(field.type) or (
            column.datatype == "char" and column.arraysize == "*"
        )

    def _plain(self, values: pa.Array) -> pa.Array:
        values = written_out(values, self._size)
        kind = values.type
        if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            values = values.cast(pa.string())
        elif pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
            values = values.cast(pa.binary())
        elif pa.types.is_large_list(kind):
            values = values.cast(pa.list_(kind.value_type))
        elif pa.types.is_null(kind):
            values = values.cast(pa.string())
        if self._blank and pa.types.is_string(values.type):
            values = pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
        return values

    def _settled(self, number: int) -> Column:
        column, guess = self._columns[number], self._guesses[number]
        if self._wide[number]:
            # A text is longer than its column says: nothing is cut off.
            column = replace(column, arraysize="*")
        if guess is not None and pa.types.is_null(self.fields[number].type):
            kind = guess.kind
            texts = kind in {"char", "unicode", "timestamp"}
            return replace(
                column,
                datatype=kind,
                arraysize="*" if texts else None,
                xtype="timestamp" if kind == "timestamp" else column.xtype,
            )
        if guess is not None:
            return replace(column, datatype="char" if guess.ascii else "unicode")
        if self._times[number] and column.datatype in {"char", "unicode"}:
            return replace(column, datatype="timestamp")
        return column

    def _held(self, values: pa.Array, column: Column, guess: Guess | None) -> pa.Array:
        if guess is not None and column.datatype == guess.kind:
            return read(values, guess.kind)
        want = arrow_of(column) if self._text else stored(values.type)
        if column.datatype == "timestamp":
            want = pa.timestamp("us")
            if pa.types.is_timestamp(values.type) and values.type.tz is not None:
                values = values.cast(pa.timestamp("us", "UTC"), safe=False)
        if want == values.type:
            return values
        safe = not (pa.types.is_temporal(values.type) or pa.types.is_decimal(values.type))
        try:
            return values.cast(want, safe=safe)
        except pa.ArrowInvalid as error:
            raise UploadError(
                self._upload,
                f"column {column.name} of type {values.type} has a value that {column.datatype} "
                "cannot hold.",
            ) from error


def _check_names(upload: str, fields: Sequence[Field]) -> None:
    if not fields:
        raise UploadError(upload, "has no columns.")
    seen: dict[str, str] = {}
    for field in fields:
        if not field.name or len(field.name) > _LONGEST_NAME or "\0" in field.name:
            raise UploadError(
                upload,
                f"has a column named {field.name[:40]!r}; a name has 1 to {_LONGEST_NAME} "
                "characters.",
            )
        other = seen.setdefault(field.name.lower(), field.name)
        if other is not field.name:
            raise UploadError(
                upload,
                f"has columns {other!r} and {field.name!r}, which a query would not tell apart. "
                "Rename one.",
            )

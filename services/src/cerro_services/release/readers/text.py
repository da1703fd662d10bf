"""Tables as text: CSV and ECSV, plain or compressed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.csv as pacsv

from cerro_services.release.errors import DataError
from cerro_services.release.readers.base import BATCH_BYTES, Field, TableSource

_DELIMITERS = (",", ";", "\t", "|")


class CsvSource(TableSource):
    """One CSV file: a line of names, then rows.

    The delimiter is the one of comma, semicolon, tab and bar that the line of names has most of.
    Leading lines that begin with ``#`` are skipped. All values come as text; a value that is empty
    and not quoted is no value.
    """

    is_text: ClassVar[bool] = True
    quoted_is_null: ClassVar[bool] = False

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._comments: list[str] = []
        header = ""
        try:
            with self._open() as stream:
                for line in io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""):
                    if not line.startswith("#"):
                        header = line
                        break
                    self._comments.append(line[1:].removeprefix(" ").rstrip("\r\n"))
        except UnicodeDecodeError as error:
            raise DataError("is not UTF-8 text. Save it as such.", file=path) from error
        except (OSError, EOFError) as error:
            raise DataError(f"cannot be read: {error}.", file=path) from error
        self.delimiter = self._find_delimiter(header)
        names = next(csv.reader([header], delimiter=self.delimiter), [])
        self._names = [name.strip() for name in names]
        self._check_names()

    def _check_names(self) -> None:
        if not any(self._names):
            raise DataError("has no line of column names.", file=self.path)
        for name in self._names:
            if not name or re.fullmatch(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", name):
                raise DataError(
                    f"names a column {name!r} in its first line, so that line seems to be data. "
                    "Put a line of column names before it.",
                    file=self.path,
                )
        if len(self._names) == 1 and len(self._names[0]) > 64:
            raise DataError(
                "has one column only, of a very long name; values are separated by comma, "
                "semicolon, tab or bar.",
                file=self.path,
            )
        doubled = {n for n in self._names if self._names.count(n) > 1}
        if doubled:
            raise DataError(f"names column {min(doubled)!r} twice. Rename one.", file=self.path)

    def _open(self) -> Any:
        return pa.input_stream(str(self.path), compression="detect")

    def _find_delimiter(self, header: str) -> str:
        return max(_DELIMITERS, key=header.count)

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The columns; their types are unknown."""
        return tuple(Field(name, pa.null()) for name in self._names)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read the rows, all values as text."""
        problems: list[pacsv.InvalidRow] = []

        def note(row: pacsv.InvalidRow) -> str:
            problems.append(row)
            return "error"

        done = 0
        try:
            with self._open() as stream:
                reader = pacsv.open_csv(
                    stream,
                    pacsv.ReadOptions(
                        column_names=self._names,
                        skip_rows=len(self._comments) + 1,
                        block_size=BATCH_BYTES,
                        use_threads=True,
                    ),
                    pacsv.ParseOptions(
                        delimiter=self.delimiter,
                        newlines_in_values=True,
                        invalid_row_handler=note,
                    ),
                    pacsv.ConvertOptions(
                        column_types=dict.fromkeys(self._names, pa.string()),
                        include_columns=list(columns),
                        null_values=[""],
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=self.quoted_is_null,
                    ),
                )
                for batch in reader:
                    if batch.num_rows:
                        yield batch
                        done += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            yield from self._after(error, problems, done)

    def _after(
        self, error: Exception, problems: list[pacsv.InvalidRow], done: int
    ) -> Iterator[pa.RecordBatch]:
        if isinstance(error, pa.ArrowInvalid) and "Empty CSV" in str(error):
            return
        if isinstance(error, OSError) and error.errno is not None:
            raise error
        if problems:
            bad = problems[0]
            raise DataError(
                f"has {bad.actual_columns} values where the header names {bad.expected_columns} "
                "columns.",
                file=self.path,
                row=self._row_of(bad, done),
                value=bad.text,
            ) from error
        raise DataError(
            f"cannot be read after row {done:,}: {str(error).splitlines()[0]}", file=self.path
        ) from error
        yield  # pragma: no cover - makes this a generator

    def _row_of(self, bad: pacsv.InvalidRow, done: int) -> int:
        """Count the rows up to a bad one; threads parse ahead, so Arrow itself does not know."""
        if bad.number is not None:
            return int(bad.number) - len(self._comments) - 1
        with self._open() as stream:
            text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
            for _ in range(len(self._comments) + 1):
                text.readline()
            rows = csv.reader(text, delimiter=self.delimiter)
            for number, row in enumerate((r for r in rows if r), 1):
                if len(row) != len(self._names):
                    return number
        return done + 1


class EcsvSource(CsvSource):
    """One ECSV file (astropy APE 6): CSV with types, units and descriptions in its comments."""

    empty_is_null: ClassVar[bool] = True
    quoted_is_null: ClassVar[bool] = True

    @cached_property
    def _header(self) -> dict[str, Any]:
        import yaml

        lines = [line for line in self._comments if not line.startswith("%ECSV")]
        try:
            document = yaml.load("\n".join(lines), Loader=_header_loader())  # noqa: S506 - safe
        except (yaml.YAMLError, RecursionError) as error:
            raise DataError(f"has a damaged ECSV header: {error}", file=self.path) from error
        columns = document.get("datatype") if isinstance(document, dict) else None
        if not isinstance(columns, list) or not all(
            isinstance(c, dict) and isinstance(c.get("name"), str | int) and "datatype" in c
            for c in columns
        ):
            raise DataError("has no ECSV header with 'datatype'.", file=self.path)
        return dict(document)

    def _find_delimiter(self, header: str) -> str:  # noqa: ARG002 - the header above says it
        return str(self._header.get("delimiter", " "))

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The columns, as the header describes them."""
        found = []
        for column in self._header["datatype"]:
            name, datatype = str(column["name"]), str(column["datatype"])
            if column.get("subtype") or datatype not in _ECSV_TYPES:
                raise DataError(
                    f"has the ECSV type {datatype} {column.get('subtype') or ''}, which is not "
                    "supported: give scalars.".replace("  ", " "),
                    file=self.path,
                    column=name,
                )
            meta = dict(column.get("meta") or ())
            found.append(
                Field(
                    name,
                    _ECSV_TYPES[datatype],
                    unit=None if column.get("unit") is None else str(column["unit"]),
                    ucd=str(meta["ucd"]) if "ucd" in meta else None,
                    description=column.get("description"),
                )
            )
        if [f.name for f in found] != self._names:
            raise DataError("names other columns in its header than in its body.", file=self.path)
        return tuple(found)


_ECSV_TYPES = {
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "uint16": pa.uint16(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
    "float16": pa.float32(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "float128": pa.float64(),
    "string": pa.string(),
}


def _header_loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Reads astropy's tags (units, ordered maps, …) as the plain values below them."""

    def plain(loader: Any, _suffix: str, node: Any) -> Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return loader.construct_scalar(node)

    Loader.add_multi_constructor("!", plain)
    Loader.add_multi_constructor("tag:", plain)
    return Loader

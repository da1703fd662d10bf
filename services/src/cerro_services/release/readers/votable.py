"""VOTables (VOTable 1.x), parsed as a stream: no part of the document is kept.

Expat reads the XML with nothing resolved from outside, and a document that declares entities is
refused, so that a hostile file can neither reach other files nor grow in memory.
"""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, cast
from xml.parsers import expat

import pyarrow as pa

from cerro_services.release.errors import DataError
from cerro_services.release.readers import voplain
from cerro_services.release.readers.base import Field, TableSource
from cerro_services.release.readers.vobinary import BinaryRows
from cerro_services.release.readers.vodata import MAX_CELL, Decoder, VOField
from cerro_services.release.readers.votext import TextRows

_READ = 1 << 18
_HEAD = 1 << 12
_MOST_FIELDS = 10_000
_DATA = {"TABLEDATA": "tabledata", "BINARY": "binary", "BINARY2": "binary2"}


@dataclass
class _State:
    """What has been seen of the document."""

    fields: list[VOField] = field(default_factory=list)
    nrows: int | None = None
    status: str | None = None
    status_text: str = ""
    serialization: str | None = None
    encoding: str | None = None
    offset: int = 0
    finished: bool = False


class _Parser:
    """Feeds a VOTable to a decoder of rows.

    Parameters
    ----------
    path
        The file, for errors.
    decode
        Whether to decode rows; without, only the fields are read.
    """

    def __init__(self, path: Path, *, decode: bool) -> None:
        self.path = path
        self.decode = decode
        self.state = _State()
        self.rows: Decoder | None = None
        self._text: list[str] | None = None
        self._current: VOField | None = None
        self._in_table = False
        self._unfinished: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self._expat = expat.ParserCreate(namespace_separator=" ")
        self._expat.buffer_text = True
        self._expat.buffer_size = 1 << 16
        self._expat.EntityDeclHandler = self._refuse_entity
        self._expat.XmlDeclHandler = self._declared
        self._expect_any()

    def _expect_any(self) -> None:
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._characters

    def feed(self, data: bytes, *, final: bool) -> None:
        """Parse some more of the document."""
        try:
            self._expat.Parse(data, final)
        except expat.ExpatError as error:
            if self.state.finished:
                return
            at = self.rows.done if self.rows else 0
            raise DataError(
                f"is damaged or cut short at line {error.lineno}"
                f"{f', after row {at:,}' if self.rows else ''}: {expat.ErrorString(error.code)}.",
                file=self.path,
            ) from error
        if self._text is not None and len(self._text) > MAX_CELL >> 16:
            raise DataError("has an endless description.", file=self.path)
        cells, characters = self._unfinished()
        if cells > _MOST_FIELDS or characters > MAX_CELL:
            raise DataError(
                f"has a row of more than {_MOST_FIELDS:,} cells or a cell of more than "
                f"{MAX_CELL:,} characters.",
                file=self.path,
                row=self.rows.done + 1 if self.rows else None,
            )

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self.state.encoding = encoding

    def _refuse_entity(self, name: str, *_: object) -> None:
        raise DataError(
            f"declares the XML entity {name!r}; such a file is refused, for it may be hostile.",
            file=self.path,
        )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(" ")[2]
        if self.state.finished:
            return
        if tag == "FIELD" and self._in_table:
            self._current = VOField.from_attributes(attributes, self.path)
            self.state.fields.append(self._current)
            if len(self.state.fields) > _MOST_FIELDS:
                raise DataError(f"has more than {_MOST_FIELDS:,} columns.", file=self.path)
        elif tag == "VALUES" and self._current is not None:
            self._current.null = attributes.get("null")
        elif tag == "DESCRIPTION" and self._current is not None:
            self._text = []
        elif tag == "INFO" and attributes.get("name", "").upper() == "QUERY_STATUS":
            self.state.status = attributes.get("value", "").upper()
            self._text = []
        elif tag == "TABLE":
            self._in_table = True
            # A table without DATA went before.
            self.state.fields.clear()
            nrows = attributes.get("nrows", "")
            self.state.nrows = int(nrows) if nrows.isdecimal() and len(nrows) < 19 else None
        elif tag in {*_DATA, "FITS", "PARQUET"} and self._in_table:
            self._begin(tag)
        elif tag == "STREAM" and self._in_table:
            self._stream(attributes)

    def _begin(self, tag: str) -> None:
        if tag not in _DATA:
            raise DataError(f"holds its rows as {tag}, elsewhere: give that file.", file=self.path)
        self.state.serialization = _DATA[tag]
        self.state.offset = self._expat.CurrentByteIndex
        if self.decode:
            kind = TextRows if tag == "TABLEDATA" else BinaryRows
            self.rows = kind(self.path, self.state.fields, with_nulls=tag == "BINARY2")
            if isinstance(self.rows, TextRows):
                self._expect_cells(self.rows)

    def _expect_cells(self, rows: TextRows) -> None:
        """Handle nothing but rows and cells, by as little Python as may be, until they end."""
        text: list[str] = []
        cells: list[str] = []

        def start(_tag: str, _attributes: dict[str, str]) -> None:
            text.clear()

        def end(tag: str) -> None:
            nonlocal cells
            # Tags come as "namespace TD".
            last = tag[-2:]
            if last == "TD":
                cells.append("".join(text))
            elif last == "TR":
                rows.append(cells)
                cells = []
            else:
                self._expect_any()
                self._end(tag)

        self._unfinished = lambda: (len(cells), sum(map(len, text)))
        self._expat.StartElementHandler = start
        self._expat.EndElementHandler = end
        self._expat.CharacterDataHandler = text.append

    def _stream(self, attributes: dict[str, str]) -> None:
        if "href" in attributes:
            raise DataError(
                "keeps its rows in another file (STREAM href), which is not followed.",
                file=self.path,
            )
        if attributes.get("encoding") != "base64":
            raise DataError("has a STREAM that is not base64.", file=self.path)

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)
        elif isinstance(self.rows, BinaryRows) and not self.state.finished:
            self.rows.feed(text)

    def _end(self, tag: str) -> None:
        tag = tag.rpartition(" ")[2]
        if self.state.finished:
            return
        if tag == "FIELD":
            self._current = None
        elif tag == "DESCRIPTION" and self._current is not None:
            self._current.description = " ".join("".join(self._text or ()).split())
            self._text = None
        elif tag == "INFO":
            self.state.status_text = "".join(self._text or ())
            self._text = None
        elif tag == "TABLE" and self._in_table:
            self._in_table = False
            if self.rows is not None:
                self.rows.finish()
            # The status may follow the table (DALI §4.4.1); further tables do not count.
            self.state.finished = bool(self.state.serialization)


class VOTableSource(TableSource):
    """The first table of one VOTable: TABLEDATA, BINARY or BINARY2, possibly gzipped."""

    def _open(self) -> IO[bytes]:
        with self.path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        return cast("IO[bytes]", gzip.open(self.path)) if packed else self.path.open("rb")

    def _parse(self, parser: _Parser, size: int = _READ) -> Iterator[None]:
        with self._open() as stream:
            while True:
                try:
                    data = stream.read(size)
                except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                    raise DataError("is cut short or damaged.", file=self.path) from error
                parser.feed(data, final=not data)
                yield
                if not data or parser.state.finished:
                    return

    @cached_property
    def _head(self) -> _State:
        parser = _Parser(self.path, decode=False)
        # The head is mostly short: what follows it need not be parsed twice.
        for _ in self._parse(parser, _HEAD):
            if parser.state.serialization:
                break
        state = parser.state
        if state.status == "ERROR":
            raise DataError(
                f"is the report of a failed query: {state.status_text.strip()}", file=self.path
            )
        if not state.fields:
            raise DataError("has no table with columns.", file=self.path)
        names = [f.name for f in state.fields]
        doubled = sorted(n for n, count in Counter(names).items() if count > 1)
        if doubled:
            raise DataError(f"names column {doubled[0]!r} twice.", file=self.path)
        return state

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The columns of the file."""
        return tuple(f.to_field() for f in self._head.fields)

    @property
    def nrows(self) -> int | None:
        """Number of rows, if the table says so."""
        return self._head.nrows

    @property
    def blank_is_null(self) -> bool:
        """Whether an empty text is the only way to write that there is none (VOTable §6)."""
        return self._head.serialization != "binary2"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Whether the table is the cut result of a query."""
        if not self._truncated:
            return ()
        return (f"{self.path}: the result of a query that was cut (QUERY_STATUS=OVERFLOW).",)

    @cached_property
    def _truncated(self) -> bool:
        # The mark stands after the rows; the end of the file is enough to see it.
        with self._open() as stream:
            if isinstance(stream, gzip.GzipFile):
                return self._head.status == "OVERFLOW"
            stream.seek(max(0, self.path.stat().st_size - 4096))
            return b'"OVERFLOW"' in stream.read()

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read the rows as they are parsed."""
        head = self._head
        if not head.serialization:
            # A table without DATA has no rows (VOTable §4.1), as astropy writes an empty one.
            return
        done = 0
        if head.serialization == "tabledata" and (head.encoding or "utf-8").lower() == "utf-8":
            rows = TextRows(self.path, head.fields, with_nulls=False)
            with self._open() as stream, contextlib.suppress(voplain.NotPlainError):
                stream.seek(head.offset)
                for some in self._told(voplain.rows(stream, len(head.fields))):
                    rows.extend(some)
                    yield from rows.take(columns)
                rows.finish()
                yield from rows.take(columns)
                return
            done = rows.done
        parser = _Parser(self.path, decode=True)
        for _ in self._parse(parser):
            if parser.rows is not None:
                for batch in parser.rows.take(columns):
                    # These rows are out already: the file turned out not to be plain after them.
                    known = min(done, batch.num_rows)
                    done -= known
                    if known < batch.num_rows:
                        yield batch.slice(known)

    def _told[T](self, parts: Iterator[T]) -> Iterator[T]:
        """Say of a file that ends too early which it is."""
        try:
            yield from parts
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError("is cut short or damaged.", file=self.path) from error

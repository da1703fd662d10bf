"""Which format a client asks for by RESPONSEFORMAT, FORMAT or Accept (DALI §3.4.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import pyarrow as pa

from cerro_services.errors import CerroError
from cerro_services.formats import csv, parquet, votable
from cerro_services.formats.binary2 import Binary2Writer
from cerro_services.formats.csv import CsvWriter
from cerro_services.formats.fields import Field
from cerro_services.formats.parquet import ParquetWriter
from cerro_services.formats.tabledata import TabledataWriter

Info = Sequence[tuple[str, str]]


class FormatError(CerroError):
    """A format that is not offered."""

    code: ClassVar[str] = "format_error"
    status: ClassVar[int] = 400


class Writer(Protocol):
    """Writes a result piece by piece."""

    def begin(self) -> bytes:
        """Write everything before the first row."""

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write a batch of rows."""

    def end(self, *, overflow: bool = False, error: str | None = None) -> bytes:
        """Write everything after the last row, and whether rows are missing."""


@dataclass(frozen=True)
class Format:
    """A format of results.

    Parameters
    ----------
    name
        Short name.
    mime
        Content-Type of a result.
    writer
        Makes the writer of one result.
    aliases
        What else a client may ask for it by.
    ivo_id
        Its identifier in TAPRegExt; None if it has none.
    marks_overflow
        Whether the result itself says that rows are missing.
    extension
        Of a file's name.
    """

    name: str
    mime: str
    writer: Callable[[Sequence[Field], Info], Writer]
    aliases: tuple[str, ...] = ()
    ivo_id: str | None = None
    marks_overflow: bool = True
    extension: str = "vot"


FORMATS: tuple[Format, ...] = (
    Format(
        "binary2",
        f"{votable.MIME};serialization=binary2",
        Binary2Writer,
        ("votable", "votable/b2", votable.MIME, "text/xml", "application/xml", "vot"),
        "ivo://ivoa.net/std/TAPRegExt#output-votable-binary2",
    ),
    Format(
        "tabledata",
        f"{votable.MIME};serialization=tabledata",
        TabledataWriter,
        ("votable/td", "votabletd"),
        "ivo://ivoa.net/std/TAPRegExt#output-votable-td",
    ),
    Format(
        "csv",
        f"{csv.MIME};header=present",
        lambda fields, _info: CsvWriter(fields),
        (csv.MIME,),
        marks_overflow=False,
        extension="csv",
    ),
    Format(
        "parquet",
        parquet.MIME,
        ParquetWriter,
        ("application/parquet", "application/x-parquet", "vo-parquet", "votable/parquet"),
        extension="parquet",
    ),
)


def choose(requested: str | None, accept: str | None = None) -> Format:
    """Give the format that a client asks for.

    Parameters
    ----------
    requested
        Value of RESPONSEFORMAT or FORMAT.
    accept
        Value of the Accept header; used only if nothing is requested and it names a format.

    Raises
    ------
    FormatError
        The format is not offered.
    """
    if requested:
        found = _find(requested)
        if found is None:
            names = ", ".join(form.name for form in FORMATS)
            raise FormatError(
                f"The format {requested!r} is not offered. Ask for votable, {names}, "
                "or a MIME type of these."
            )
        return found
    for wanted in (accept or "").split(","):
        found = _find(wanted.split(";q=")[0])
        if found is not None and "*" not in wanted:
            return found
    return FORMATS[0]


def _find(text: str) -> Format | None:
    wanted = "".join(text.lower().split()).replace('"', "")
    base, _, parameters = wanted.partition(";")
    if base in {"*/*", "text/*", "application/*"}:
        return FORMATS[0]
    for form in FORMATS:
        if wanted in {form.name, form.mime, *form.aliases}:
            return form
    if base in {votable.MIME, "text/xml", "application/xml"}:
        for form in FORMATS[:2]:
            if f"serialization={form.name}" in parameters.split(";"):
                return form
        return None if "serialization=" in parameters else FORMATS[0]
    return next((form for form in FORMATS if base in form.aliases), None)

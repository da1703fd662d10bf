"""Which format a client asks for by RESPONSEFORMAT, FORMAT or Accept (DALI §3.4.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import pyarrow as pa

from cerro_services.errors import CerroError
from cerro_services.formats import arrow, delimited, fits, jsonrows, parquet, votable
from cerro_services.formats.binary import Binary2Writer, BinaryWriter
from cerro_services.formats.fields import Field
from cerro_services.formats.frame import Frame
from cerro_services.formats.tabledata import TabledataWriter


class FormatError(CerroError, code="format_error", status=400):
    """A format that is not offered."""


class Writer(Protocol):
    """Writes a result piece by piece."""

    def begin(self) -> bytes:
        """Write everything before the first row."""

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write a batch of rows."""

    def end(self, *, overflow: bool = False, error: str | None = None) -> Iterable[bytes]:
        """Write everything after the last row, and whether rows are missing."""

    def close(self) -> None:
        """Give back what is held, at the end or before it."""


Maker = Callable[[Sequence[Field], Frame], Writer]


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
    needs_nulls
        Whether a value of each column must stand for NULL.
    is_text
        Whether it gets much smaller by compression.
    """

    name: str
    mime: str
    writer: Maker
    aliases: tuple[str, ...] = ()
    ivo_id: str | None = None
    marks_overflow: bool = True
    extension: str = "vot"
    needs_nulls: bool = False
    is_text: bool = False


_XML = (votable.MIME, "text/xml", "application/xml", "application/votable+xml")
_KEYS = "ivo://ivoa.net/std/TAPRegExt#output-votable-"


FORMATS: tuple[Format, ...] = (
    Format(
        "binary2",
        f"{votable.MIME};serialization=binary2",
        Binary2Writer,
        ("votable", "votable/b2", "votable/binary2", "votableb2", "vot", *_XML),
        _KEYS + "binary2",
    ),
    Format(
        "tabledata",
        f"{votable.MIME};serialization=tabledata",
        TabledataWriter,
        ("votable/td", "votable/tabledata", "votabletd", "votable_plain", "td"),
        _KEYS + "td",
        is_text=True,
    ),
    Format(
        "binary",
        f"{votable.MIME};serialization=binary",
        BinaryWriter,
        ("votable/b", "votable/bin", "votable/binary", "bin"),
        _KEYS + "binary",
        needs_nulls=True,
    ),
    Format(
        "csv",
        f"{delimited.CSV_MIME};header=present",
        delimited.DelimitedWriter,
        (delimited.CSV_MIME, "application/csv"),
        marks_overflow=False,
        extension="csv",
        is_text=True,
    ),
    Format(
        "tsv",
        f"{delimited.TSV_MIME};header=present",
        partial(delimited.DelimitedWriter, delimiter="\t"),
        (delimited.TSV_MIME, "text/tsv", "tab"),
        marks_overflow=False,
        extension="tsv",
        is_text=True,
    ),
    Format(
        "fits",
        fits.MIME,
        fits.FitsWriter,
        ("application/x-fits", "image/fits", "fits-basic", "fits/bintable"),
        marks_overflow=True,
        extension="fits",
    ),
    Format(
        "json",
        jsonrows.MIME,
        jsonrows.JsonWriter,
        ("text/json",),
        extension="json",
        is_text=True,
    ),
    Format(
        "parquet",
        parquet.MIME,
        parquet.ParquetWriter,
        ("application/parquet", "application/x-parquet", "vo-parquet", "votable/parquet"),
        extension="parquet",
    ),
    Format(
        "arrow",
        arrow.MIME,
        arrow.ArrowWriter,
        ("application/vnd.apache.arrow", "arrows", "ipc", "arrow-stream", "arrow/stream"),
        marks_overflow=False,
        extension="arrows",
    ),
)
_BY_NAME = {name: form for form in FORMATS for name in (form.name, form.mime, *form.aliases)}
_SERIALIZATIONS = {
    "binary2": "binary2",
    "b2": "binary2",
    "tabledata": "tabledata",
    "td": "tabledata",
    "binary": "binary",
    "binary1": "binary",
}


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
    if requested and requested.strip():
        found = _find(requested)
        if found is None:
            raise FormatError(
                f"The format {requested!r} is not offered. Ask for votable, "
                f"{', '.join(form.name for form in FORMATS)}, or a MIME type of these."
            )
        return found
    return _accepted(accept or "") or FORMATS[0]


def _accepted(accept: str) -> Format | None:
    """Give the first format of an Accept header, the most wanted before (RFC 9110 §12.5.1)."""
    wanted: list[tuple[float, int, Format]] = []
    for place, entry in enumerate(accept.split(",")):
        base, parameters = _split(entry)
        try:
            weight = float(parameters.pop("q", "1"))
        except ValueError:
            continue
        # A browser's text/html and */* name none of ours: they get the usual one.
        found = None if "*" in base else _find(base, parameters)
        if found is not None and weight > 0:
            wanted.append((-weight, place, found))
    return min(wanted, key=lambda w: w[:2])[2] if wanted else None


def _find(text: str, parameters: Mapping[str, str] | None = None) -> Format | None:
    if parameters is None:
        base, parameters = _split(text)
        if base in {"*/*", "text/*", "application/*"}:
            return FORMATS[0]
    else:
        base = text
    if parameters.get("charset", "utf-8") not in {"utf-8", "utf8", "us-ascii"}:
        return None
    found = _BY_NAME.get(base)
    if found is None:
        return None
    if base in _XML and "serialization" in parameters:
        found = _BY_NAME.get(_SERIALIZATIONS.get(parameters["serialization"], ""))
        if found is None:
            return None
    if base in {"text/xml", "application/xml"}:
        # Who asks for XML by its general type is told that type (TAP 1.1 §2.7.3).
        return replace(found, mime=base)
    if parameters.get("header") == "absent" and found.name in {"csv", "tsv"}:
        mime = found.mime.replace("present", "absent")
        headless = partial(found.writer, header=False)  # type: ignore[call-arg]
        return replace(found, mime=mime, writer=headless)
    return found


def _split(text: str) -> tuple[str, dict[str, str]]:
    """Give a MIME type and its parameters, all in lower case (RFC 9110 §8.3.1)."""
    base, *rest = text.strip().lower().split(";")
    pairs = (part.partition("=") for part in rest if "=" in part)
    return base.strip(), {n.strip(): v.strip().strip('"') for n, _, v in pairs}

"""Multipart forms, read as they arrive: values into memory, files onto disk, both within bounds."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from cerro_services.errors import CerroError
from cerro_services.scratch import Scratch

_BUFFER = 1 << 20
"""Bytes of a file that are collected before they are written."""
_FIELDS = 1000
_HEADERS = 16


class FormError(CerroError, code="parameter_error", status=400):
    """A form cannot be read."""


class TooLargeError(CerroError, code="too_large", status=413):
    """A client sent more than is read."""


@dataclass(frozen=True)
class Spool:
    """Where the files of a form go.

    Parameters
    ----------
    parent
        Folder for the folders of requests.
    longest
        Bytes of all files of a request at most.
    most
        Files of a request at most.
    """

    parent: Path
    longest: int
    most: int = 16


@dataclass(frozen=True)
class Part:
    """A file of a form.

    Parameters
    ----------
    name
        Name of the part.
    path
        Where it lies.
    size
        Its bytes.
    mime
        Its media type as the client says, without parameters; empty if it does not.
    filename
        Its name as the client says; only ever shown, never used as a path.
    """

    name: str
    path: Path
    size: int
    mime: str = ""
    filename: str = ""


@dataclass
class Form:
    """What a form holds.

    Parameters
    ----------
    values
        Names and values, in the order they were sent.
    parts
        Its files.
    scratch
        The folder of the files, if there are any.
    """

    values: list[tuple[str, str]] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    scratch: Scratch | None = None


async def read(
    content_type: str, stream: AsyncIterable[bytes], longest: int, spool: Spool | None
) -> Form:
    """Read a multipart form.

    Parameters
    ----------
    content_type
        The header, with the boundary.
    stream
        The body.
    longest
        Bytes of all values at most.
    spool
        Where files go; None if none are taken.

    Raises
    ------
    FormError
        The form is damaged, or holds a file where none is taken.
    TooLargeError
        It is longer than may be; what follows is not read.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise FormError("The form cannot be read: its Content-Type names no boundary.")
    reader = _Reader(longest, spool)
    try:
        parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type]
        async for chunk in stream:
            parser.write(chunk)
            if reader.pending > _BUFFER:
                await run_in_threadpool(reader.flush)
        parser.finalize()
        reader.finish()
    except BaseException as error:
        reader.discard()
        if not isinstance(error, FormParserError):
            raise
        raise FormError(f"The form cannot be read: {error}.") from error
    finally:
        reader.close()
    return reader.form


class _Reader:
    """Takes the pieces of a form as the parser finds them."""

    def __init__(self, longest: int, spool: Spool | None) -> None:
        self.form = Form()
        self.pending = 0
        self._longest, self._spool = longest, spool
        self._files = 0
        self._size = 0
        self._ended = False
        self._headers: dict[str, bytes] = {}
        self._header: list[bytes] = [b"", b""]
        self._name = self._filename = ""
        self._data: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._written = 0

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._more(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._more(1, data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._named,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._note_end,
        }

    def flush(self) -> None:
        """Write what has come of the file."""
        if self._file is not None:
            self._file.writelines(self._data)
            self._data.clear()
            self.pending = 0

    def finish(self) -> None:
        if not self._ended:
            raise FormError("The form is cut short: its last boundary is missing.")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def discard(self) -> None:
        """Remove what was written; an error keeps this object alive for a while."""
        self.close()
        if self.form.scratch is not None:
            self.form.scratch.remove()

    def _note_end(self) -> None:
        self._ended = True

    def _begin(self) -> None:
        self._headers, self._header = {}, [b"", b""]
        self._written = 0

    def _more(self, which: int, data: bytes) -> None:
        self._header[which] += data
        if len(self._header[which]) > 8192:
            raise FormError("The form cannot be read: a part has a header of many kilobytes.")

    def _header_end(self) -> None:
        name, value = self._header
        self._headers[name.decode("latin-1").lower()] = value
        self._header = [b"", b""]
        if len(self._headers) > _HEADERS:
            raise FormError("The form cannot be read: a part has too many headers.")

    def _named(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition"))
        if b"name" not in options:
            raise FormError("The form cannot be read: a part has no name.")
        self._name = options[b"name"].decode("utf-8", "replace")
        self._filename = options.get(b"filename", b"").decode("utf-8", "replace")
        if b"filename" not in options:
            if len(self.form.values) >= _FIELDS:
                raise FormError(f"The form has more than {_FIELDS:,} values.")
            return
        if self._spool is None:
            raise FormError(f"The form holds a file ({self._name}); none is taken here.")
        if len(self.form.parts) >= self._spool.most:
            raise FormError(f"The form has more than {self._spool.most} files.")
        if self.form.scratch is None:
            self.form.scratch = Scratch(self._spool.parent)
        self._file = (self.form.scratch.path / f"part-{len(self.form.parts)}").open("wb")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        count = end - start
        if self._file is None:
            self._size += count
            if self._size > self._longest:
                raise TooLargeError(f"The values of the form have over {self._longest:,} bytes.")
        else:
            self._files += count
            self._written += count
            if self._spool is not None and self._files > self._spool.longest:
                raise TooLargeError(too_large(self._name, self._spool.longest))
            self.pending += count
        self._data.append(data[start:end])

    def _part_end(self) -> None:
        if self._file is None:
            text = b"".join(self._data).decode("utf-8", "replace")
            self.form.values.append((self._name, text))
        else:
            self.flush()
            self._file.close()
            mime = self._headers.get("content-type", b"").decode("latin-1")
            self.form.parts.append(
                Part(
                    self._name,
                    Path(self._file.name),
                    self._written,
                    mime.partition(";")[0].strip().lower(),
                    self._filename,
                )
            )
            self._file = None
        self._data = []


def too_large(name: str, longest: int) -> str:
    """Say that an upload is longer than may be.

    Parameters
    ----------
    name
        What was uploaded.
    longest
        Bytes at most.
    """
    return (
        f"Upload {name}: there are more than {longest:,} bytes of uploads in this request, "
        "which is all that you may send. Send fewer rows or columns, or Parquet, which is smaller."
    )

"""What an upload is: its format by its first bytes, and gzip undone within bounds."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zlib
from pathlib import Path
from typing import IO, cast

from cerro_services.uploads.errors import UploadError, UploadTooLargeError
from cerro_services.uploads.model import Check, Upload

FORMATS = "VOTable, Parquet, CSV, TSV, ECSV, FITS (binary table) or Arrow"
EXPANSION = 4
"""Times the bytes of a request's uploads that one of them may have unpacked."""
_PIECE = 1 << 20
_ROOT = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?VOTABLE[\s>/]")
_TEXTS = {
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "text/plain": "csv",
    "application/csv": "csv",
    "application/vnd.ms-excel": "csv",
}
_ENDINGS = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".txt": "csv", ".dat": "csv"}


def unpacked(upload: Upload, total: int, check: Check) -> Path:
    """Give an upload's file without compression.

    Parameters
    ----------
    upload
        The upload.
    total
        Bytes of a request's uploads at most.
    check
        Called once for each piece.

    Raises
    ------
    UploadTooLargeError
        It holds more than may be.
    UploadError
        It is damaged, or an archive.
    """
    head = _head(upload.path)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"7z\xbc\xaf", b"Rar!")):
        raise UploadError(
            upload.name,
            "is an archive of files, as Excel's are. Save the table as CSV, or unpack it; gzip is "
            "understood.",
        )
    opened = _opened(upload.path, head)
    if opened is None:
        return upload.path
    target = upload.path.with_name(f"{upload.path.name}.unpacked")
    most = total * EXPANSION
    done = 0
    try:
        with opened as source, target.open("wb") as sink:
            while piece := source.read(_PIECE):
                check()
                done += len(piece)
                if done > most:
                    raise UploadTooLargeError(
                        upload.name, f"has more than {most:,} bytes unpacked. Send fewer rows."
                    )
                sink.write(piece)
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, ValueError) as error:
        raise UploadError(upload.name, "is compressed, and cut short or damaged.") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise UploadError(upload.name, "is compressed, and damaged.") from error
    if _opened(target, _head(target)) is not None:
        raise UploadError(upload.name, "is compressed twice. Send it compressed once, or not.")
    return target


def form_of(upload: Upload, path: Path) -> str:
    """Find out the format of an upload.

    Parameters
    ----------
    upload
        The upload, for what its sender says.
    path
        Its file without compression.

    Returns
    -------
    str
        ``votable``, ``parquet``, ``fits``, ``arrow``, ``arrows`` (a stream), ``ecsv``, ``csv`` or
        ``tsv``.

    Raises
    ------
    UploadError
        It is of none.
    """
    head = _head(path)
    if not head:
        raise UploadError(upload.name, "is empty.")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"ARROW1"):
        return "arrow"
    if head.startswith(b"\xff\xff\xff\xff"):
        return "arrows"
    if head.startswith(b"SIMPLE  ="):
        return "fits"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    if start.startswith(b"<") or (utf16 and b"V\0O\0T\0A\0B\0L\0E" in head):
        if not is_votable(head):
            raise UploadError(upload.name, "is XML or a web page, but no VOTable.")
        return "votable"
    if start.startswith(b"# %ECSV"):
        return "ecsv"
    if b"\0" in head or utf16:
        raise UploadError(upload.name, f"is of no format that is known here: send {FORMATS}.")
    name = upload.filename.lower().removesuffix(".gz").removesuffix(".bz2")
    ending = next((kind for end, kind in _ENDINGS.items() if name.endswith(end)), None)
    # What a person calls text of some kind, or nobody says anything of.
    vague = upload.mime in {"", "application/octet-stream", "text/plain", "application/gzip"}
    form = (ending or _TEXTS.get(upload.mime)) if vague else (_TEXTS.get(upload.mime) or ending)
    if form is not None:
        return form
    if vague or upload.mime.startswith("text/"):
        first = start.split(b"\n", 1)[0]
        return "tsv" if b"\t" in first and b"," not in first else "csv"
    raise UploadError(
        upload.name, f"does not look like the {upload.mime} that it is called: send {FORMATS}."
    )


def is_votable(head: bytes) -> bool:
    """Whether a document that begins so is a VOTable."""
    return _ROOT.search(head.replace(b"\0", b"")) is not None


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(4096)


def _opened(path: Path, head: bytes) -> IO[bytes] | None:
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(path))
    if head.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.open(path))
    if head.startswith(b"\xfd7zXZ\x00"):
        return cast("IO[bytes]", lzma.open(path))
    return None

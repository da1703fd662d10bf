"""The parameter UPLOAD (TAP 1.1 §2.7.6, DALI §3.4.5): which tables come with a request."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from cerro_services.parameters import ParameterError, Parameters, Part
from cerro_services.uploads.errors import UploadError, UploadTooLargeError
from cerro_services.uploads.fetch import fetch
from cerro_services.uploads.model import Upload, UploadLimits

_LONGEST_NAME = 128
_SHAPE = "Write UPLOAD=name,param:part for a part of the form, or UPLOAD=name,https://…"


@dataclass(frozen=True)
class Named:
    """One table as UPLOAD names it.

    Parameters
    ----------
    name
        Its name in TAP_UPLOAD.
    uri
        Where it is.
    """

    name: str
    uri: str


async def receive(parameters: Parameters, folder: Path, limits: UploadLimits) -> tuple[Upload, ...]:
    """Take the uploads of a request into a folder.

    Parameters
    ----------
    parameters
        Of the request; parts of the form that UPLOAD names are moved.
    folder
        Where to put the files; must exist if there are uploads. What was there before stays.
    limits
        How large uploads may be, and where from.

    Returns
    -------
    tuple of Upload
        In the order of the parameter; none if there is none. Their tables are not read yet.

    Raises
    ------
    ParameterError
        UPLOAD is not written as it should be.
    UploadError
        An upload is not there.
    UploadTooLargeError
        There are more bytes than may be sent.
    """
    wanted = named(parameters.values.get("UPLOAD", ()))
    if len(wanted) > limits.tables:
        raise ParameterError(
            f"UPLOAD names {len(wanted)} tables; at most {limits.tables} are read."
        )
    found: list[Upload] = []
    total = 0
    for number, one in enumerate(wanted):
        target = _free(folder, number)
        if one.uri.lower().startswith("param:"):
            upload = await run_in_threadpool(_taken, one, parameters, target)
        else:
            upload = await fetch(one.name, one.uri, target, limits, limits.total - total)
        total += upload.path.stat().st_size
        if total > limits.total:
            raise UploadTooLargeError(
                one.name, f"there are more than {limits.total:,} bytes of uploads in this request."
            )
        found.append(upload)
    return tuple(found)


def named(values: list[str] | tuple[str, ...]) -> tuple[Named, ...]:
    """Read the values of UPLOAD.

    Parameters
    ----------
    values
        Each names tables, apart by semicolons.

    Raises
    ------
    ParameterError
        A value is not written as it should be, or two tables have one name.
    """
    found: dict[str, Named] = {}
    for value in values:
        for one in _split(value):
            known = found.setdefault(one.name.lower(), one)
            if known is not one and known != one:
                raise ParameterError(
                    f"UPLOAD names two tables {one.name!r}; ADQL does not tell upper from lower "
                    "case. Give them different names."
                )
    return tuple(found.values())


def _split(value: str) -> Iterator[Named]:
    pending: list[str] = []
    for piece in value.split(";"):
        before, comma, uri = piece.partition(",")
        if comma and ":" in uri.partition("/")[0] and before.strip():
            if pending:
                yield _named(";".join(pending))
            pending = [piece]
        elif pending and piece.strip():
            # A semicolon within an address.
            pending.append(piece)
        elif piece.strip():
            raise ParameterError(f"UPLOAD={_shown(value)} names no table and place. {_SHAPE}.")
    if pending:
        yield _named(";".join(pending))


def _named(text: str) -> Named:
    name, _, uri = text.partition(",")
    name, uri = name.strip(), uri.strip()
    if len(name) > 2 and name[0] == name[-1] == '"':
        name = name[1:-1].replace('""', '"')
    if name.lower().startswith("tap_upload."):
        name = name[len("tap_upload.") :]
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ParameterError(
            f"UPLOAD names a table {_shown(name)!r}: give 1 to {_LONGEST_NAME} printable "
            "characters."
        )
    if not uri.isprintable():
        raise ParameterError(f"UPLOAD: the place of {name} holds characters that none has.")
    return Named(name, uri)


def _taken(one: Named, parameters: Parameters, target: Path) -> Upload:
    wanted = one.uri[len("param:") :]
    part: Part | None = parameters.part(wanted)
    if part is not None:
        # One part may be two tables.
        again = sum(1 for n in named(parameters.values["UPLOAD"]) if n.uri == one.uri) > 1
        if again:
            shutil.copyfile(part.path, target)
        else:
            shutil.move(part.path, target)
        return Upload(one.name, target, part.mime, part.filename)
    texts = parameters.values.get(wanted.upper(), [])
    if len(texts) == 1 and wanted.upper() != "UPLOAD":
        target.write_text(texts[0], encoding="utf-8")
        return Upload(one.name, target)
    names = ", ".join(part.name for part in parameters.parts) or "none"
    raise UploadError(
        one.name,
        f"the form has no part {wanted!r} (its files: {names}). Send the table as a file of "
        "multipart/form-data.",
    )


def _free(folder: Path, number: int) -> Path:
    while (folder / f"upload-{number}").exists():
        number += 1
    return folder / f"upload-{number}"


def _shown(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"

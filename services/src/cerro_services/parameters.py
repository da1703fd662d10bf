"""Parameters of IVOA protocols: names in any case, in the address or in a form (DALI §3)."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from cerro_services import multipart
from cerro_services.errors import CerroError
from cerro_services.multipart import Part, Spool, TooLargeError
from cerro_services.scratch import Scratch

__all__ = ["ParameterError", "Parameters", "Part", "Spool", "TooLargeError"]

_UNBOUNDED = 10**18


class ParameterError(CerroError, code="parameter_error", status=400):
    """A parameter is missing or wrong."""


@dataclass(frozen=True)
class Parameters:
    """The parameters of a request.

    Parameters
    ----------
    values
        Values by upper-case name, in the order they were sent.
    parts
        Files of a form, in the order they were sent. They are removed with this object.
    scratch
        The folder of the files.
    """

    values: dict[str, list[str]]
    parts: tuple[Part, ...] = ()
    scratch: Scratch | None = field(default=None, compare=False, repr=False)

    @classmethod
    async def read(
        cls, request: Request, *, longest: int, spool: Spool | None = None
    ) -> Parameters:
        """Read the parameters of a request.

        Parameters
        ----------
        request
            GET, HEAD or POST.
        longest
            Bytes of a form at most, files apart.
        spool
            Where files of a form go; None if none are taken.

        Raises
        ------
        ParameterError
            The form cannot be read.
        TooLargeError
            It is too long: nothing is read beyond the limit.
        """
        pairs = list(request.query_params.multi_items())
        form = multipart.Form()
        if request.method == "POST":
            try:
                form = await _form(request, longest, spool)
            except TooLargeError:
                await drain(request)
                raise
        values: dict[str, list[str]] = {}
        for name, value in (*pairs, *form.values):
            values.setdefault(name.upper(), []).append(value)
        return cls(values, tuple(form.parts), form.scratch)

    def get(self, *names: str) -> str | None:
        """Give the value of the first of some parameters that is there.

        Raises
        ------
        ParameterError
            It has more than one value.
        """
        for name in names:
            found = {value for value in self.values.get(name, []) if value != ""}
            if len(found) > 1:
                raise ParameterError(f"{name} is given more than once, with different values.")
            if found:
                return found.pop()
        return None

    def integer(self, name: str) -> int | None:
        """Give a parameter that is a whole number, not negative.

        Raises
        ------
        ParameterError
            It is not.
        """
        text = self.get(name)
        if text is None:
            return None
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit()):
            raise ParameterError(f"{name} must be a whole number, not {text!r}.")
        # Whatever it bounds has fewer: a long one is no bound, and no number to work out.
        digits = digits.lstrip("0") or "0"
        return _UNBOUNDED if len(digits) > 18 else int(digits)

    def part(self, name: str) -> Part | None:
        """Give the file of a name; upper and lower case count only if several differ in that."""
        same = [part for part in self.parts if part.name == name]
        like = same or [part for part in self.parts if part.name.lower() == name.lower()]
        return like[0] if len(like) == 1 else None


async def read_body(request: Request, *, longest: int) -> bytes:
    """Read the body of a request into memory.

    Parameters
    ----------
    request
        Any.
    longest
        Bytes at most.

    Raises
    ------
    TooLargeError
        It is longer.
    """
    bounded = Request(request.scope, _bounded(request.receive, longest))
    try:
        return await bounded.body()
    except TooLargeError:
        await drain(request)
        raise


async def read_pairs(request: Request, *, longest: int) -> list[tuple[str, str]]:
    """Read names and values as they were sent, in the address and in a form.

    Parameters
    ----------
    request
        GET, HEAD or POST.
    longest
        Bytes of the form at most.

    Raises
    ------
    ParameterError
        The form cannot be read.
    TooLargeError
        It is too long.
    """
    pairs = list(request.query_params.multi_items())
    if request.method != "POST":
        return pairs
    try:
        return pairs + (await _form(request, longest, None)).values
    except TooLargeError:
        await drain(request)
        raise


_FORM = "application/x-www-form-urlencoded"
_AROUND = 64 << 10
"""Bytes of a form beside its values and files: boundaries and headers."""
_HINT = " Send a long list of values as a table (UPLOAD), and join it."
_LINGER = 20.0
"""Seconds for which the rest of a body that is refused is read and thrown away."""


async def drain(request: Request) -> None:
    """Throw away the rest of a body that is refused.

    A client that is still sending when the connection closes never reads why.

    Parameters
    ----------
    request
        The request; nothing is read of it if its client waits to be told to send.
    """
    if request.headers.get("expect", "").lower() == "100-continue":
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER):
            more = True
            while more:
                message = await request.receive()
                more = message["type"] == "http.request" and message.get("more_body", False)


async def _form(request: Request, longest: int, spool: Spool | None) -> multipart.Form:
    kind = request.headers.get("content-type", "")
    parts = kind.lower().startswith("multipart/form-data")
    most = longest + (spool.longest + _AROUND if parts and spool is not None else 0)
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > most:
        hint = "" if parts else _HINT
        raise TooLargeError(
            f"The request has {int(length):,} bytes; at most {most:,} are read.{hint}"
        )
    bounded = Request(request.scope, _bounded(request.receive, most))
    if parts:
        return await multipart.read(kind, bounded.stream(), longest, spool)
    if kind and length != "0" and not kind.lower().startswith(_FORM):
        raise ParameterError(
            f"The body is {kind.partition(';')[0]}. Send the parameters as a form: {_FORM} or "
            "multipart/form-data."
        )
    return multipart.Form(await _urlencoded(bounded, longest))


async def _urlencoded(bounded: Request, longest: int) -> list[tuple[str, str]]:
    try:
        form: FormData = await bounded.form(max_files=0, max_part_size=2 * longest)
    except HTTPException as error:
        raise ParameterError(f"The form cannot be read: {error.detail}") from error
    return [(name, value) for name, value in form.multi_items() if isinstance(value, str)]


def _bounded(receive: Receive, longest: int) -> Receive:
    """Read a body to a number of bytes and no further: not every request says its length."""
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > longest:
            raise TooLargeError(f"The request has more than {longest:,} bytes.{_HINT}")
        return message

    return limited

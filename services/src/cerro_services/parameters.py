"""Parameters of IVOA protocols: names in any case, in the address or in a form (DALI §3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from cerro_services.errors import CerroError


class ParameterError(CerroError):
    """A parameter is missing or wrong."""

    code: ClassVar[str] = "parameter_error"
    status: ClassVar[int] = 400


@dataclass(frozen=True)
class Parameters:
    """The parameters of a request.

    Parameters
    ----------
    values
        Values by upper-case name, in the order they were sent.
    """

    values: dict[str, list[str]]

    @classmethod
    async def read(cls, request: Request, *, longest: int) -> Parameters:
        """Read the parameters of a request.

        Parameters
        ----------
        request
            GET, HEAD or POST.
        longest
            Bytes of a form at most.

        Raises
        ------
        ParameterError
            The form is too long or cannot be read.
        """
        pairs = list(request.query_params.multi_items())
        if request.method == "POST":
            length = request.headers.get("content-length", "0")
            if length.isdigit() and int(length) > longest:
                raise ParameterError(
                    f"The request has {int(length):,} bytes; at most {longest:,} are read."
                )
            bounded = Request(request.scope, _bounded(request.receive, longest))
            try:
                form: FormData = await bounded.form(max_files=0, max_part_size=longest)
            except HTTPException as error:
                raise ParameterError(f"The form cannot be read: {error.detail}") from error
            pairs += [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        values: dict[str, list[str]] = {}
        for name, value in pairs:
            values.setdefault(name.upper(), []).append(value)
        return cls(values)

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
        if not (text.isascii() and text.isdigit()) or len(text) > 18:
            raise ParameterError(f"{name} must be a whole number, not {text!r}.")
        return int(text)


def _bounded(receive: Receive, longest: int) -> Receive:
    """Read a body to a number of bytes and no further: not every request says its length."""
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > longest:
            raise ParameterError(f"The request has more than {longest:,} bytes.")
        return message

    return limited

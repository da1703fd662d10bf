"""Errors that reach a person: each carries a code, an HTTP status and a message to act on."""

from __future__ import annotations

from typing import ClassVar


class CerroError(Exception):
    """The base of every error that Cerro raises on purpose.

    A class says code and status beside its base: ``class X(CerroError, code="x", status=400)``;
    what it leaves out is the base's.

    Parameters
    ----------
    message
        What happened, to what, and what to do, for the person who must act.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init_subclass__(cls, code: str | None = None, status: int | None = None) -> None:
        super().__init_subclass__()
        cls.code = cls.code if code is None else code
        cls.status = cls.status if status is None else status

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

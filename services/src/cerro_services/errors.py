"""Errors that reach a person: each carries a code, an HTTP status and a message to act on."""

from __future__ import annotations

from typing import ClassVar


class CerroError(Exception):
    """The base of every error that Cerro raises on purpose.

    Parameters
    ----------
    message
        What happened, to what, and what to do, for the person who must act.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

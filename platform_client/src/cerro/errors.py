"""What can go wrong between a notebook and the platform; each error says what to do about it."""

from __future__ import annotations

__all__ = [
    "CerroError",
    "NotFoundError",
    "NotLoggedInError",
    "NotPermittedError",
    "QueryError",
    "ServiceDownError",
    "TokenRejectedError",
    "TruncatedWarning",
    "UnexpectedAnswerError",
    "UnknownTableError",
]


class CerroError(Exception):
    """The base of every error that the client raises on purpose."""


class NotLoggedInError(CerroError):
    """No platform is known: there is neither an environment nor a stored login."""


class TokenRejectedError(CerroError):
    """The platform does not accept the token: expired, revoked, or of another platform."""


class NotPermittedError(CerroError):
    """The token is good, but lacks the scope that the service asks for."""


class QueryError(CerroError):
    """The server refused or could not finish a query; the message is the server's own."""


class UnknownTableError(QueryError):
    """The query names a table that does not exist for this user."""


class NotFoundError(CerroError, KeyError):
    """No release or table of that name is there for this user."""

    def __str__(self) -> str:
        return str(self.args[0])


class ServiceDownError(CerroError):
    """The platform cannot be reached, or says that it cannot serve now."""


class UnexpectedAnswerError(CerroError):
    """Something answers at the address, but not as a Cerro platform does."""


class TruncatedWarning(UserWarning):
    """The server cut the result at its own limit of rows: the table is not complete."""

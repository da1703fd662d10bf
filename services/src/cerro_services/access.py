"""Who calls: from a token to a name, groups and scopes, through the Hub's API."""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass

import httpx

from cerro_services.errors import CerroError

READ_TAP = "custom:read:tap"
READ_IMAGE = "custom:read:image"
_CACHED = 4096
"""Tokens remembered at once."""


@dataclass(frozen=True)
class Caller:
    """Someone who asks.

    Parameters
    ----------
    name
        User name; None for the public caller.
    groups
        Groups whose data they may read.
    scopes
        What their token allows.
    """

    name: str | None
    groups: frozenset[str]
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        """Refuse a token without a scope; the public caller has none and needs none.

        Raises
        ------
        ForbiddenError
            The token does not have it.
        """
        if self.name is not None and scope not in self.scopes:
            raise ForbiddenError(
                f"This token lacks the scope {scope}. Make one that has it on the token page."
            )


PUBLIC = Caller(None, frozenset(), frozenset())


class UnauthorizedError(CerroError, code="unauthorized", status=401):
    """A token that is not valid."""


class ForbiddenError(CerroError, code="forbidden", status=403):
    """A valid token that does not allow this."""


class HubUnavailableError(CerroError, code="hub_unavailable", status=503):
    """The Hub does not answer, so a token cannot be checked."""


def challenges(realm: str) -> list[str]:
    """Give the values of WWW-Authenticate: how a caller can say who they are.

    Parameters
    ----------
    realm
        Address of the platform.
    """
    return [f'Bearer realm="{realm}"', f'Basic realm="{realm}", charset="UTF-8"']


def token_of(authorization: str | None) -> str | None:
    """Give the token of an Authorization header.

    Parameters
    ----------
    authorization
        The header: ``Bearer T``, ``token T``, or Basic with the token as password, or as user
        with the password ``x-oauth-basic``.

    Returns
    -------
    str or None
        None if there is no header.

    Raises
    ------
    UnauthorizedError
        The header holds no token.
    """
    if authorization is None:
        return None
    scheme, _, value = authorization.strip().partition(" ")
    value = value.strip()
    if scheme.lower() in {"bearer", "token"} and value:
        return value
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise UnauthorizedError(
                "The Authorization header is not valid Basic: no token can be read from it."
            ) from None
        token = user if password in {"x-oauth-basic", ""} else password
        if token:
            return token
    raise UnauthorizedError(
        "The Authorization header holds no token. Send 'Authorization: Bearer TOKEN', "
        "or the token as the password of Basic."
    )


class Callers:
    """Finds out who calls.

    Parameters
    ----------
    hub_api_url
        Address of the Hub's API; None if there is no Hub.
    client
        Connects to the Hub.
    seconds
        How long a token's owner is remembered.
    """

    def __init__(
        self, hub_api_url: str | None, client: httpx.AsyncClient, seconds: float = 15.0
    ) -> None:
        self._url = hub_api_url.rstrip("/") + "/user" if hub_api_url else None
        self._client = client
        self._seconds = seconds
        self._known: dict[str, tuple[float, Caller | None]] = {}

    async def identify(self, authorization: str | None) -> Caller:
        """Give the caller of a request.

        Parameters
        ----------
        authorization
            The Authorization header.

        Raises
        ------
        UnauthorizedError
            The token is not valid.
        HubUnavailableError
            The Hub does not answer.
        """
        token = token_of(authorization)
        if token is None:
            return PUBLIC
        now = time.monotonic()
        expires, caller = self._known.get(token, (0.0, None))
        if expires <= now:
            caller = await self._ask(token)
            if len(self._known) >= _CACHED:
                self._known = {t: e for t, e in self._known.items() if e[0] > now}
                if len(self._known) >= _CACHED:
                    self._known.clear()
            self._known[token] = (now + self._seconds, caller)
        if caller is None:
            raise UnauthorizedError(
                "The token is not valid, or no longer. Make a new one on the platform's page API "
                "tokens. (With a user name, the token is the password.)"
            )
        return caller

    async def _ask(self, token: str) -> Caller | None:
        if self._url is None:
            return None
        if not token.isascii() or not token.isprintable():
            return None
        try:
            response = await self._client.get(
                self._url, headers={"Authorization": f"token {token}"}
            )
        except httpx.HTTPError as error:
            raise HubUnavailableError(_SILENT) from error
        if response.status_code in {401, 403, 404}:
            return None
        if response.status_code != 200:
            raise HubUnavailableError(_SILENT)
        user = response.json()
        name = user.get("name")
        if not name:
            return None
        return Caller(
            name, frozenset(user.get("groups") or ()), frozenset(user.get("scopes") or ())
        )


_SILENT = "The Hub does not answer, so your token cannot be checked. Try again in a few seconds."

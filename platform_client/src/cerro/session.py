"""HTTP to the platform: the token goes to its host only, and failures say what to do."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from cerro import __version__, votable
from cerro.config import Connection
from cerro.errors import (
    CerroError,
    NotPermittedError,
    QueryError,
    ServiceDownError,
    TokenRejectedError,
    UnexpectedAnswerError,
    UnknownTableError,
)

_CONNECT_SECONDS = 10
_READ_SECONDS = 600


class HostAuth(AuthBase):
    """Adds the token to requests for one origin (scheme, host and port), and to no other.

    Parameters
    ----------
    connection
        Platform and token.
    """

    def __init__(self, connection: Connection) -> None:
        self._origin = _origin(connection.url)
        self._token = connection.token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token if the request goes to the platform."""
        if self._token and _origin(request.url or "") == self._origin:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def open_session(connection: Connection) -> requests.Session:
    """Make a session that is logged in at one platform.

    Parameters
    ----------
    connection
        Platform and token.

    Returns
    -------
    requests.Session
        Sends the token to the platform's own host only; redirects elsewhere lose it.
    """
    session = requests.Session()
    session.auth = HostAuth(connection)
    # A proxy for the outside world cannot reach a platform on this machine.
    session.trust_env = not connection.on_this_machine
    session.headers["User-Agent"] = f"cerro/{__version__} python-requests/{requests.__version__}"
    return session


def call(
    connection: Connection,
    method: str,
    path: str,
    *,
    data: dict[str, str] | None = None,
    files: dict[str, tuple[str, bytes]] | None = None,
) -> requests.Response:
    """Send one request to the platform and give the answer, or say plainly why there is none.

    Parameters
    ----------
    connection
        Platform and token.
    method
        HTTP method.
    path
        Path of the platform, such as ``api/releases``.
    data
        Form parameters.
    files
        Files of the form: names that they are saved under, and their content.

    Returns
    -------
    requests.Response
        An answer of status 200 to 299.

    Raises
    ------
    CerroError
        One of the errors of `cerro.errors`.
    """
    url = connection.address(path)
    try:
        with open_session(connection) as session:
            answer = session.request(
                method, url, data=data, files=files, timeout=(_CONNECT_SECONDS, _READ_SECONDS)
            )
    except requests.exceptions.SSLError as error:
        raise ServiceDownError(
            f"{connection.url} has no certificate that this machine trusts ({error})."
        ) from error
    except requests.exceptions.Timeout as error:
        raise ServiceDownError(
            f"{connection.url} did not answer in time. Try again, or ask for less."
        ) from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise ServiceDownError(
            f"{connection.url} broke off while it answered. Try again, or ask for less."
        ) from error
    except requests.exceptions.RequestException as error:
        raise ServiceDownError(
            f"Cannot reach the platform at {connection.url} ({_cause(error)}). Is it running "
            "('cerro status' on its machine), and is the address right?"
        ) from error
    if answer.ok:
        return answer
    raise failure(connection, answer)


def _cause(error: BaseException) -> str:
    """Give the innermost reason; the layers of urllib3 around it help nobody."""
    reason: BaseException = error
    while True:
        inner = reason.__cause__ or getattr(reason, "reason", None) or (reason.args or (None,))[0]
        if not isinstance(inner, BaseException) or inner is reason:
            break
        reason = inner
    text = str(reason)
    return re.sub(r"^.*?: (?=\[Errno|Failed)", "", text)


def failure(connection: Connection, answer: requests.Response) -> CerroError:
    """Turn an answer of status 400 or more into the error that says what to do.

    Parameters
    ----------
    connection
        Platform and token that were used.
    answer
        The answer.

    Returns
    -------
    CerroError
        The error to raise.
    """
    text = server_message(answer)
    status = answer.status_code
    if status == requests.codes.unauthorized:
        return TokenRejectedError(
            f"{connection.url} does not accept your token: it has expired, was revoked, or "
            f"belongs to another platform. {connection.renewal}"
        )
    if status == requests.codes.forbidden:
        return NotPermittedError(
            f"Your token may not do this: {text or 'a scope is missing'}. Make one with the scope "
            f"at {connection.token_page} ."
        )
    if status in {502, 503, 504}:
        wait = answer.headers.get("Retry-After")
        when = f" in {wait} s" if wait and wait.isdigit() else " in a minute"
        return ServiceDownError(
            f"The platform at {connection.url} cannot serve this now"
            f"{': ' + text if text else ''}. Try again{when}."
        )
    if text and (status in {400, 413, 422} or votable.looks_like_votable(answer.content)):
        return query_error(text)
    if status == requests.codes.not_found:
        return UnexpectedAnswerError(
            f"There is nothing at {answer.url} . Is {connection.url} the address of a Cerro "
            "platform?"
        )
    return UnexpectedAnswerError(
        f"{answer.url} answered {status} {answer.reason}{': ' + text if text else ''}."
    )


def query_error(text: str) -> QueryError:
    """Make the error for a query that the server refused, from the server's own text."""
    unknown = re.search(r"\b(unknown|no such|no) table\b|\btable\b.*\bnot\b", text, re.IGNORECASE)
    return UnknownTableError(text) if unknown else QueryError(text)


def server_message(answer: requests.Response) -> str:
    """Take the reason out of an error answer: a DALI error VOTable, JSON or plain text."""
    kind = answer.headers.get("Content-Type", "").lower()
    if votable.looks_like_votable(answer.content):
        return votable.error_text(answer.content) or ""
    if "json" in kind:
        try:
            document: Any = answer.json()
        except ValueError:
            return ""
        for key in ("message", "detail"):
            found = document.get(key) if isinstance(document, dict) else None
            if isinstance(found, str):
                return found
        return ""
    return "" if "html" in kind else answer.text.strip()[:2000]


def get_json(connection: Connection, path: str) -> Any:
    """Fetch a JSON document of the platform.

    Raises
    ------
    UnexpectedAnswerError
        If the answer is no JSON: the address is not that of a platform.
    """
    answer = call(connection, "GET", path)
    try:
        return answer.json()
    except ValueError as error:
        raise UnexpectedAnswerError(
            f"{answer.url} did not answer with JSON. Is {connection.url} the address of a Cerro "
            "platform?"
        ) from error

"""Which platform to talk to, and as whom.

In this order: the environment (``CERRO_URL`` and ``CERRO_TOKEN``, which a lab of the platform
sets by itself), then the login that ``cerro login`` stored.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cerro.errors import CerroError, NotLoggedInError

URL_VARIABLE = "CERRO_URL"
TOKEN_VARIABLE = "CERRO_TOKEN"  # noqa: S105 (the name of a variable, not a token)

_HOW_TO_LOG_IN = (
    "Run 'cerro login https://the.platform/' in a terminal, "
    f"or set {URL_VARIABLE} and {TOKEN_VARIABLE}."
)


@dataclass(frozen=True)
class Connection:
    """A platform's address and the token to use there."""

    url: str
    """Base address; ends in a slash."""

    token: str | None = field(default=None, repr=False)
    """Token of the user; None is the public caller."""

    source: str = "environment"
    """Where this was found: ``environment`` or ``login``."""

    def address(self, path: str) -> str:
        """Give the full address of a path of the platform, such as ``api/tap``."""
        return self.url + path.lstrip("/")

    @property
    def on_this_machine(self) -> bool:
        """Whether the platform is reached by the loopback interface."""
        host = urlsplit(self.url).hostname or ""
        return host in {"localhost", "::1"} or host.startswith("127.")

    @property
    def token_page(self) -> str:
        """Address of the page where the user makes tokens."""
        return self.address("hub/token")

    @property
    def renewal(self) -> str:
        """What to do to get a good token, in words."""
        if self.source == "login":
            return f"Run 'cerro login {self.url}' with a new token from {self.token_page} ."
        return (
            "In a lab, restart your server (File > Hub Control Panel). Elsewhere, make a new "
            f"token at {self.token_page} and put it into {TOKEN_VARIABLE}."
        )


def tidy_url(text: str) -> str:
    """Make a base address of what a person typed.

    Parameters
    ----------
    text
        Address, with or without scheme and final slash.

    Returns
    -------
    str
        ``scheme://host[:port]/path/``; https unless the host is this machine.

    Raises
    ------
    CerroError
        If the text is no web address.
    """
    text = text.strip()
    if "://" not in text:
        host = text.partition("/")[0].partition(":")[0]
        local = host == "localhost" or host.startswith("127.")
        text = f"{'http' if local else 'https'}://{text}"
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise CerroError(
            f"'{text}' is no web address. Give the platform's address, as in https://host/ ."
        )
    path = parts.path.partition("/hub/")[0].rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path.removesuffix('/hub')}/"


def login_file() -> Path:
    """Give the path of the stored login; the file need not exist."""
    import platformdirs

    return Path(platformdirs.user_config_dir("cerro", appauthor=False)) / "login.json"


def stored() -> Connection | None:
    """Read the login that `store` kept, if there is one.

    Raises
    ------
    CerroError
        If the file cannot be read or is damaged.
    """
    path = login_file()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Connection(str(document["url"]), document["token"], "login")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CerroError(
            f"The stored login {path} cannot be read ({error}). Run 'cerro login URL' again."
        ) from error


def store(url: str, token: str | None) -> Path:
    """Keep a login for later, readable by this user only.

    Parameters
    ----------
    url
        Base address of the platform.
    token
        Token of the user; None to use the platform without one.

    Returns
    -------
    pathlib.Path
        The file written, of mode 0600.
    """
    path = login_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    # Born with its mode: a token must not be readable by others even for a moment.
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"url": url, "token": token}, file)
    fresh.replace(path)
    return path


def forget() -> Connection | None:
    """Delete the stored login.

    Returns
    -------
    Connection or None
        What was stored; None if nothing was.
    """
    known = stored()
    login_file().unlink(missing_ok=True)
    return known


def connection(environ: Mapping[str, str] | None = None) -> Connection:
    """Find the platform to talk to.

    Parameters
    ----------
    environ
        Environment to read; the process's own if not given.

    Returns
    -------
    Connection
        Address and token.

    Raises
    ------
    NotLoggedInError
        If neither the environment nor a stored login names a platform.
    """
    env = os.environ if environ is None else environ
    url = env.get(URL_VARIABLE, "").strip()
    token = env.get(TOKEN_VARIABLE, "").strip() or None
    if not url:
        if token:
            # Sending it to the stored login's host could give it to the wrong platform.
            raise NotLoggedInError(
                f"{TOKEN_VARIABLE} is set but {URL_VARIABLE} is not: set both, or neither."
            )
        known = stored()
        if known is None:
            raise NotLoggedInError(f"No Cerro platform is known here. {_HOW_TO_LOG_IN}")
        return known
    url = tidy_url(url)
    if token is None:
        known = stored()
        if known is not None and known.url == url:
            return known
    return Connection(url, token, "environment")

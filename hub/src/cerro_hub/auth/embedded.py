"""JupyterHub's authenticator over the embedded accounts."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from tornado import web
from traitlets import Integer, Unicode

from cerro_hub.auth.accounts import Account, AccountStore
from cerro_hub.auth.limits import LoginLimiter, client_address

LONGEST_FIELD = 256


class EmbeddedAuthenticator(Authenticator):
    """Logs people in with the accounts that `cerro user` keeps.

    The account file is the truth: a changed group or a removed account takes effect with the
    next request, for logins and tokens alike.
    """

    folder = Unicode(config=True, help="The hub's own folder, which holds the accounts.")
    proxies = Integer(1, config=True, help="Proxies of ours before the hub: the front door, TLS.")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._accounts = AccountStore(Path(self.folder))
        self._limits = LoginLimiter()
        # Each check costs 64 MiB and tens of milliseconds: a flood of them must not starve the hub.
        self._checks = asyncio.Semaphore(2)

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any] | None:
        """Return the person whose name and password were typed, or None.

        Raises
        ------
        tornado.web.HTTPError
            429: there were too many failed logins.
        """
        name, password = data.get("username", "").strip().lower(), data.get("password", "")
        if not name or max(len(name), len(password)) > LONGEST_FIELD:
            return None
        forwarded = handler.request.headers.get_list("X-Forwarded-For")
        address = client_address(forwarded, self.proxies)
        wait = self._limits.wait(address, name)
        if wait > 0:
            raise web.HTTPError(
                429, f"Too many failed logins. Try again in {math.ceil(wait)} seconds."
            )
        async with self._checks:
            account = await asyncio.to_thread(self._accounts.verify, name, password)
        if account is None:
            self._limits.failed(address, name)
            return None
        self._limits.succeeded(address, name)
        return _model(account)

    def check_allowed(self, username: str, authentication: Any = None) -> bool:
        """Let in whoever has an account."""
        del authentication
        return username in self._accounts.all()

    async def refresh_user(self, user: Any, handler: Any = None) -> dict[str, Any] | bool:
        """Return the person's groups and rights as the account file has them now."""
        del handler
        account = self._accounts.all().get(user.name)
        return _model(account) if account else False


def _model(account: Account) -> dict[str, Any]:
    return {"name": account.name, "admin": account.admin, "groups": list(account.groups)}

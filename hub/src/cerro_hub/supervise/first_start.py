"""The administrator's account, and users of the hub whose account is gone."""

from __future__ import annotations

import os
from urllib.parse import quote

from cerro_hub.auth.accounts import AccountStore, generate_password
from cerro_hub.errors import HubUnavailableError
from cerro_hub.home import Home
from cerro_hub.hub_api import HubApi
from cerro_hub.settings import HubSettings
from cerro_hub.wiring import Wiring


def make_admin(home: Home, settings: HubSettings) -> str | None:
    """Make the administrator's account if there is no account yet.

    CERRO_ADMIN_PASSWORD sets the password, for automation.

    Returns
    -------
    str or None
        What to show as the password, if the account was made just now.
    """
    store = AccountStore(home.hub)
    if settings.auth != "embedded" or store.all():
        return None
    given = os.environ.get("CERRO_ADMIN_PASSWORD")
    password = given or generate_password()
    store.add(settings.admin, password, admin=True)
    return "that CERRO_ADMIN_PASSWORD holds" if given else password


def remove_strangers(home: Home, wiring: Wiring, token: str) -> list[str]:
    """Remove users of the hub, their tokens included, whose account was removed meanwhile.

    Returns
    -------
    list of str
        Their names.
    """
    api = HubApi(wiring.hub_api_url, token)
    accounts = AccountStore(home.hub).all()
    try:
        strangers = [name for name in api.users() if name not in accounts]
        for name in strangers:
            api.remove_user(quote(name, safe=""))
    except HubUnavailableError:
        # The next start does it; until then their tokens are refused anyway.
        return []
    return strangers

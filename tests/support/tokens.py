"""Sign in without a browser and make a token, as the token page does."""

from __future__ import annotations

import requests

from tests.support.platform import Platform


def token_for(platform: Platform, user: str, password: str) -> str:
    """Make a Hub token with all that its user may do.

    Parameters
    ----------
    platform
        Where the user has an account.
    user, password
        What they type on the login page.
    """
    session = requests.Session()
    session.get(f"{platform.url}hub/login", timeout=10)
    xsrf = {"_xsrf": session.cookies.get("_xsrf", path="/hub/")}
    session.post(
        f"{platform.url}hub/login",
        data={"username": user, "password": password, **xsrf},
        timeout=30,
    ).raise_for_status()
    # Signing in renews the cookie that forms are checked against.
    xsrf = {"_xsrf": session.cookies.get("_xsrf", path="/hub/")}
    made = session.post(
        f"{platform.url}hub/api/users/{user}/tokens",
        json={"note": "tests"},
        params=xsrf,
        headers={"Referer": f"{platform.url}hub/token"},
        timeout=10,
    )
    made.raise_for_status()
    token: str = made.json()["token"]
    return token

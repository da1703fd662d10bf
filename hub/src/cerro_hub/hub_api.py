"""The few calls of the hub's API that `cerro up` and `cerro user` need."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from cerro_hub.errors import HubUnavailableError
from cerro_hub.tries import tries


class HubApi:
    """The hub's API, with the rights of the service `cerro-up`.

    Parameters
    ----------
    url : str
        The API's inner address.
    token : str
        The service's token.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token

    def users(self) -> list[str]:
        """Return the names of all users that the hub knows.

        Raises
        ------
        HubUnavailableError
            The hub does not answer.
        """
        names: list[str] = []
        while True:
            page = self._call("GET", f"/users?limit=200&offset={len(names)}")
            names += [user["name"] for user in page]
            if len(page) < 200:
                return names

    def remove_user(self, name: str) -> None:
        """Stop a user's server and remove the user, their tokens included.

        Parameters
        ----------
        name : str
            The user, escaped for an address.

        Raises
        ------
        HubUnavailableError
            The hub does not answer, or the server did not stop.
        """
        self._call("DELETE", f"/users/{name}/server")
        # The hub refuses while the server stops, and does not tell when it has.
        for _ in tries([0.2] * 49):
            if self._call("DELETE", f"/users/{name}") is not False:
                return
        raise HubUnavailableError(f"The server of {name} does not stop. Try again in a minute.")

    def _call(self, method: str, path: str) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the hub's own address
            self._url + path, method=method, headers={"Authorization": f"token {self._token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            if error.code == 400:
                return False
            raise HubUnavailableError(f"The hub refuses {method} {path}: {error}.") from error
        except (OSError, ValueError) as error:
            raise HubUnavailableError(f"The hub does not answer: {error}.") from error

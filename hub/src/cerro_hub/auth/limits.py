"""Slows down guessing of passwords."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

FREE_TRIES = 5
FIRST_WAIT = 5.0
LONGEST_WAIT = 900.0
TRIES_OF_A_NAME = 100
LONGEST_WAIT_OF_A_NAME = 60.0
REMEMBERED = 10_000
_ANYWHERE = "*"


class LoginLimiter:
    """Counts failed logins and says how long the next one must wait.

    Failures are counted by client address and name together, so that nobody can lock another person
    out, and by address alone (with four times the patience), so that nobody can try many names.
    Whoever has many addresses, or can pretend to, meets a last, short wait by name alone; it spares
    the addresses from which the person has logged in before.

    Parameters
    ----------
    clock : callable
        Returns the time [s]; monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, ...], tuple[int, float]] = OrderedDict()
        self._welcome: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait(self, address: str, name: str) -> float:
        """Return how long [s] this client must wait before it may try again; 0 if it may now."""
        now = self._clock()
        of_name = 0.0
        if (address, name) not in self._welcome:
            of_name = self._until((_ANYWHERE, name), TRIES_OF_A_NAME, LONGEST_WAIT_OF_A_NAME) - now
        return max(
            self._until((address, name), FREE_TRIES) - now,
            self._until((address,), 4 * FREE_TRIES) - now,
            of_name,
            0.0,
        )

    def failed(self, address: str, name: str) -> None:
        """Record a failed login."""
        now = self._clock()
        for key in ((address, name), (address,), (_ANYWHERE, name)):
            count, _ = self._failures.pop(key, (0, 0.0))
            self._failures[key] = count + 1, now
        while len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, address: str, name: str) -> None:
        """Forget the failures of a client that has logged in."""
        self._failures.pop((address, name), None)
        self._failures.pop((_ANYWHERE, name), None)
        self._welcome[address, name] = None
        while len(self._welcome) > REMEMBERED:
            self._welcome.popitem(last=False)

    def _until(self, key: tuple[str, ...], free: int, longest: float = LONGEST_WAIT) -> float:
        count, last = self._failures.get(key, (0, -math.inf))
        if count < free:
            return -math.inf
        return last + min(FIRST_WAIT * 2.0 ** min(count - free, 30), longest)


def client_address(forwarded: Sequence[str], proxies: int) -> str:
    """Return the address that a request came from.

    Only what our own proxies wrote is believed: what stands before it, and X-Real-IP, is whatever
    the client sent.

    Parameters
    ----------
    forwarded : sequence of str
        The X-Forwarded-For headers; each proxy adds the address it was asked from at the end.
    proxies : int
        How many proxies of ours stand before the hub.

    Returns
    -------
    str
        The address; empty for whoever asks the hub's inner port without going by a proxy.
    """
    hops = [hop.strip() for header in forwarded for hop in header.split(",") if hop.strip()]
    return hops[-proxies:][0] if hops else ""

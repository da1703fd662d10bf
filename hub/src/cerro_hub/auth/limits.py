"""Slows down guessing of passwords."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

FREE_TRIES = 5
FIRST_WAIT = 5.0
LONGEST_WAIT = 900.0
REMEMBERED = 10_000


class LoginLimiter:
    """Counts failed logins and says how long the next one must wait.

    Failures are counted by client address and name together, so that nobody can lock another person
    out, and by address alone (with four times the patience), so that nobody can try many names.

    Parameters
    ----------
    clock : callable
        Returns the time [s]; monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, ...], tuple[int, float]] = OrderedDict()

    def wait(self, address: str, name: str) -> float:
        """Return how long [s] this client must wait before it may try again; 0 if it may now."""
        now = self._clock()
        return max(
            self._until((address, name), FREE_TRIES) - now,
            self._until((address,), 4 * FREE_TRIES) - now,
            0.0,
        )

    def failed(self, address: str, name: str) -> None:
        """Record a failed login."""
        now = self._clock()
        for key in ((address, name), (address,)):
            count, _ = self._failures.pop(key, (0, 0.0))
            self._failures[key] = count + 1, now
        while len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, address: str, name: str) -> None:
        """Forget the failures of a client that has logged in."""
        self._failures.pop((address, name), None)

    def _until(self, key: tuple[str, ...], free: int) -> float:
        count, last = self._failures.get(key, (0, -math.inf))
        if count < free:
            return -math.inf
        return last + min(FIRST_WAIT * 2.0 ** (count - free), LONGEST_WAIT)

"""Trying again, where nobody tells when it will do."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator


def tries(pauses: Iterable[float]) -> Iterator[None]:
    """Yield at once, and again after each pause: a loop's body tries, and leaves when it did.

    Parameters
    ----------
    pauses : iterable of float
        How long to wait before each further try [s].
    """
    yield
    for pause in pauses:
        time.sleep(pause)
        yield

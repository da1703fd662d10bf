"""A file for libraries that write to one: it hands out what was written since."""

from __future__ import annotations

import io
from collections.abc import Sequence


class Sink(io.RawIOBase):
    """A file that is only written and hands out what was written since."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """Say so."""
        return True

    def write(self, data: object) -> int:
        """Keep what is written."""
        part = bytes(memoryview(data))  # type: ignore[arg-type]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        """Give what was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def distinct(names: Sequence[str], *, fold: bool = False) -> list[str]:
    """Give names that are different from each other, and not empty.

    Parameters
    ----------
    names
        As the query names its columns.
    fold
        Whether upper and lower case are the same.
    """
    seen: set[str] = set()
    result = []
    for place, name in enumerate(names, 1):
        base = name or f"col{place}"
        candidate, number = base, 2
        while (candidate.lower() if fold else candidate) in seen:
            candidate, number = f"{base}_{number}", number + 1
        seen.add(candidate.lower() if fold else candidate)
        result.append(candidate)
    return result

"""Progress of a long command, as lines on stderr that people and logs can read."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_EVERY = 5.0


class Progress:
    """Says what is being done and how far it is.

    On a terminal one line is rewritten; elsewhere a plain line appears every few seconds.

    Parameters
    ----------
    stream
        Where to write; None for nowhere.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._is_terminal = bool(stream and stream.isatty())
        # What is done within a moment needs no word.
        self._last = time.monotonic()
        self._open = False

    @classmethod
    def on_stderr(cls) -> Progress:
        """Write to stderr."""
        return cls(sys.stderr)

    def say(self, text: str) -> None:
        """Write one line that stays."""
        self._clear()
        if self._stream:
            print(text, file=self._stream, flush=True)

    def step(self, text: str, done: int, total: int | None, unit: str = "") -> None:
        """Note how far a task is; written now and then.

        Parameters
        ----------
        text
            What is being done.
        done, total
            How much of how much; None if that is unknown.
        unit
            What is counted.
        """
        now = time.monotonic()
        if not self._stream or now - self._last < (0.2 if self._is_terminal else _EVERY):
            return
        self._last = now
        of = f"/{total:,}" if total is not None else ""
        line = f"{text} ({done:,}{of}{' ' + unit if unit else ''})"
        if self._is_terminal:
            self._stream.write(f"\r\033[K{line}")
            self._stream.flush()
            self._open = True
        else:
            print(line, file=self._stream, flush=True)

    def _clear(self) -> None:
        if self._open and self._stream:
            self._stream.write("\r\033[K")
            self._open = False

"""What the person at the terminal reads: one plain line for each thing that happens."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time


class Terminal:
    """Prints lines with the time since the start; a terminal that has gone away is no error."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def line(self, name: str, text: str) -> None:
        """Print what happens to one process or step."""
        elapsed = time.monotonic() - self._begun
        colour = "31" if text.startswith(("failed", "cannot")) else "36"
        label = f"\x1b[{colour}m{name:<9}\x1b[0m" if self._colour else f"{name:<9}"
        self._print(f"{elapsed:6.1f} s  {label} {text}")

    def block(self, *lines: str) -> None:
        """Print a paragraph."""
        self._print("\n".join(["", *lines, ""]))

    def _print(self, text: str) -> None:
        with self._lock, contextlib.suppress(OSError):
            print(text, flush=True)

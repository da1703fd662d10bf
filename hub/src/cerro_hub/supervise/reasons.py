"""Says why a process ended, in one line, from what it wrote last."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from cerro_hub.supervise.plan import ProcessSpec
from cerro_hub.supervise.ports import holder, is_free

TAIL = 16_000
LONGEST = 240

NO_SPACE = re.compile(r"No space left on device|ENOSPC|database or disk is full", re.IGNORECASE)
PORT_TAKEN = re.compile(r"EADDRINUSE|address already in use", re.IGNORECASE)
LOCKED = re.compile(r"database is locked")
NOISE = re.compile(r"^\s*(File \"|at |\^|~|$)|^Node\.js v|^Exception ignored|^\s+")


def explain(spec: ProcessSpec, code: int | None, log: Path, offset: int) -> str:
    """Return why a process ended.

    Parameters
    ----------
    spec : ProcessSpec
        The process.
    code : int or None
        Its exit code; negative: the signal that ended it; None: unknown.
    log : Path
        Its log.
    offset : int
        Where in the log its last start begins [bytes].
    """
    text = _tail(log, offset)
    if NO_SPACE.search(text):
        return f"no space left on the disk of {log.parent.parent}; free some"
    if PORT_TAKEN.search(text):
        if spec.port and not is_free(spec.port):
            return f"port {spec.port} is taken by {holder(spec.port)}"
        return "its port is taken by another program"
    if LOCKED.search(text):
        return "its database is locked by another program"
    if code is not None and code < 0:
        return f"it was ended by signal {_signal_name(-code)}"
    lines = [line.strip() for line in text.splitlines() if not NOISE.match(line)]
    said = f": {lines[-1][:LONGEST]}" if lines else ""
    return f"it ended{'' if code is None else f' with code {code}'}{said} (see {log})"


def _tail(log: Path, offset: int) -> str:
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(min(offset, size), size - TAIL))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)

"""Whether processes of this machine are still there."""

from __future__ import annotations

import os


def lives(pid: int) -> bool:
    """Whether a process is there, of whatever account; a zombie is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # Another account's.
        return True
    return True

"""Real data for tests; they lie beside the repository and are no part of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(
    os.environ.get("CERRO_TRIAL_DATA") or Path(__file__).resolve().parents[3] / "shared/data"
)


def trial(part: str = "") -> Path:
    """Give a file or folder of the trial data; where it is not, the test is skipped.

    Parameters
    ----------
    part
        Its path below the folder that ``CERRO_TRIAL_DATA`` names.
    """
    found = DATA / part
    if not found.exists():
        pytest.skip(f"there is no {found} (set CERRO_TRIAL_DATA)")
    return found

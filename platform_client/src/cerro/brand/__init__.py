"""Cerro's look, for every page that we serve: one style sheet, the logo and the icons.

The hub, the portal and the documentation serve or copy these files as they are, so that
the house looks like one house.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

__all__ = ["folder"]


def folder() -> Path:
    """Give the folder that holds ``cerro.css``, ``logo.svg``, ``horizon.svg`` and the icons.

    Returns
    -------
    pathlib.Path
        The folder inside the installed package.
    """
    return Path(str(files(__name__)))

"""The ``cerro`` command: finds the platform's folder, then hands over to a subcommand."""

from __future__ import annotations

import os
import sys
from types import TracebackType

import click

from cerro import home
from cerro.cli.plugins import PluginGroup

DEBUG = "CERRO_DEBUG"
"""Environment variable that brings tracebacks back."""


def _say_plainly(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Tell an unforeseen error in one line; a traceback helps only those who ask for it."""
    if os.environ.get(DEBUG):
        sys.__excepthook__(kind, error, trace)
        return
    detail = f"{kind.__name__}: {error}" if str(error) else kind.__name__
    print(
        f"Error: {detail}\nThis was not foreseen. Set {DEBUG}=1 and repeat to see where it arose.",
        file=sys.stderr,
    )


@click.group(
    cls=PluginGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="The platform's folder is CERRO_HOME, else the nearest .cerro, else the user's data "
    "folder. 'cerro COMMAND --help' explains a command.",
)
@click.version_option(package_name="cerro", message="cerro %(version)s")
def main() -> None:
    """Cerro, an open science platform for astronomy surveys.

    Start a platform (up), publish data on it (pipeline, release), and ask it questions (query).
    """
    sys.excepthook = _say_plainly
    home.export()


if __name__ == "__main__":
    main(prog_name="cerro")

"""`cerro up`, `cerro down` and `cerro status`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cerro_hub.home import Home

PROCESSES = ("hub", "services", "worker", "portal", "culler")


def fail(error: Exception) -> click.ClickException:
    """Return the click error that shows a hub's error as one line."""
    return click.ClickException(getattr(error, "message", str(error)))


@click.command()
@click.option("--demo", is_flag=True, help="Build the simulated release `sim` if there is none.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the front door [8000].")
@click.option("--host", help="Address to listen on [127.0.0.1: this machine only].")
@click.option("--home", type=click.Path(file_okay=False), help="The platform's folder.")
@click.option(
    "--without",
    type=click.Choice(PROCESSES),
    multiple=True,
    help="Leave out a process that you run elsewhere; may be repeated.",
)
def up(
    *,
    demo: bool,
    port: int | None,
    host: str | None,
    home: str | None,
    without: tuple[str, ...],
) -> None:
    """Start the platform; stop it with Ctrl-C.

    Starts the front door, the hub, the data services and the portal, prints the address, watches
    them, and restarts what dies. At the first start it makes the account `admin` and shows its
    password.
    """
    from cerro_hub.errors import HubError
    from cerro_hub.settings import load
    from cerro_hub.supervise.demo import Demo
    from cerro_hub.supervise.platform import Platform
    from cerro_hub.supervise.terminal import Terminal

    try:
        place = _home(home)
        settings = load(place, port=port, host=host)
        terminal = Terminal()
        job = Demo(place, terminal.line).build if demo else None
        Platform(place, settings, without=without, job=job, terminal=terminal).run()
    except HubError as error:
        raise fail(error) from error


@click.command()
@click.option("--home", type=click.Path(file_okay=False), help="The platform's folder.")
def down(home: str | None) -> None:
    """Stop the platform."""
    from cerro_hub.errors import HubError
    from cerro_hub.supervise.stop import stop_platform

    try:
        click.echo(stop_platform(_home(home)))
    except HubError as error:
        raise fail(error) from error


@click.command()
@click.option("--home", type=click.Path(file_okay=False), help="The platform's folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def status(home: str | None, *, as_json: bool) -> None:
    """Show what runs. Exits with 1 unless everything is up."""
    from cerro_hub.errors import HubError
    from cerro_hub.supervise.stop import describe, rows

    try:
        place = _home(home)
    except HubError as error:
        raise fail(error) from error
    table = rows(place)
    click.echo(describe(place, table, as_json=as_json))
    sys.exit(0 if table and all(row["status"] == "up" for row in table) else 1)


def _home(option: str | None) -> Home:
    import os
    from pathlib import Path

    from cerro_hub.home import Home

    if option:
        os.environ["CERRO_HOME"] = str(Path(option).absolute())
    return Home.from_environment()

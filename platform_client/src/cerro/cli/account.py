"""``cerro login`` and ``cerro logout``."""

from __future__ import annotations

import os
import sys
import webbrowser

import click

from cerro import config
from cerro.errors import NotPermittedError, TokenRejectedError
from cerro.session import get_json


@click.command()
@click.argument("url")
@click.option("--public", is_flag=True, help="Use the platform without a token: public data only.")
@click.option("--browser/--no-browser", default=True, help="Open the token page.")
def login(url: str, *, public: bool, browser: bool) -> None:
    """Remember a platform and your token for it.

    URL is the platform's address, for example http://127.0.0.1:8000/ . The command shows the page
    where tokens are made and asks for one; from a script, pass it on standard input.
    """
    where = config.Connection(config.tidy_url(url), None, "login")
    if public:
        releases = get_json(where, "api/releases")
        config.store(where.url, None)
        click.echo(f"Using {where.url} without a token: {len(releases)} public release(s).")
        return
    if where.url.startswith("http:") and not where.on_this_machine:
        click.echo(f"Careful: {where.url} is not encrypted; others may read your token.", err=True)
    token = _ask(where, browser=browser)
    if not token:
        raise click.ClickException("No token was given; nothing is changed.")
    try:
        user = get_json(config.Connection(where.url, token, "login"), "hub/api/user")
    except (TokenRejectedError, NotPermittedError) as error:  # the hub says 403 to a wrong token
        raise click.ClickException(
            f"{where.url} does not know this token. Copy it whole from {where.token_page} ."
        ) from error
    path = config.store(where.url, token)
    click.echo(f"Logged in at {where.url} as {user['name']}. Kept in {path} , for you only.")
    _warn_of_environment()


def _ask(where: config.Connection, *, browser: bool) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    click.echo(f"Make a token at {where.token_page} and paste it here.")
    graphical = sys.platform in {"darwin", "win32"} or {"DISPLAY", "WAYLAND_DISPLAY"} & {
        *os.environ
    }
    if browser and graphical:
        webbrowser.open(where.token_page)
    answer: str = click.prompt("Token (not shown)", hide_input=True)
    return answer.strip()


def _warn_of_environment() -> None:
    if os.environ.get(config.URL_VARIABLE):
        click.echo(
            f"Note: {config.URL_VARIABLE} is set in this shell and goes before the login.", err=True
        )


@click.command()
def logout() -> None:
    """Forget the stored token."""
    known = config.forget()
    if known is None:
        click.echo("Nobody was logged in.")
        return
    click.echo(f"Logged out of {known.url} .")
    if known.token:
        click.echo(f"The token itself stays good until you revoke it at {known.token_page} .")

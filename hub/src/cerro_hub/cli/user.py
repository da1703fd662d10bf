"""`cerro user`: the embedded accounts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cerro_hub.auth.accounts import AccountStore


@click.group()
def user() -> None:
    """Manage the people who may log in (embedded accounts).

    Changes take effect at once, for logins and tokens alike, whether the platform runs or not.
    """


def _store() -> AccountStore:
    from cerro_hub.auth.accounts import AccountStore
    from cerro_hub.home import Home
    from cerro_hub.settings import load

    home = Home.from_environment()
    if load(home).auth != "embedded":
        raise click.ClickException("People log in with an OpenID provider here; manage them there.")
    home.make()
    return AccountStore(home.hub)


def _password(*, from_stdin: bool) -> tuple[str, bool]:
    """Return a password and whether it was generated."""
    from cerro_hub.auth.accounts import generate_password

    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n"), False
    if sys.stdin.isatty():
        typed = click.prompt(
            "Password (empty: generate one)", hide_input=True, default="", show_default=False
        )
        if typed:
            return str(typed), False
    return generate_password(), True


@user.command()
@click.argument("name")
@click.option("--admin", is_flag=True, help="May administer the platform.")
@click.option("--group", "groups", multiple=True, help="Group, such as data-rights; repeatable.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def add(name: str, groups: tuple[str, ...], *, admin: bool, password_stdin: bool) -> None:
    """Add the account NAME; without a password, one is generated and shown."""
    from cerro_hub.cli.main import fail
    from cerro_hub.errors import HubError

    try:
        store = _store()
        password, generated = _password(from_stdin=password_stdin)
        store.add(name, password, admin=admin, groups=groups)
    except HubError as error:
        raise fail(error) from error
    click.echo(f"Added {name}." + (f" Password (shown once): {password}" if generated else ""))


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def list_accounts(*, as_json: bool) -> None:
    """List the accounts."""
    import json

    from cerro_hub.cli.main import fail
    from cerro_hub.errors import HubError

    try:
        accounts = _store().all().values()
    except HubError as error:
        raise fail(error) from error
    if as_json:
        records = [{"name": a.name, "admin": a.admin, "groups": a.groups} for a in accounts]
        click.echo(json.dumps(records))
        return
    click.echo(f"{'NAME':<32}{'ADMIN':<7}GROUPS")
    for account in accounts:
        admin = "yes" if account.admin else ""
        click.echo(f"{account.name:<32}{admin:<7}{', '.join(account.groups)}".rstrip())


@user.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove the account NAME and its tokens; the person's files stay."""
    from urllib.parse import quote

    from cerro_hub.cli.main import fail
    from cerro_hub.errors import HubError
    from cerro_hub.home import Home
    from cerro_hub.hub_api import HubApi
    from cerro_hub.secrets import read_or_make
    from cerro_hub.supervise.state import read_state
    from cerro_hub.wiring import Wiring

    home = Home.from_environment()
    try:
        _store().remove(name)
        state = read_state(home)
        if state.wiring and state.leftovers:
            token = read_or_make(home.hub)["supervisor_token"]
            HubApi(Wiring(**state.wiring).hub_api_url, token).remove_user(quote(name, safe=""))
    except HubError as error:
        raise fail(error) from error
    click.echo(f"Removed {name}. Their files stay in {home.homes / name}.")


@user.command()
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def passwd(name: str, *, password_stdin: bool) -> None:
    """Give NAME a new password."""
    from cerro_hub.cli.main import fail
    from cerro_hub.errors import HubError

    try:
        store = _store()
        store.get(name)
        password, generated = _password(from_stdin=password_stdin)
        store.set_password(name, password)
    except HubError as error:
        raise fail(error) from error
    click.echo(f"Changed the password of {name}." + (f" It is {password}" if generated else ""))


@user.command()
@click.argument("name")
@click.argument("groups", nargs=-1)
@click.option("--add", "added", multiple=True, help="Add to this group; repeatable.")
@click.option("--remove", "removed", multiple=True, help="Take out of this group; repeatable.")
def group(
    name: str, groups: tuple[str, ...], added: tuple[str, ...], removed: tuple[str, ...]
) -> None:
    """Put NAME into exactly GROUPS, or change single ones with --add and --remove."""
    from cerro_hub.cli.main import fail
    from cerro_hub.errors import HubError

    if groups and (added or removed):
        raise click.UsageError("Give either GROUPS or --add and --remove.")
    try:
        store = _store()
        before = set() if groups else set(store.get(name).groups)
        if not (groups or added or removed):
            click.echo(", ".join(sorted(before)) or f"{name} is in no group.")
            return
        account = store.set_groups(name, (before | set(groups) | set(added)) - set(removed))
    except HubError as error:
        raise fail(error) from error
    click.echo(f"{name} is in: {', '.join(account.groups) or 'no group'}.")

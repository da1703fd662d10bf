"""Commands found by name and imported only when they are needed.

A command is an entry ``name -> module:attribute``: our own are listed here, those of the
other packages come from entry points. A package that cannot be imported costs its own
commands only: the others go on, and the broken one says why when it is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

import click

from cerro.errors import CerroError

GROUP = "cerro.commands"
"""Entry-point group of commands that other packages add."""

OWN = {
    "login": "cerro.cli.account:login",
    "logout": "cerro.cli.account:logout",
    "query": "cerro.cli.query:query",
    "releases": "cerro.cli.browse:releases",
    "tables": "cerro.cli.browse:tables",
}
"""The client's own commands."""


def find() -> dict[str, EntryPoint]:
    """List the commands without importing any.

    Returns
    -------
    dict
        Command name to entry point. Our own names cannot be replaced by a plug-in.
    """
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    found.update({name: EntryPoint(name, target, GROUP) for name, target in OWN.items()})
    return found


class PluginGroup(click.Group):
    """A group whose subcommands are imported when first looked at.

    Parameters
    ----------
    plugins
        Command name to entry point; `find` looks them up if not given.
    """

    def __init__(
        self, *args: object, plugins: Mapping[str, EntryPoint] | None = None, **kwargs: object
    ) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._plugins = plugins

    @property
    def plugins(self) -> Mapping[str, EntryPoint]:
        """Command name to entry point."""
        if self._plugins is None:
            self._plugins = find()
        return self._plugins

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands, sorted."""
        return sorted({*self.plugins, *super().list_commands(ctx)})

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; an error of the client becomes one plain message."""
        try:
            return super().invoke(ctx)
        except CerroError as error:
            raise click.ClickException(str(error)) from error

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and give a command, or a stand-in that says why it cannot be imported."""
        known = super().get_command(ctx, cmd_name)
        if known is None and cmd_name in self.plugins:
            known = _load(self.plugins[cmd_name])
            self.add_command(known, cmd_name)
        return known


def _load(entry: EntryPoint) -> click.Command:
    try:
        command = entry.load()
    except Exception as error:  # a plug-in can fail in any way, and must not take the rest along
        return _broken(entry, f"{type(error).__name__}: {error}")
    if not isinstance(command, click.Command):
        return _broken(entry, f"{entry.value} is no click command")
    return command


def _broken(entry: EntryPoint, reason: str) -> click.Command:
    @click.command(
        entry.name,
        short_help="(not available: see why by calling it)",
        context_settings={"ignore_unknown_options": True, "help_option_names": []},
    )
    @click.argument("args", nargs=-1, type=click.UNPROCESSED)
    def stand_in(args: tuple[str, ...]) -> None:  # noqa: ARG001
        package = entry.value.partition(".")[0].partition(":")[0]
        raise click.ClickException(
            f"'cerro {entry.name}' cannot be loaded from {entry.value}:\n  {reason}\n"
            f"Install or mend the package {package!r}; the other commands are not concerned."
        )

    return stand_in

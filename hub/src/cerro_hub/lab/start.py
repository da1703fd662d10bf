"""Entry point of a user's server: prepares the user's folder, then becomes JupyterLab.

It runs as the user, so what it writes into their folder needs no privilege.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from cerro_hub.lab.butler import keep_index
from cerro_hub.lab.discovery import fetch_discovery
from cerro_hub.lab.tutorials import copy_tutorials
from cerro_hub.quick_imports import skip_iri_grammar

CONFIG = Path(__file__).parent / "config"

BASHRC = """\
# Made by Cerro; yours to change.
PS1='\\[\\e[36m\\]${JUPYTERHUB_USER}\\[\\e[0m\\]:\\w\\$ '
alias ls='ls --color=auto'
"""


def _say(runtime: Path, message: str) -> None:
    """Tell the page that waits for this server how far it is."""
    with (runtime / "progress").open("a") as file:
        file.write(message + "\n")


def write_runtime(runtime: Path, token: str, address: str) -> None:
    """Write the files in which the RSP's tools look for the token and the address.

    Parameters
    ----------
    runtime : Path
        NUBLADO_RUNTIME_MOUNTS_DIR.
    token : str
        The server's token.
    address : str
        The platform's external address.
    """
    for folder in ("secrets", "environment", "discovery", "butler"):
        (runtime / folder).mkdir(mode=0o700, exist_ok=True)
    secret = runtime / "secrets/token"
    secret.touch(mode=0o600)
    secret.write_text(token)
    (runtime / "environment/EXTERNAL_INSTANCE_URL").write_text(address)


def prepare(home: Path, runtime: Path) -> None:
    """Prepare the user's folder and the runtime folder.

    What fails here is told and does not keep the server from starting: a person whose disk is full
    needs their server to free some of it.
    """
    try:
        write_runtime(runtime, os.environ["CERRO_TOKEN"], os.environ["CERRO_URL"])
        bashrc = home / ".bashrc"
        if not bashrc.exists():
            bashrc.write_text(BASHRC)
        source = os.environ.pop("CERRO_TUTORIALS_SOURCE", "")
        if source:
            copy_tutorials(Path(source), home / "notebooks/tutorials")
        _say(runtime, "The tutorials are in place; loading JupyterLab")
    except OSError as error:
        print(f"Cerro: cannot prepare {home}: {error}", file=sys.stderr)


def main() -> None:
    """Prepare, then run JupyterLab in this process."""
    runtime = Path(os.environ["NUBLADO_RUNTIME_MOUNTS_DIR"])
    for fetches in (fetch_discovery, keep_index):
        threading.Thread(target=fetches, args=(runtime,), daemon=True).start()
    prepare(Path.home(), runtime)
    os.environ["JUPYTER_CONFIG_PATH"] = str(CONFIG)
    skip_iri_grammar()
    from jupyterhub.singleuser import main as jupyterlab

    jupyterlab()


if __name__ == "__main__":
    main()

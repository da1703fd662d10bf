"""Imports what a notebook server and its first kernel import: `python -s -m cerro_hub.lab.warm`.

Python compiles a module at its first import and keeps the result, if it may write there. Servers
under accounts of their own may not, and would compile JupyterLab at every start; run once by the
owner of the installation, this does it for all. It also brings the files into the machine's
memory, so that the first person's server starts as fast as the second's.
"""

from __future__ import annotations

import importlib

from cerro_hub.quick_imports import skip_iri_grammar

MODULES = (
    "jupyterhub.singleuser.extension",
    "jupyterlab.labapp",
    "jupyter_server_terminals",
    "cerro_hub.lab.extension",
    "ipykernel.kernelapp",
    "matplotlib_inline",
    "matplotlib.pyplot",
    "cerro.session",
    "pyvo",
)


def main() -> None:
    """Import them all."""
    skip_iri_grammar()
    for module in MODULES:
        importlib.import_module(module)


if __name__ == "__main__":
    main()

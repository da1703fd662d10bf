"""Entry point of the hub's process: `python -m cerro_hub.start_hub -f CONFIG`."""

import os

from cerro_hub.quick_imports import skip_iri_grammar


def main() -> None:
    """Run JupyterHub in this process."""
    skip_iri_grammar()
    # Otherwise a hub whose configuration failed would start with JupyterHub's own defaults.
    os.environ["TRAITLETS_APPLICATION_RAISE_CONFIG_FILE_ERROR"] = "1"
    from jupyterhub.app import main as jupyterhub

    jupyterhub()


if __name__ == "__main__":
    main()

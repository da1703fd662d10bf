"""Entry point of the hub's process: `python -m cerro_hub.start_hub -f CONFIG`."""

from cerro_hub.quick_imports import skip_iri_grammar


def main() -> None:
    """Run JupyterHub in this process."""
    skip_iri_grammar()
    from jupyterhub.app import main as jupyterhub

    jupyterhub()


if __name__ == "__main__":
    main()

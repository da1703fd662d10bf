"""The file that `python -m jupyterhub -f` reads."""

from cerro_hub.configure import configure

configure(get_config())  # type: ignore[name-defined]  # noqa: F821 - JupyterHub defines it

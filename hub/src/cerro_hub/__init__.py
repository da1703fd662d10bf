"""Cerro's JupyterHub: configuration, spawner, access, and `cerro up`."""

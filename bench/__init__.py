"""Cerro's measurements: `python -m bench [NAME…]`, one module an area, each with ``run(workdir)``."""

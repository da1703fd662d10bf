"""Cerro's measurements, `python -m bench [NAME…]`: one module an area, with ``run(workdir)``."""

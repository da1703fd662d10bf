"""The commands ``cerro pipeline …``."""

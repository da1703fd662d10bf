"""Simple Cone Search 1.1 on every table with a position."""

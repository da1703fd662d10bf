"""Stamps of any number of positions in one job."""

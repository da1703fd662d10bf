"""Rows of a table that have given values: where a row of one result leads to another table."""

from cerro_services.rows.router import PREFIX, failure, router

__all__ = ["PREFIX", "failure", "router"]

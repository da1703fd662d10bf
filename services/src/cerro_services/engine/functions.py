"""The functions of `cerro_services.adql.kernels` in DuckDB."""

from __future__ import annotations

from typing import Any

from cerro_services.adql.kernels import KERNELS


def register(connection: Any) -> None:
    """Make the functions known to a database, for all of its connections.

    Parameters
    ----------
    connection
        A connection to the database.
    """
    for kernel in KERNELS:
        connection.create_function(
            kernel.name,
            kernel.run,
            list(kernel.arguments),
            kernel.result,
            type="arrow",
            null_handling="special",
        )

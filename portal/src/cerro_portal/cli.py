"""``cerro portal``: the process behind the home page and the documentation."""

from __future__ import annotations

import click


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8010, show_default=True, type=click.IntRange(1, 65535))
def portal(host: str, port: int) -> None:
    """Serve the home page and the documentation."""
    import uvicorn

    from cerro_portal.app import create_app
    from cerro_portal.config import load

    uvicorn.run(
        create_app(load()),
        host=host,
        port=port,
        server_header=False,
        log_level="info",
        timeout_graceful_shutdown=5,
    )

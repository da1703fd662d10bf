"""``cerro serve``: the data services in one process."""

from __future__ import annotations

from typing import Any

import click

NAMES = ("tap", "cone", "registry", "discovery")


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8010, show_default=True, type=click.IntRange(0, 65535))
@click.option("--log-level", default="info", show_default=True,
              type=click.Choice(["debug", "info", "warning", "error"]))  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 64),
              help="Processes that answer; by default the setting workers.")  # fmt: skip
def serve(
    names: tuple[str, ...], host: str, port: int, log_level: str, workers: int | None
) -> None:
    """Serve the data services NAMES (all if none is named).

    Settings come from the environment (CERRO_RELEASES, CERRO_HUB_API_URL, CERRO_EXTERNAL_URL, …)
    and the section services: of cerro.yaml in the platform's folder.
    """
    import uvicorn

    from cerro_services import logs
    from cerro_services.config import load
    from cerro_services.counting import prepare
    from cerro_services.errors import CerroError
    from cerro_services.serving import serve_by, spare_drivers, spare_pandas, take_turns

    logs.configure(log_level)
    spare_pandas()
    try:
        settings = load()
        spare_drivers(settings)
        prepare(settings.home / "run" / "counts")
        from cerro_services.connections import BoundedProtocol, more_files

        workers = workers or settings.workers
        app: Any = "cerro_services.serving:app"
        if workers == 1:
            from cerro_services.app import create_app

            more_files()
            take_turns()
            app = create_app(settings, names)
    except (CerroError, OSError) as error:
        raise click.ClickException(str(error)) from error
    config = uvicorn.Config(
        app,
        factory=workers > 1,
        workers=workers,
        host=host,
        port=port,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        timeout_graceful_shutdown=5,
    )
    if workers == 1:
        uvicorn.Server(config).run()
    else:
        serve_by(workers, config, names, log_level)

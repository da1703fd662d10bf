"""``cerro work``: runs the jobs that the services accept."""

from __future__ import annotations

import click


@click.command()
@click.option("--log-level", default="info", show_default=True,
              type=click.Choice(["debug", "info", "warning", "error"]))  # fmt: skip
def work(log_level: str) -> None:
    """Run asynchronous jobs until stopped; what runs then is started again by the next worker.

    Settings are those of `cerro serve`. More than one worker may run, on one machine or several, if
    they share the database and the folder of jobs.
    """
    from cerro_services import logs
    from cerro_services.config import load
    from cerro_services.counting import prepare
    from cerro_services.errors import CerroError

    logs.configure(log_level)
    try:
        settings = load()
        prepare(settings.home / "run" / "counts")
        from cerro_services.uws.worker import Worker

        Worker(settings, "cerro_services.kinds").run()
    except (CerroError, OSError) as error:
        raise click.ClickException(str(error)) from error

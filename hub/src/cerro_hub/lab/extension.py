"""Server extension of users' servers: closes /nbconvert, and counts a busy kernel as activity."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.ioloop import PeriodicCallback

CLOSED = "Exports in the browser are off here. In a terminal, run: jupyter nbconvert --to html FILE"


class NoExport(JupyterHandler):
    """Refuses to render a notebook on the server's own address.

    A notebook rendered there can carry script that runs with its reader's rights (CVE-2026-44727).
    """

    @web.authenticated
    def get(self, _path: str = "") -> None:
        """Refuse."""
        raise web.HTTPError(403, CLOSED)

    post = get


class NoFormats(APIHandler):
    """Says that there are no export formats, so that JupyterLab does not offer any."""

    @web.authenticated
    def get(self) -> None:
        """Answer with no format."""
        self.finish({})


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "cerro_hub.lab.extension"}]


def _load_jupyter_server_extension(server: Any) -> None:
    app = server.web_app
    base = app.settings["base_url"]
    app.add_handlers(
        ".*",
        [
            (url_path_join(base, "/api/nbconvert"), NoFormats),
            (url_path_join(base, r"/nbconvert(/.*)?"), NoExport),
        ],
    )

    def count_busy_kernels() -> None:
        # A long computation whose browser tab is closed is not idleness.
        kernels = server.kernel_manager.list_kernels()
        if any(kernel.get("execution_state") == "busy" for kernel in kernels):
            app.settings["last_activity_times"]["cerro_busy_kernels"] = datetime.now(UTC)

    PeriodicCallback(count_busy_kernels, 30_000).start()

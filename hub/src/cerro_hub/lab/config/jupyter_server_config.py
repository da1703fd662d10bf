"""JupyterLab as it runs in a user's server; `c` is traitlets' configuration object."""
# ruff: noqa: F821
# mypy: disable-error-code="name-defined"

import os
from pathlib import Path

import cerro_hub.lab

LAB = Path(cerro_hub.lab.__file__).parent

c.ServerApp.jpserver_extensions = {
    "cerro_hub.lab.extension": True,
    "jupyterlab": True,
    "jupyter_server_terminals": True,
    # Each of these costs time at every start, and a first server needs neither.
    "jupyter_lsp": False,
    "notebook_shim": False,
}
c.ServerApp.log_level = "WARN"

# Nothing from another host: no news, no look-out for updates, no extension catalogue.
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
c.LabApp.collaborative = False
c.LabApp.app_settings_dir = str(LAB / "settings")

# An idle kernel ends, open tab or not; a busy one never does.
idle = int(os.environ.get("CERRO_KERNEL_IDLE_TIMEOUT", "3600"))
c.MappingKernelManager.cull_idle_timeout = idle
c.MappingKernelManager.cull_interval = max(min(idle // 4, 300), 10)
c.MappingKernelManager.cull_connected = True
c.MappingKernelManager.cull_busy = False
c.TerminalManager.cull_inactive_timeout = idle

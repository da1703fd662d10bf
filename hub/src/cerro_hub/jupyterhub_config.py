"""The file that JupyterHub reads."""

import sys

from cerro_hub.configure import configure
from cerro_hub.errors import HubError

try:
    configure(get_config())  # type: ignore[name-defined]  # noqa: F821 - JupyterHub defines it
except HubError as error:
    sys.exit(error.message)

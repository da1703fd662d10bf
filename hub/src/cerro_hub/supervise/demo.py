"""Placeholder to be written below."""

from __future__ import annotations
import threading
from cerro_hub.home import Home
from cerro_hub.supervise.terminal import Terminal


class Demo:
    def __init__(self, home: Home, terminal: Terminal) -> None:
        pass

    def build(self, stopping: threading.Event) -> None:
        pass

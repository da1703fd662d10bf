"""Start the server from which worker processes are copied, before anything slow is imported here.

Importing the framework and a pipeline's tasks takes some seconds of processor time. The fork server
imports them once, in a process of its own and so at the same time as we do; each worker is then a
copy of it, ready at once. This module is imported by commands at their start and loads nothing
heavy.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import re
from multiprocessing.context import ForkServerContext
from pathlib import Path

__all__ = ["PIPELINES", "context", "warm_up"]

PIPELINES = Path(__file__).parent / "pipelines"
"""Folder of the pipelines that come with Cerro."""

_CLASS = re.compile(r"^\s*class:\s*([\w.]+)\.\w+\s*$", re.MULTILINE)


def context() -> ForkServerContext:
    """Give the way in which all our worker processes are started."""
    return multiprocessing.get_context("forkserver")


def warm_up(pipeline: Path) -> None:
    """Start the server and let it import the tasks that a pipeline file names.

    Nothing happens if the server runs already, or the file cannot be read (whoever runs the
    pipeline says so).
    """
    try:
        modules = sorted(set(_CLASS.findall(pipeline.read_text(encoding="utf-8"))))
    except OSError:
        modules = []
    context().set_forkserver_preload(["cerro_pipelines.execute", *modules])
    multiprocessing.forkserver.ensure_running()

"""The data services in several processes that share one port.

Python lets one thread at a time run its code; a process more answers nearly as many small queries
more as there are cores. uvicorn starts the processes, and starts one again that dies.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Collection, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

import uvicorn
from pydantic import ByteSize, TypeAdapter
from uvicorn.supervisors import Multiprocess

from cerro_services.config import Settings, load

if TYPE_CHECKING:
    from fastapi import FastAPI

NAMES, LEVEL, WORKERS = "CERRO_SERVED", "CERRO_SERVED_LOG", "CERRO_SERVED_BY"
"""Tell the processes, in the environment, what the command was told."""


def serve_by(workers: int, config: uvicorn.Config, names: Collection[str], level: str) -> None:
    """Serve until told to stop.

    Parameters
    ----------
    workers
        Number of processes.
    config
        Of uvicorn; the application is made in each process.
    names
        Services to serve; all if none is named.
    level
        Of the log.
    """
    os.environ |= {NAMES: ",".join(names), LEVEL: level, WORKERS: str(workers)}
    # Else the C library keeps memory for every thread that ever asked for some.
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    listening: socket.socket = config.bind_socket()
    Multiprocess(config, sockets=[listening]).run()


def take_turns() -> None:
    """Let threads take turns at Python within a millisecond.

    A small query does so some twenty times. By default each turn lasts 5 ms where another thread
    reads a long query, and the small one would take ten times as long.
    """
    sys.setswitchinterval(0.001)


def spare_pandas() -> None:
    """Keep pyarrow and DuckDB from importing pandas, which they do wherever they find it.

    The services never use it, and it takes 40 MB of each process.
    """
    _spare("pandas")


def spare_drivers(settings: Settings) -> None:
    """Keep huey from importing the clients of databases and queues that are not used.

    It imports all that it finds; together they take 15 MB of each process.

    Parameters
    ----------
    settings
        Of the process.
    """
    used = {url.partition(":")[0] for url in (settings.database, settings.queue_url)}
    if not used & {"redis", "rediss", "unix"}:
        _spare("redis")
    if not any(kind.startswith("postgres") for kind in used):
        _spare("psycopg")


def _spare(name: str) -> None:
    if name not in sys.modules:
        sys.meta_path.insert(0, _Without(name))


class _Without(MetaPathFinder, Loader):
    """Finds a library and does not load it.

    It is the loading that fails: astropy asks only whether pandas can be found, and must not
    fail for having asked.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        return ModuleSpec(fullname, self) if fullname == self._name else None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        raise ModuleNotFoundError(f"The services do without {spec.name}.", name=spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Never reached, as no module is made."""


def app() -> FastAPI:
    """Make the application of one of several processes."""
    take_turns()
    spare_pandas()
    from cerro_services import logs
    from cerro_services.counting import prepare

    logs.configure(os.environ.get(LEVEL, "info"))
    settings = load()
    spare_drivers(settings)
    prepare(settings.home / "run" / "counts")
    from cerro_services.app import create_app
    from cerro_services.connections import more_files

    more_files()
    threading.Thread(target=_outlive_nobody, name="parent", daemon=True).start()
    names = [name for name in os.environ.get(NAMES, "").split(",") if name]
    return create_app(shared(settings, int(os.environ.get(WORKERS, "1"))), names)


def shared(settings: Settings, workers: int) -> Settings:
    """Give one process its share of what all may use.

    Parameters
    ----------
    settings
        For all processes.
    workers
        Their number.
    """
    size = TypeAdapter(ByteSize)
    memory = size.validate_python(settings.memory)
    spill = size.validate_python(settings.spill_size)
    return settings.model_copy(
        update={
            "concurrent_queries": math.ceil(settings.concurrent_queries / workers),
            "memory": f"{int(memory) // workers // 1_000_000}MB",
            "spill_size": f"{int(spill) // workers // 1_000_000}MB",
        }
    )


def _outlive_nobody() -> None:
    """Stop when whoever started this process is gone: the port must be free for who comes next."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

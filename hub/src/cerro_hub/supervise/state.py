"""What `cerro up` leaves on disk about the platform, for `status`, `down` and the next `up`."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from cerro_hub.errors import AlreadyRunningError
from cerro_hub.home import Home
from cerro_hub.secrets import write_private
from cerro_hub.spawn.processes import alive, created


@dataclass(frozen=True)
class ProcessState:
    """One process as it is now.

    Parameters
    ----------
    name : str
        The process.
    status : str
        waiting, starting, up, failed or stopped.
    pid : int
        Its process; 0 if there is none.
    created : float
        When that was created [s since 1970]: a pid alone may go to another process.
    since : float
        When the status was reached [s since 1970].
    restarts : int
        How often it has been started again.
    port : int
        Where it listens; 0 if it does not.
    fingerprint : str
        What it was started with.
    reason : str
        Why it failed.
    """

    name: str
    status: str = "waiting"
    pid: int = 0
    created: float = 0.0
    since: float = 0.0
    restarts: int = 0
    port: int = 0
    fingerprint: str = ""
    reason: str = ""

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return bool(self.pid) and alive(self.pid, self.created)


@dataclass(frozen=True)
class PlatformState:
    """The running platform.

    Parameters
    ----------
    address : str
        Where people reach it.
    pid, created : int, float
        The supervisor's process and when it was created [s since 1970].
    wiring : dict
        As `Wiring` has it.
    processes : dict
        Name to state.
    """

    address: str = ""
    pid: int = 0
    created: float = 0.0
    wiring: dict[str, Any] = field(default_factory=dict)
    processes: dict[str, ProcessState] = field(default_factory=dict)

    @property
    def supervised(self) -> bool:
        """Whether the `cerro up` that wrote this still runs."""
        return bool(self.pid) and alive(self.pid, self.created)

    @property
    def leftovers(self) -> list[ProcessState]:
        """The processes that are there."""
        return [process for process in self.processes.values() if process.runs]


def state_file(home: Home) -> Path:
    """Return where the state is kept."""
    return home.run / "state.json"


def read_state(home: Home) -> PlatformState:
    """Return what the last `cerro up` wrote; an empty state if there is none."""
    try:
        record = json.loads(state_file(home).read_text())
        processes = {name: ProcessState(**p) for name, p in record.pop("processes").items()}
        return PlatformState(**record, processes=processes)
    except (OSError, ValueError, KeyError, TypeError):
        return PlatformState()


class Board:
    """Holds the state of the platform, and writes it to disk whenever it changes.

    Parameters
    ----------
    home : Home
        The platform's folder.
    address : str
        Where people reach it.
    wiring : dict
        As `Wiring` has it.
    """

    def __init__(self, home: Home, address: str, wiring: dict[str, Any]) -> None:
        self._file = state_file(home)
        self._lock = threading.Lock()
        me = os.getpid()
        self._state = PlatformState(address, me, created(me), wiring)

    def update(self, name: str, **changes: Any) -> ProcessState:
        """Change what is known of a process."""
        with self._lock:
            before = self._state.processes.get(name, ProcessState(name))
            if changes.get("status", before.status) != before.status:
                changes["since"] = time.time()
            after = replace(before, **changes)
            self._state.processes[name] = after
            # A full disk must not stop the supervision; `status` shows what was written last.
            with contextlib.suppress(OSError):
                write_private(self._file, json.dumps(asdict(self._state), indent=1) + "\n")
            return after

    def get(self, name: str) -> ProcessState:
        """Return what is known of a process."""
        with self._lock:
            return self._state.processes.get(name, ProcessState(name))

    def clear(self) -> None:
        """Forget the platform: nothing runs any more."""
        self._file.unlink(missing_ok=True)


def hold(home: Home) -> IO[str]:
    """Take the lock that makes this the only `cerro up` of a home, for as long as it is open.

    Raises
    ------
    AlreadyRunningError
        Another one holds it.
    """
    # The lock lives as long as the process; its end frees it, however it ends.
    lock = (home.run / "up.lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        state = read_state(home)
        where = f" at {state.address}" if state.address else ""
        raise AlreadyRunningError(
            f"Cerro is already running{where} (pid {state.pid or 'unknown'}, folder {home.root}). "
            "Stop it with `cerro down`, or choose another folder with --home."
        ) from None
    return lock

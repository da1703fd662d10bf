"""Keeps one process alive."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cerro_hub.spawn.processes import alive, created, ends_within
from cerro_hub.supervise.plan import ProcessSpec
from cerro_hub.supervise.reasons import explain
from cerro_hub.supervise.state import Board, ProcessState

LOOK = 0.1
"""How often a process is looked at [s]."""

ASK = 5.0
"""How often a process that is up is asked whether it works [s]."""

PATIENCE = 60.0
"""How long a process may take to start, or not to answer, before it is restarted [s]."""

STEADY = 60.0
"""How long a process must be up for its failures to be forgotten [s]."""

LONGEST_PAUSE = 30.0
LARGEST_LOG = 20 * 1024**2

Report = Callable[[str, str], None]


class Keeper(threading.Thread):
    """Starts a process or adopts a running one, watches it, and starts it again when it dies.

    Parameters
    ----------
    spec : ProcessSpec
        The process.
    log : Path
        Where its output goes.
    board : Board
        Where its state is told.
    report : callable
        Called with the process's name and a line for the person at the terminal.
    on_up : callable, optional
        Called each time the process has begun to work, before that is told.
    former : ProcessState, optional
        What an earlier `cerro up` knew of it: if it still runs as it should, it is kept.
    """

    def __init__(
        self,
        spec: ProcessSpec,
        log: Path,
        board: Board,
        report: Report,
        *,
        on_up: Callable[[], None] | None = None,
        former: ProcessState | None = None,
    ) -> None:
        super().__init__(name=f"keeper-{spec.name}", daemon=True)
        self.spec = spec
        self.up = threading.Event()
        self._log = log
        self._board = board
        self._report = report
        self._on_up = on_up
        self._former = former
        self._stop_asked = threading.Event()
        self._popen: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._created = 0.0
        self._offset = 0
        self._failures = 0

    # ---- the thread ----------------------------------------------------------
    def run(self) -> None:
        """Keep the process alive until `stop` is called."""
        starts = 0
        while not self._stop_asked.is_set():
            if not (starts == 0 and self._adopt()):
                self._board.update(
                    self.spec.name,
                    status="starting",
                    restarts=max(starts, 0),
                    port=self.spec.port,
                    fingerprint=self.spec.fingerprint,
                )
                self._report(self.spec.name, "starting again" if starts else "starting")
                begun = time.monotonic()
                if self._start():
                    self._await_up(begun)
            starts += 1
            reason = self._watch() if self._pid else "it cannot be started"
            self.up.clear()
            if self._stop_asked.is_set():
                break
            self._failed(reason)

    def _adopt(self) -> bool:
        former = self._former
        if not (former and former.runs):
            return False
        self._pid, self._created = former.pid, former.created
        if former.fingerprint != self.spec.fingerprint or not self.spec.healthy():
            self._end(patience=5)
            return False
        self._board.update(
            self.spec.name,
            pid=former.pid,
            created=former.created,
            restarts=former.restarts,
            port=self.spec.port,
            fingerprint=self.spec.fingerprint,
        )
        self._is_up("still running; taken over")
        return True

    def _start(self) -> bool:
        self._pid = 0
        try:
            self._trim_log()
            with self._log.open("ab") as log:
                self._offset = log.tell()
                self._popen = subprocess.Popen(
                    self.spec.argv,
                    env={**os.environ, **self.spec.env},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # Ctrl-C in the terminal reaches `cerro up` alone, which stops them in order.
                    start_new_session=True,
                )
        except OSError as error:
            self._board.update(self.spec.name, reason=str(error))
            self._report(self.spec.name, f"cannot be started: {error.strerror}: {error.filename}")
            return False
        self._pid = self._popen.pid
        self._created = created(self._pid)
        self._board.update(self.spec.name, pid=self._pid, created=self._created)
        return True

    def _await_up(self, begun: float) -> None:
        while not self._stop_asked.is_set() and self._code() is None:
            if self.spec.healthy():
                self._is_up(f"up ({time.monotonic() - begun:.1f} s)")
                return
            if time.monotonic() - begun > PATIENCE:
                self._report(self.spec.name, f"does not answer after {PATIENCE:.0f} s; ending it")
                self._end(patience=5)
                return
            self._stop_asked.wait(LOOK)

    def _is_up(self, line: str) -> None:
        if self._on_up:
            self._on_up()
        self._board.update(self.spec.name, status="up", reason="")
        self._report(self.spec.name, line)
        self.up.set()

    def _watch(self) -> str:
        """Wait until the process ends; return why it did."""
        up_since = answered = asked = time.monotonic()
        while (code := self._code()) is None and not self._stop_asked.wait(LOOK):
            now = time.monotonic()
            if now - asked < ASK:
                continue
            asked = now
            if self.spec.healthy(timeout=ASK):
                answered = now
                if now - up_since > STEADY:
                    self._failures = 0
            elif now - answered > PATIENCE:
                self._end(patience=5)
                return f"it did not answer for {PATIENCE:.0f} s"
        return explain(self.spec, code or None, self._log, self._offset)

    def _failed(self, reason: str) -> None:
        pause = min(2.0 ** (self._failures - 1), LONGEST_PAUSE) if self._failures else 0.0
        self._failures += 1
        self._board.update(self.spec.name, status="failed", pid=0, reason=reason)
        again = f"; trying again in {pause:.0f} s" if pause else ""
        self._report(self.spec.name, f"failed: {reason}{again}")
        self._stop_asked.wait(pause)

    # ---- the process ---------------------------------------------------------
    def _code(self) -> int | None:
        """Return None while the process runs, else its exit code (0 where it cannot be known)."""
        if self._popen and self._popen.pid == self._pid:
            return self._popen.poll()
        return None if alive(self._pid, self._created) else 0

    def _end(self, patience: float) -> None:
        """End the process: ask first, then insist."""
        for sig, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
            if not self._pid or self._code() is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, sig)
            ends_within(wait, self._pid, lambda: self._code() is None)

    def _trim_log(self) -> None:
        if self._log.exists() and self._log.stat().st_size > LARGEST_LOG:
            self._log.replace(self._log.with_name(self._log.name + ".1"))

    # ---- for the supervisor --------------------------------------------------
    def ask_to_stop(self) -> None:
        """Do not start the process again."""
        self._stop_asked.set()

    def stop(self, patience: float = 8.0) -> None:
        """End the process and the thread.

        Parameters
        ----------
        patience : float
            How long the process may take before it is killed [s].
        """
        self._stop_asked.set()
        self._end(patience)
        if self.is_alive():
            self.join(timeout=10)
            # It may have been started in the very moment.
            self._end(patience)
        self._board.update(self.spec.name, status="stopped", pid=0)

"""`cerro up`: the whole platform from start to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from types import FrameType
from typing import IO

from cerro_hub.errors import DiskFullError
from cerro_hub.home import NEEDED_BYTES, Home
from cerro_hub.secrets import read_or_make
from cerro_hub.settings import HubSettings
from cerro_hub.spawn.machine_accounts import obstacle
from cerro_hub.spawn.processes import MARK, end_labs, ends_within
from cerro_hub.supervise import ports
from cerro_hub.supervise.first_start import make_admin, remove_strangers
from cerro_hub.supervise.front_door import restore_routes
from cerro_hub.supervise.keeper import Keeper
from cerro_hub.supervise.orphans import OrphanReaper
from cerro_hub.supervise.plan import ProcessSpec, make_plan
from cerro_hub.supervise.state import Board, PlatformState, hold, read_state
from cerro_hub.supervise.terminal import Terminal
from cerro_hub.wiring import Wiring

START_PATIENCE = 90.0
"""How long `cerro up` waits for its processes before it prints the address regardless [s]."""

HOUSEKEEPING = 2.0
"""How often orphans are buried and the disk is looked at [s]."""

Job = Callable[[threading.Event], object]


class Platform:
    """Starts the processes of one home, watches them, and stops them.

    Parameters
    ----------
    home : Home
        The platform's folder.
    settings : HubSettings
        Its settings.
    without : collection of str
        Processes to leave out.
    job : callable, optional
        Work to do once the processes are up and before the address is announced, such as building
        the demo release; gets an event that is set when the platform stops.
    """

    def __init__(
        self,
        home: Home,
        settings: HubSettings,
        *,
        without: Collection[str] = (),
        job: Job | None = None,
        terminal: Terminal | None = None,
    ) -> None:
        self._home = home
        self._settings = settings
        self._without = frozenset(without)
        self._job = job
        self._terminal = terminal or Terminal()
        self._stopping = threading.Event()
        self._keepers: dict[str, Keeper] = {}
        self._warm: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Run the platform until it is asked to stop.

        Raises
        ------
        HubError
            It cannot start: the message says why.
        """
        self._home.make()
        self._home.check_space()
        lock = hold(self._home)
        # What is ignored stays so: nohup ignores the end of the terminal.
        heeded = [s for s in _STOPPING if signal.getsignal(s) is not signal.SIG_IGN]
        handlers = {s: signal.signal(s, self._on_signal) for s in heeded}
        reaper = OrphanReaper()
        try:
            self._start(reaper)
        finally:
            self._stop()
            reaper.reap()
            for number, handler in handlers.items():
                signal.signal(number, handler)
            _release(lock)

    # ---- start ---------------------------------------------------------------
    def _start(self, reaper: OrphanReaper) -> None:
        home, settings = self._home, self._settings
        former = read_state(home)
        wiring = self._wire(former)
        secrets = read_or_make(home.hub)
        plan = make_plan(home, settings, wiring, secrets, self._without)
        front = former.processes.get("proxy")
        if not (front and front.runs and former.wiring == asdict(wiring)):
            self._end_former_front_door(former)
            ports.check_front_door(settings.host, settings.port)
        password = make_admin(home, settings)
        if password:
            # At once: what follows may take minutes or be interrupted.
            self._terminal.line("account", self._welcome(password))
        self._warn(password is not None)
        board = Board(home, wiring.address, asdict(wiring))
        for spec in plan:
            self._keepers[spec.name] = Keeper(
                spec,
                home.log(spec.name),
                board,
                self._terminal.line,
                on_up=(lambda: restore_routes(wiring, secrets)) if spec.name == "proxy" else None,
                former=former.processes.get(spec.name),
            )
        self._board = board
        self._launch(plan)
        if settings.auth == "embedded" and "hub" in self._keepers:
            remove_strangers(home, wiring, secrets["supervisor_token"])
        self._housekeeping(reaper)
        self._warm = _warm_up(str(home.root))
        if self._job and not self._stopping.is_set():
            self._job(self._stopping)
        if not self._stopping.is_set():
            self._announce(wiring, password)
        self._stopping.wait()

    def _wire(self, former: PlatformState) -> Wiring:
        """Choose the inner ports: those of the last time where they can be had.

        Users' servers know the hub by its inner port, so that it must not change under them.
        """
        old = former.wiring
        held = {p.port for p in former.leftovers}
        chosen: dict[str, int] = {}
        for name in ("proxy_api", "hub", "services", "portal"):
            if name in self._without:
                chosen[name] = 0
                continue
            port = int(old.get(name) or 0)
            usable = port and (port in held or ports.is_free(port))
            chosen[name] = port if usable else ports.free_port(chosen.values())
        settings = self._settings
        return Wiring(settings.address(), settings.host, settings.port, **chosen)

    def _end_former_front_door(self, former: PlatformState) -> None:
        """End a front door that an earlier `cerro up` left on another port."""
        front = former.processes.get("proxy")
        if front and front.runs:
            os.kill(front.pid, signal.SIGTERM)
            ends_within(5.0, front.pid, lambda: front.runs)

    def _launch(self, plan: list[ProcessSpec]) -> None:
        """Start the front door, then the others side by side, the culler when they are up."""
        deadline = time.monotonic() + START_PATIENCE
        names = [spec.name for spec in plan]
        for group in (["proxy"], ["hub", "services", "worker", "portal"], ["culler"]):
            keepers = [self._keepers[name] for name in group if name in names]
            for keeper in keepers:
                keeper.start()
            if group == ["culler"]:
                break
            for keeper in keepers:
                while not keeper.up.wait(0.05):
                    if self._stopping.is_set() or time.monotonic() > deadline:
                        break

    def _warn(self, first: bool) -> None:  # noqa: FBT001
        why = obstacle(self._settings.lab.first_uid, self._home.homes)
        if why and os.geteuid() == 0:
            self._terminal.line(
                "warning",
                "users' notebooks run as root, not under accounts of their own, and can read the "
                f"platform's secrets: give accounts only to people you trust with root ({why})",
            )
        elif why and first:
            self._terminal.line(
                "note",
                "users' notebooks share this machine account; start as root to separate them",
            )

    def _announce(self, wiring: Wiring, password: str | None) -> None:
        late = [k.spec.name for k in self._keepers.values() if not k.up.is_set()]
        late = [name for name in late if name != "culler"]
        if late:
            self._terminal.line("still", f"not up yet: {', '.join(late)}; see `cerro status`")
        lines = [f"Cerro is ready at {wiring.address}"]
        if password:
            lines.append(f"  {self._welcome(password)}")
            lines.append("  It is not shown again. Change it: cerro user passwd.")
            lines.append("  Add people: cerro user add NAME.")
        self._terminal.block(*lines, "Ctrl-C stops it.")

    def _welcome(self, password: str) -> str:
        return f"Log in as {self._settings.admin} with the password {password}"

    # ---- meanwhile -----------------------------------------------------------
    def _housekeeping(self, reaper: OrphanReaper) -> None:
        def keep_house() -> None:
            warned = False
            while not self._stopping.wait(HOUSEKEEPING):
                reaper.reap()
                low = self._home.free_bytes() < NEEDED_BYTES
                if low and not warned:
                    try:
                        self._home.check_space()
                    except DiskFullError as error:
                        self._terminal.line("disk", f"failed: {error.message}")
                warned = low

        threading.Thread(target=keep_house, name="housekeeping", daemon=True).start()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stopping.set()

    # ---- stop ----------------------------------------------------------------
    def _stop(self) -> None:
        self._stopping.set()
        started = [keeper for keeper in self._keepers.values() if keeper.ident]
        if not started:
            return
        self._terminal.line("all", "stopping")
        for keeper in started:
            keeper.ask_to_stop()
        if self._warm:
            self._warm.kill()
            self._warm.wait()
        # The hub first, so that nobody starts a server that would stay behind.
        for name in ("culler", "hub"):
            if name in self._keepers:
                self._keepers[name].stop()
        servers = end_labs(str(self._home.root))
        with ThreadPoolExecutor(len(started)) as pool:
            list(pool.map(Keeper.stop, started))
        self._board.clear()
        users = f", with {servers} processes of users' servers" if servers else ""
        self._terminal.line("all", f"stopped{users}")


def _warm_up(platform: str) -> subprocess.Popen[bytes]:
    """Have the modules of notebook servers compiled and read while nobody waits for them."""
    process = subprocess.Popen(
        [sys.executable, "-s", "-m", "cerro_hub.lab.warm"],
        env={**os.environ, MARK: platform},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, 15)
    return process


_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _release(lock: IO[str]) -> None:
    lock.close()

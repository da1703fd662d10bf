"""Starts a user's JupyterLab as a process of this machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from subprocess import Popen
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout
from jupyterhub.slugs import safe_slug
from jupyterhub.spawner import LocalProcessSpawner, SpawnException
from jupyterhub.utils import random_port
from traitlets import Integer, Unicode

from cerro_hub.lab.butler import butler_environment
from cerro_hub.spawn import processes
from cerro_hub.spawn.machine_accounts import obstacle, uid_of

KEPT = [
    "LANG",
    "LC_ALL",
    "TZ",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
]
"""What a server inherits of the hub's environment; all else is the platform's own business."""

LAST_WORDS = 400


LONGEST_PROGRESS = 4096


def read_progress(path: Path) -> list[str]:
    """Read what a starting server says of its progress; nothing if it says nothing.

    The file is the user's: a link must not make the hub, which may be root, read another file to
    them, and a pipe or an endless file must not hold it up.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return []
    try:
        about = os.fstat(file)
        # A hard link to a file of another account keeps its owner.
        ours = about.st_uid == path.parent.stat(follow_symlinks=False).st_uid
        if not (stat.S_ISREG(about.st_mode) and ours):
            return []
        return os.read(file, LONGEST_PROGRESS).decode(errors="replace").splitlines()
    except OSError:
        return []
    finally:
        os.close(file)


class StartError(SpawnException):
    """A server could not be started.

    Parameters
    ----------
    message : str
        Why, for the person whose server it is.
    reason : str
        One word, for the hub's metrics.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message, reason=reason)
        # The page that tells the failure shows this attribute only.
        self.jupyterhub_message = message


class CerroSpawner(LocalProcessSpawner):
    """Runs each user's server in their own folder and, where possible, under their own account."""

    platform = Unicode(config=True, help="The platform's folder (CERRO_HOME).")
    address = Unicode(config=True, help="The platform's external address.")
    tutorials = Unicode(config=True, help="Folder copied to ~/notebooks/tutorials.")
    first_uid = Integer(52000, config=True, help="First machine account of the users' range.")
    last_uid = Integer(59999, config=True, help="Last of them.")
    kernel_idle_timeout = Integer(3600, config=True, help="Idle kernels end after so long [s].")
    activity_interval = Integer(900, config=True, help="Servers report activity so often [s].")

    _separate: bool | None = None
    """Whether servers get accounts of their own; the same for all, found out once."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.env_keep = KEPT
        self._created = 0.0
        self._stages: list[str] = []
        self._said = asyncio.Event()
        """Set, and replaced, with each stage: several pages may wait for the next one."""

    # ---- where things lie ----------------------------------------------------
    @property
    def folder_name(self) -> str:
        """The user's name as a folder."""
        return str(safe_slug(self.user.name))

    @property
    def home(self) -> Path:
        """The user's folder."""
        return Path(self.platform) / "homes" / self.folder_name

    @property
    def runtime(self) -> Path:
        """What the running server reads: its token, the discovery document, its progress."""
        return Path(self.platform) / "run/labs" / self.folder_name

    @property
    def log_file(self) -> Path:
        """The server's log."""
        return Path(self.platform) / "logs" / f"lab-{self.folder_name}.log"

    # ---- environment ---------------------------------------------------------
    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Add what a process of this user needs, and keep the hub's own environment out."""
        env["USER"] = env["LOGNAME"] = self.user.name
        env["HOME"] = str(self.home)
        env["SHELL"] = "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"
        return env

    def get_env(self) -> dict[str, str]:
        """Return the server's environment."""
        env: dict[str, str] = super().get_env()
        programs = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        own = {
            "PATH": f"{self.home}/.local/bin:{programs}",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            processes.MARK: self.platform,
            "CERRO_URL": self.address,
            "CERRO_TOKEN": self.api_token,
            "ACCESS_TOKEN": self.api_token,
            "EXTERNAL_INSTANCE_URL": self.address,
            "REPERTOIRE_BASE_URL": f"{self.address}repertoire",
            "NUBLADO_RUNTIME_MOUNTS_DIR": str(self.runtime),
            **butler_environment(self.runtime, self.api_token),
            "RSP_SITE_TYPE": "science",
            "TUTORIALS": str(self.home / "notebooks/tutorials"),
            "CERRO_TUTORIALS_SOURCE": self.tutorials,
            "CERRO_KERNEL_IDLE_TIMEOUT": str(self.kernel_idle_timeout),
            "JUPYTERHUB_ACTIVITY_INTERVAL": str(self.activity_interval),
            "JUPYTERHUB_ROOT_DIR": str(self.home),
        }
        return {**env, **own}

    # ---- start, poll, stop ---------------------------------------------------
    async def start(self) -> tuple[str, int]:
        """Start the server and return its address when it answers.

        Raises
        ------
        StartError
            It cannot be started, or it stopped before it answered; the message says why.
        """
        self._stages = []
        uid = await asyncio.to_thread(self._account)
        try:
            await asyncio.to_thread(self._make_folders, uid)
        except OSError as error:
            raise StartError(
                f"Your folder cannot be prepared: {error.strerror}.", reason="folder"
            ) from error
        self._say("Your folder is ready")
        self.port = random_port()
        self.proc = self._popen(uid)
        self.pid = self.proc.pid
        self._created = processes.created(self.pid)
        # Should the hub die while the server starts, it must know the process when it comes back.
        self.orm_spawner.state = self.get_state()
        self.user.db.commit()
        self._say("The server's process runs")
        await self._answering()
        self._say("JupyterLab answers")
        return "127.0.0.1", self.port

    def _account(self) -> int | None:
        if CerroSpawner._separate is None:
            why = obstacle(self.first_uid, Path(self.platform) / "homes")
            CerroSpawner._separate = why is None
            if why:
                self.log.warning("Users' servers share the hub's machine account: %s", why)
        if not CerroSpawner._separate:
            return None
        hub = Path(self.platform) / "hub"
        return uid_of(self.user.name, hub, self.first_uid, self.last_uid)

    def _make_folders(self, uid: int | None) -> None:
        """Make the user's folder and an empty runtime folder; all else the server does itself."""
        if self.runtime.exists():
            shutil.rmtree(self.runtime)
        for folder in (self.home, self.runtime):
            new = not folder.exists()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if uid is not None and (new or folder.stat(follow_symlinks=False).st_uid != uid):
                os.chown(folder, uid, uid, follow_symlinks=False)

    def _popen(self, uid: int | None) -> Popen[bytes]:
        command = [*self.cmd, *self.get_args()]
        if uid is None and os.geteuid() == 0:
            command.append("--allow-root")
        account: dict[str, Any] = {}
        if uid is not None:
            account = {"user": uid, "group": uid, "extra_groups": []}
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            return Popen(
                command,
                env=self.get_env(),
                cwd=self.home,
                stdin=-3,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # Under the hub's own account, what Python compiles must stay readable for others.
                umask=0o022 if uid is None else 0o077,
                **account,
            )
        finally:
            os.close(log)

    async def _answering(self) -> None:
        """Wait until JupyterLab answers, looking often: the person is waiting, too."""
        url = f"http://127.0.0.1:{self.port}{self.server.base_url}api"
        progress = self.runtime / "progress"
        seen = 0
        async with ClientSession(timeout=ClientTimeout(total=5)) as session:
            while True:
                if self.proc.poll() is not None:
                    raise StartError(
                        f"Your server stopped while starting. {self._last_words()}",
                        reason="stopped",
                    )
                stages = read_progress(progress)
                for stage in stages[seen:]:
                    self._say(stage)
                seen = len(stages)
                try:
                    async with session.get(url) as response:
                        if response.status == 200:
                            return
                except (ClientError, TimeoutError):
                    pass
                # An address where nobody listens yet: there is nothing to wait on.
                await asyncio.sleep(0.05)

    def _last_words(self) -> str:
        text = ""
        if self.log_file.exists():
            with self.log_file.open("rb") as file:
                file.seek(max(0, self.log_file.stat().st_size - 4 * LAST_WORDS))
                text = file.read().decode(errors="replace").strip()
        line = text.rpartition("\n")[2][-LAST_WORDS:]
        return f"It said: {line}" if line else "It said nothing."

    async def poll(self) -> int | None:
        """Return None while the server runs, else its exit code."""
        if self.proc is not None:
            code: int | None = await super().poll()
            return code
        if self.pid and processes.alive(self.pid, self._created):
            return None
        self.clear_state()
        return 0

    async def stop(self, now: bool = False) -> None:  # noqa: FBT001 - JupyterHub's signature
        """Stop the server, its kernels and terminals."""
        patience = 1.0 if now else 6.0
        await asyncio.to_thread(processes.end_labs, self.platform, self.user.name, patience)
        if self.proc is not None:
            await asyncio.to_thread(self.proc.wait)
        shutil.rmtree(self.runtime, ignore_errors=True)
        self.clear_state()

    # ---- what the hub remembers ----------------------------------------------
    def load_state(self, state: dict[str, Any]) -> None:
        """Remember the process after a restart of the hub."""
        super().load_state(state)
        self._created = state.get("created", 0.0)

    def get_state(self) -> dict[str, Any]:
        """Return what identifies the process."""
        state: dict[str, Any] = super().get_state()
        return {**state, "created": self._created} if self.pid else state

    # ---- progress ------------------------------------------------------------
    def _say(self, message: str) -> None:
        self._stages.append(message)
        self._said.set()
        self._said = asyncio.Event()

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what has been done so far, as it happens, for the page that waits."""
        shown = 0
        while True:
            said = self._said
            for message in self._stages[shown:]:
                shown += 1
                yield {"progress": min(10 + 14 * shown, 95), "message": message}
            await said.wait()

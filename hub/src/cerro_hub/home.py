"""Where everything of one platform lies: the folder CERRO_HOME."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cerro_hub.errors import DiskFullError, SettingsError

NEEDED_BYTES = 64 * 1024**2
"""Free space below which the platform does not start: logs and databases must be written."""


@dataclass(frozen=True)
class Home:
    """The layout of CERRO_HOME.

    Parameters
    ----------
    root : Path
        The folder itself, absolute.
    """

    root: Path

    @classmethod
    def from_environment(cls) -> Home:
        """Return the home that the `cerro` command has exported.

        Raises
        ------
        SettingsError
            CERRO_HOME is not set.
        """
        value = os.environ.get("CERRO_HOME")
        if not value:
            raise SettingsError("CERRO_HOME is not set. Run this through the `cerro` command.")
        return cls(Path(value).absolute())

    @property
    def settings_file(self) -> Path:
        """Optional settings."""
        return self.root / "cerro.yaml"

    @property
    def hub(self) -> Path:
        """The hub's database, accounts and secrets; nobody else may read it."""
        return self.root / "hub"

    @property
    def run(self) -> Path:
        """What describes the running platform."""
        return self.root / "run"

    @property
    def labs(self) -> Path:
        """Runtime folders of the users' servers."""
        return self.run / "labs"

    @property
    def logs(self) -> Path:
        """One log a process."""
        return self.root / "logs"

    @property
    def homes(self) -> Path:
        """The users' own folders."""
        return self.root / "homes"

    @property
    def releases(self) -> Path:
        """The folder of releases; they may lie in buckets besides."""
        folder = next((place for place in _places() if "://" not in place), None)
        return Path(folder).absolute() if folder else self.root / "releases"

    @property
    def places(self) -> str:
        """All places where releases lie, as the services are told them."""
        buckets = [place for place in _places() if "://" in place]
        return ",".join([str(self.releases), *buckets])

    def log(self, process: str) -> Path:
        """Return the log file of a process."""
        return self.logs / f"{process}.log"

    def make(self) -> None:
        """Create the folders with the permissions they need.

        Other accounts of the machine may pass through the root, `homes` and `run` (users' servers
        run under accounts of their own) but list nothing; `hub`, `logs` and the release store are
        closed: what a release keeps for some groups must not lie open for whoever has a notebook.

        Raises
        ------
        SettingsError
            The folder cannot be made or written.
        DiskFullError
            The disk is full.
        """
        modes = {
            self.root: 0o711,
            self.homes: 0o711,
            self.run: 0o711,
            self.labs: 0o711,
            self.hub: 0o700,
            self.logs: 0o700,
        }
        try:
            for folder, mode in modes.items():
                new = not folder.is_dir()
                folder.mkdir(parents=True, exist_ok=True)
                if new or folder in {self.hub, self.logs}:
                    folder.chmod(mode)
            self.releases.mkdir(parents=True, exist_ok=True)
            if self.releases == self.root / "releases":
                # A store elsewhere is its owner's to open or close.
                self.releases.chmod(0o700)
        except OSError as error:
            self.check_space()
            raise SettingsError(
                f"Cannot write the platform's folder {self.root}: {error.strerror}. "
                "Choose another with --home or CERRO_HOME."
            ) from error

    def free_bytes(self) -> int:
        """Return the free space [bytes] on the disk that holds the home."""
        folder = self.root
        while not folder.exists():
            folder = folder.parent
        stats = os.statvfs(folder)
        return stats.f_bavail * stats.f_frsize

    def check_space(self) -> None:
        """Check that there is room to work.

        Raises
        ------
        DiskFullError
            Less than `NEEDED_BYTES` are free.
        """
        free = self.free_bytes()
        if free < NEEDED_BYTES:
            raise DiskFullError(
                f"No disk space: {free / 1024**2:.0f} MiB are free at {self.root} and Cerro needs "
                f"at least {NEEDED_BYTES // 1024**2} MiB to run. Free some, or choose another "
                "folder with --home."
            )


def _places() -> list[str]:
    """Give the places of CERRO_RELEASES: a folder, buckets, or both, with commas between them."""
    named = os.environ.get("CERRO_RELEASES", "")
    return [place for part in named.split(",") if (place := part.strip())]

"""Machine accounts of users' servers: under a root hub, each user gets a uid of their own."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

from cerro_hub.errors import AccountError
from cerro_hub.secrets import write_private


def uid_of(user: str, folder: Path, first: int, last: int) -> int:
    """Return a user's uid, giving them the next free one of the range at the first call.

    Parameters
    ----------
    user : str
        The user.
    folder : Path
        The hub's own folder, where the list is kept: a uid is never given to another user, because
        files may still belong to it.
    first, last : int
        The range.

    Raises
    ------
    AccountError
        Every uid of the range has been given away.
    """
    path = folder / "uids.json"
    with (folder / "uids.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        uids: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
        if user not in uids:
            free = sorted(set(range(first, last + 1)) - set(uids.values()))
            if not free:
                raise AccountError(
                    f"All machine accounts from {first} to {last} are taken; "
                    "raise hub.lab.last_uid in cerro.yaml."
                )
            uids[user] = free[0]
            write_private(path, json.dumps(uids, indent=1) + "\n")
        return uids[user]


def obstacle(uid: int, folder: Path) -> str | None:
    """Say why servers cannot run under accounts of their own, or return None if they can.

    Parameters
    ----------
    uid : int
        An unprivileged account to try it with.
    folder : Path
        A folder that the servers must be able to reach.
    """
    if os.geteuid() != 0:
        return "the hub does not run as root"
    try:
        answer = subprocess.run(
            [sys.executable, "-s", "-c", f"import cerro_hub, os; os.stat({str(folder / '.')!r})"],
            cwd="/",
            env={"PATH": os.environ.get("PATH", "")},
            user=uid,
            group=uid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except PermissionError:
        return f"other accounts of this machine cannot run {Path(sys.executable).resolve()}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"a process cannot change its account: {error}"
    if answer.returncode == 0:
        return None
    if "os.stat" in answer.stderr:
        return f"other accounts of this machine cannot reach {folder}"
    return f"other accounts of this machine cannot read {Path(__file__).parents[1]}"

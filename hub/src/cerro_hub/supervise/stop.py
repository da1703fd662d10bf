"""`cerro down` and `cerro status`: stops and shows a platform that runs elsewhere."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import psutil

from cerro_hub.errors import HubError
from cerro_hub.home import Home
from cerro_hub.spawn.processes import end, end_labs, ends_within
from cerro_hub.supervise.state import read_state, state_file

PATIENCE = 40.0


def stop_platform(home: Home) -> str:
    """Stop the platform of a home, whether `cerro up` still watches it or not.

    Returns
    -------
    str
        What was done, for the person.

    Raises
    ------
    HubError
        It does not stop.
    """
    state = read_state(home)
    if state.supervised:
        try:
            os.kill(state.pid, signal.SIGTERM)
        except PermissionError as error:
            raise HubError(
                f"The platform (pid {state.pid}) belongs to another account. "
                "Run `cerro down` as that one."
            ) from error
        if not ends_within(PATIENCE, state.pid, lambda: state.supervised):
            raise HubError(f"`cerro up` (pid {state.pid}) does not stop; see {home.logs}.")
        return f"Stopped the platform at {state.address}."
    left = state.leftovers
    if not left:
        return f"Nothing runs in {home.root}."
    # Its supervisor was killed: the order is the supervisor's own.
    processes = {p.name: psutil.Process(p.pid) for p in left}
    end([p for name, p in processes.items() if name in {"culler", "hub"}], 8.0)
    end_labs(str(home.root))
    end(list(processes.values()), 8.0)
    state_file(home).unlink(missing_ok=True)
    return f"Stopped what an ended `cerro up` had left of the platform at {state.address}."


def rows(home: Home) -> list[dict[str, Any]]:
    """Return one row a process of the platform; none when nothing runs."""
    state = read_state(home)
    if not (state.supervised or state.leftovers):
        return []
    table = []
    for process in state.processes.values():
        dead = process.status == "up" and not process.runs
        status = process.status if state.supervised and not dead else "unwatched"
        if dead:
            status = "failed"
        address = state.address if process.name == "proxy" else ""
        if process.port and not address:
            address = f"http://127.0.0.1:{process.port}/"
        table.append(
            {
                "name": process.name,
                "status": status,
                "pid": process.pid or None,
                "since": process.since,
                "restarts": process.restarts,
                "address": address,
                "reason": process.reason,
            }
        )
    return table


def describe(home: Home, table: list[dict[str, Any]], *, as_json: bool) -> str:
    """Return the rows as a table for people, or as JSON for programs."""
    if as_json:
        state = read_state(home)
        return json.dumps({"address": state.address, "home": str(home.root), "processes": table})
    if not table:
        return f"Nothing runs in {home.root}. Start it with `cerro up`."
    lines = [f"{'PROCESS':<10}{'STATE':<11}{'PID':>8}  {'SINCE':<18}{'RESTARTS':>8}  ADDRESS"]
    for row in table:
        since = _ago(time.time() - row["since"]) if row["since"] else "-"
        lines.append(
            f"{row['name']:<10}{row['status']:<11}{row['pid'] or '-':>8}  {since:<18}"
            f"{row['restarts']:>8}  {row['address']}"
        )
        if row["reason"] and row["status"] != "up":
            lines.append(f"          {row['reason']}")
    if any(row["status"] == "unwatched" for row in table):
        lines.append("`cerro up` has ended and nobody watches these; run it again to take over.")
    return "\n".join(lines)


def _ago(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"

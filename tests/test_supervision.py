"""Killing any one process of the platform brings it back, and users go on."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
import requests

from tests.support.platform import ADMIN, Platform
from tests.support.tokens import token_for
from tests.support.waiting import eventually


def answers(platform: Platform, token: str) -> bool:
    """Whether a user's question with a token gets its answer through every process."""
    response = requests.get(
        f"{platform.tap_url}/sync",
        params={
            "QUERY": "SELECT COUNT(*) AS n FROM sim.Object",
            "LANG": "ADQL",
            "RESPONSEFORMAT": "csv",
        },
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    )
    home = requests.get(platform.url, timeout=10)
    hub = requests.get(f"{platform.url}hub/login", timeout=10)
    return response.ok and int(response.text.split()[1]) > 0 and home.ok and hub.ok


@pytest.mark.req("RUN-2", "HUB-1")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
@pytest.mark.parametrize("name", ["proxy", "hub", "services", "worker", "portal"])
def test_a_killed_process_comes_back(platform: Platform, name: str, how: signal.Signals) -> None:
    token = token_for(platform, *ADMIN)
    pid = platform.processes()[name]["pid"]
    os.kill(pid, how)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=30)

    def is_back() -> bool:
        process = platform.processes()[name]
        return process["pid"] not in {None, pid} and answers(platform, token)

    eventually(is_back, f"{name} is back after {how.name}")
